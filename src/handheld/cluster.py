"""A Ray cluster to run on: found, or started on this machine and stopped again.

What runs there is for the rooms to say.

A cluster runs what its drivers tell it: whoever may connect to one owns its machines. All of them
need the same version of this package.
"""

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from handheld.errors import InputError, MissingDependencyError

_CONNECT_SECONDS = 10.0  # enough for a network far away

# One for the life of this process: Ray keeps the first that it reads.
_TOKEN = secrets.token_hex(32)


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine that leaves nothing behind; give Ray's
    module.

    Args:
        address: of the cluster, such as ``10.0.0.1:6379``; without one a cluster on this machine is
            started and stopped. In a process that is connected already, that connection is used.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    ray = ray_module()
    if ray.is_initialized():
        yield ray
        return
    if address:
        with _started(ray, {"address": address}):
            yield ray
        return
    # A short name: sockets lie in the folder, and their paths are limited.
    folder = tempfile.mkdtemp(prefix="ray-")
    options = {"address": "local", "include_dashboard": False, "_temp_dir": folder}
    try:
        with _guarded(), _started(ray, options):
            yield ray
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(ray: Any, options: Mapping[str, Any]) -> Iterator[None]:
    try:
        _start(ray, {"log_to_driver": False, "logging_level": logging.ERROR, **options})
        yield
    finally:
        ray.shutdown()


def _start(ray: Any, options: Mapping[str, Any]) -> None:
    host, _, port = options["address"].removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        with warnings.catch_warnings():
            # Compiling has loaded JAX, which warns of forks; what Ray forks becomes another program
            # at once.
            warnings.filterwarnings(
                "ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning
            )
            ray.init(**options)
    except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(
            f"no Ray cluster at {options['address']}: {saying_most(str(error))}"
        ) from error


@contextmanager
def _guarded() -> Iterator[None]:
    """Let only this process and those it starts into a cluster, and these import what this one can.

    Ray sets the mode itself, unless it is set, once there is a token; without one it would put one
    into the user's home.
    """
    names = ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE", "PYTHONPATH")
    before = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.setdefault("RAY_AUTH_TOKEN", _TOKEN)
    os.environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def ray_module() -> Any:
    """Return Ray's module, connected or not.

    Raises :class:`MissingDependencyError` where it is not installed.
    """
    # It would call home; read when it is imported and started.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise MissingDependencyError("ray", "cluster", "running on a cluster") from error
    return ray


def saying_most(text: str) -> str:
    """Return the line that says most: of a module that a machine lacks, or else the first."""
    lines = text.strip().splitlines() or [""]
    for line in lines:
        if "No module named" in line:
            return line.strip()
    return lines[0]
