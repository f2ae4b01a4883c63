"""The seam between the bench and the devices that run models.

A device is anything with the members of :class:`Device`: this machine, another one by ssh, a phone
by adb. A page in a phone's browser could be one too: ``run`` would hand out the models and wait for
what the page sends.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from handheld.bench.protocol import BenchProtocol
from handheld.bench.run import THIS_MACHINE, BenchResult
from handheld.bench.task import BenchTask, SystemTask
from handheld.errors import InputError

# A name goes to a program's command line, and from there into whatever a user's ssh configuration
# makes of it (ProxyCommand runs in a shell): neither an option nor a word of a shell.
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:%-]{0,254}")
_SERIAL = re.compile(r"[A-Za-z0-9_.:\[][A-Za-z0-9_.:()\[\]-]{0,127}")
_LAST_PORT = 65_535

Say = Callable[[str], None]
"""Takes a line of progress."""


@dataclass(frozen=True, kw_only=True)
class TaskOption:
    """What a task is made of, as ``handheld bench run`` is told of it: another machine is told the
    same.

    Args:
        name: of the option, such as ``--task``.
        text: its value, where that is no file.
        path: the file or folder that it names, which is copied to the device.
    """

    name: str
    text: str = ""
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class BenchJob:
    """What a device is to do with each model.

    Args:
        protocol: the rules.
        task: that judges, for a device which is this machine; None: nothing does.
        options: what it is made of, for others.
        names: what results call the models; () takes the names of their files.
        strict: whether a model that cannot do the task is refused where it is the only one; one of
            several is timed at least.
    """

    protocol: BenchProtocol = field(default_factory=BenchProtocol)
    task: BenchTask | SystemTask | None = None
    options: tuple[TaskOption, ...] = ()
    names: tuple[str, ...] = ()
    strict: bool = True

    def name_of(self, number: int, path: Path) -> str:
        """Return what the results of a model are called."""
        if self.names:
            return self.names[number]
        return path.stem


class Device(Protocol):
    """What runs models."""

    @property
    def name(self) -> str:
        """As ``handheld bench --device`` names it."""

    def run(
        self, models: Sequence[Path], job: BenchJob, say: Say | None = None
    ) -> Iterator[BenchResult]:
        """Measure models one after the other, and yield each result as soon as it is there.

        What was yielded stays true if the device is lost later.

        Args:
            models: ``.tflite`` files of this machine.
            job: what to do with each.
            say: takes lines of progress.

        Raises:
            DeviceError: the device cannot be reached, is lost, or does not do it; in one line.
            ModelError: a model cannot be run.
            InputError: the job asks for what the device cannot do.
        """


@dataclass(frozen=True)
class DeviceAddress:
    """Which device is meant.

    Args:
        transport: "this", "ssh" or "adb".
        host: of ssh, a name that its configuration knows or an address; of adb the serial number,
            "" for the only device.
        user: of ssh; "" leaves it to its configuration.
        port: of ssh; None likewise.
    """

    transport: str
    host: str = ""
    user: str = ""
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> "DeviceAddress":
        """Read ``this``, ``ssh:[USER@]HOST[:PORT]`` or ``adb[:SERIAL]``.

        An IPv6 address stands in brackets where a port follows.

        Raises:
            InputError: it is none of these, or holds what no name does.

        >>> DeviceAddress.of("ssh:me@lab:2222")
        DeviceAddress(transport='ssh', host='lab', user='me', port=2222)
        >>> DeviceAddress.of("adb").host
        ''
        """
        transport, _, place_name = text.partition(":")
        if text == THIS_MACHINE:
            return cls(THIS_MACHINE)
        if text == "adb":
            return cls("adb")
        if transport == "adb" and _SERIAL.fullmatch(place_name):
            return cls("adb", place_name)
        if transport == "ssh":
            return _ssh_address(place_name, text)
        raise InputError(
            f"--device: expected this, ssh:[USER@]HOST[:PORT] or adb[:SERIAL], got {text!r}"
        )

    def __str__(self) -> str:
        if self.transport == THIS_MACHINE:
            return THIS_MACHINE
        words = self.host
        if self.port is not None:
            words = f"{_bracketed(words)}:{self.port}"
        if self.user:
            words = f"{self.user}@{words}"
        return f"{self.transport}:{words}" if words else self.transport


def _bracketed(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    return host


def _ssh_address(place_name: str, text: str) -> DeviceAddress:
    user, at, host_port = place_name.rpartition("@")
    host, port = _host_and_port(host_port)
    is_user = not at or _USER.fullmatch(user)
    if not is_user or not _HOST.fullmatch(host):
        raise InputError(
            "--device: expected ssh:[USER@]HOST[:PORT] of letters, digits and . _ - +, "
            f"got {text!r}"
        )
    if not port:
        return DeviceAddress("ssh", host, user)
    if not _is_port(port):
        raise InputError(f"--device: expected a port in [1, {_LAST_PORT}], got {port!r}")
    return DeviceAddress("ssh", host, user, int(port))


def _host_and_port(text: str) -> tuple[str, str]:
    """Return what stands before and behind the colon; "" where none is there."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", text)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    if text.count(":") != 1:
        return text, ""
    host, _, port = text.partition(":")
    # "host:" names no port, and is no host either.
    return host, port or "none"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _LAST_PORT
