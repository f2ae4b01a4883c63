"""What a child that runs a stranger's model sees of this machine, and the command that starts it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_CHILD = Path(__file__).with_name("_child.py")
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf")


@cache
def bubblewrap() -> str:
    """Path of a ``bwrap`` that works here, or ""."""
    path = shutil.which("bwrap")
    if not path:
        return ""
    command = [path, *_namespace(()), sys.executable, "-S", "-c", "pass"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False, env={})
    except (OSError, subprocess.SubprocessError):
        return ""
    return path if done.returncode == 0 else ""


def isolation() -> str:
    """What holds a model that is opened with ``isolated=True`` on this machine, in words."""
    if bubblewrap():
        return "bubblewrap: no network, no files but the interpreter's, limits on memory and time"
    if sys.platform.startswith("linux"):
        return "limits on memory and time (install bubblewrap to take network and files away too)"
    return "a process of its own with a time-out (no limit on memory on this system)"


def command(
    packages: Sequence[str], files: Mapping[str, str] | None = None
) -> tuple[list[str], dict[str, str]]:
    """The command that starts the child, and its whole environment.

    Args:
        packages: that it imports, by name.
        files: that it may read beside these: where it finds them, and where they are.
    """
    # numpy's and LiteRT's helper threads would spin on a small machine beside the parent's.
    variables = {
        "PYTHONPATH": os.pathsep.join(_search_path(packages)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each takes 128 MB of the address space, one for each thread
        "LANG": "C.UTF-8",
    }
    if os.name == "nt":  # without it Windows cannot load a library of its own
        variables["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
    python = [sys.executable, "-P", "-s", "-B", str(_CHILD)]
    wrapper = bubblewrap()
    if not wrapper:
        return python, variables
    settings = [word for item in variables.items() for word in ("--setenv", *item)]
    readable = [word for seen, path in (files or {}).items() for word in ("--ro-bind", path, seen)]
    return [wrapper, *_namespace(packages), *readable, *settings, *python], {}


def _namespace(packages: Sequence[str]) -> list[str]:
    """What the process sees of the file system: the interpreter and its packages, to read."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    options += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    readable = [*_SYSTEM, sys.prefix, sys.base_prefix, *_search_path(packages), str(_CHILD.parent)]
    for path in dict.fromkeys(readable):
        if os.path.islink(path) and path in _SYSTEM:
            options += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            options += ["--ro-bind", path, path]
    return options


def _search_path(packages: Sequence[str]) -> list[str]:
    """Folders of the packages that the child imports, and no others: a script's own folder, which
    Python searches too, may be a home."""
    folders = []
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(folders))
