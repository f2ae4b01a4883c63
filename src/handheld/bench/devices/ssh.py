"""Another machine, reached by the system's ssh.

ssh is the user's own: keys, known hosts, jumps and ports are those of its configuration. It starts
one program there, the agent of this package (``handheld bench agent``), and all else goes through
its streams (:mod:`handheld.bench.devices.messages`). What comes back is untrusted: it is bounded,
and has the form of a result, or is refused.
"""

import errno
import hashlib
import os
import queue
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from handheld import __version__
from handheld.bench.devices.device import BenchJob, DeviceAddress, Say, TaskOption
from handheld.bench.devices.messages import MAX_LINE, line_of, message_of
from handheld.bench.protocol import BenchProtocol
from handheld.bench.results import result_of
from handheld.bench.run import BenchResult
from handheld.errors import DeviceError, InputError, ModelError
from handheld.ranges import in_range
from handheld.untrusted import require_file

REMOTE_COMMAND = "handheld"
"""What starts this package on another machine."""

_CHUNK = 1 << 18  # bytes that must go within the patience of silence
_NOISE = 1000  # lines of a login shell before the agent's first
_LAST_WORDS = 20  # lines of ssh's errors that are kept
_LONGEST_WORDS = 300  # characters of one that is shown
_NOT_FOUND = 127  # exit status of shells
_OF_SSH = 255  # exit status of ssh for its own errors


@dataclass(frozen=True, kw_only=True)
class SshPatience:
    """How long to wait, in seconds.

    Args:
        greeting: for a connection and the agent's first word, above 0; a password may be asked for.
        silence: without a sign of life, above 0.
        run: for the result of one model, above 0.
        farewell: for the agent to clean up and for ssh to end, above 0.

    Raises:
        InputError: names the number that is out of range.
    """

    greeting: float = 60.0
    silence: float = 30.0
    run: float = 3600.0
    farewell: float = 10.0

    def __post_init__(self) -> None:
        for name in ("greeting", "silence", "run", "farewell"):
            in_range(name, getattr(self, name), low=0, low_open=True)


class SshDevice:
    """A machine with this package, reached by ssh.

    Args:
        address: where it is.
        command: starts this package there, as that machine's shell reads it.
        options: further words for ssh, ahead of the host.
        patience: how long to wait.

    Raises:
        DeviceError: this machine has no ssh.
    """

    def __init__(
        self,
        address: DeviceAddress,
        *,
        command: str = REMOTE_COMMAND,
        options: Sequence[str] = (),
        patience: SshPatience | None = None,
    ) -> None:
        program = shutil.which("ssh")
        if program is None:
            raise DeviceError("ssh is not installed here: apt-get install openssh-client")
        self._address = address
        self._command = command
        self._patience = patience or SshPatience()
        self._words = [program, *options, *_ssh_words(address), f"{command} bench agent"]

    @property
    def name(self) -> str:
        """As ``handheld bench --device`` names it."""
        return str(self._address)

    def run(
        self, models: Sequence[Path], job: BenchJob, say: Say | None = None
    ) -> Iterator[BenchResult]:
        """Measure models there; see :class:`Device`."""
        shared = _job_words(job)
        with self._connected() as connection:
            self._greet(connection)
            if say is not None:
                say(f"{self.name}: connected")
            words = [*shared, *self._send_options(connection, job.options)]
            # Each runs alone there, which does not know that it is one of several.
            if len(models) > 1 or not job.strict:
                words.append("--lenient")
            for number, path in enumerate(models):
                sha256 = connection.send_file(path)
                connection.send({"link": _there(sha256), "sha256": sha256})
                if say is not None:
                    say(f"{path} on {self.name} ...")
                connection.send({"run": [*words, "--", _there(sha256)]})
                result = self._result(connection, path, sha256)
                model = replace(result.model, name=job.name_of(number, path), file=str(path))
                refusal = _here(result.refusal, path, sha256)
                yield replace(result, model=model, refusal=refusal, device=self.name)

    @contextmanager
    def _connected(self) -> Iterator["_Connection"]:
        connection = _Connection(self._words, self.name, self._patience)
        try:
            yield connection
        finally:
            connection.close()

    def _greet(self, connection: "_Connection") -> None:
        """Wait for the agent's first word, and compare versions."""
        message = connection.receive(self._patience.greeting)
        if message is None:
            raise DeviceError(f"{self.name}: {_why_no_agent(connection, self._command)}")
        machine = message.get("hello")
        version = machine.get("handheld") if isinstance(machine, dict) else None
        if version != __version__:
            raise DeviceError(
                f"{self.name} has handheld {version!r:.40}, here is {__version__}: "
                "install the same version there"
            )

    def _send_options(
        self, connection: "_Connection", options: Sequence[TaskOption]
    ) -> Iterator[str]:
        """Send the files that options name, and return the words of all."""
        for number, option in enumerate(options):
            if option.path is None:
                yield f"{option.name}={option.text}"
                continue
            # The ending says how a file is read.
            name = f"data/{number}{option.path.suffix}"
            for path, inner in _files_below(option.path):
                sha256 = connection.send_file(path)
                connection.send({"link": f"{name}{inner}", "sha256": sha256})
            yield f"{option.name}={name}"

    def _result(self, connection: "_Connection", path: Path, sha256: str) -> BenchResult:
        """Wait for the result of a model."""
        message = connection.result()
        if message is None:
            raise DeviceError(f"{self.name}: {connection.why_lost()} while it ran {path}")
        if "done" not in message:
            words = _one_line(message.get("failed"))
            if message.get("ended"):
                raise DeviceError(f"{self.name}: {words}")
            raise ModelError(f"{path} on {self.name}: {_here(words, path, sha256)}")
        try:
            (values,) = message["done"]
            result = result_of(values)
        except (InputError, TypeError, ValueError) as error:
            raise DeviceError(f"{self.name} sent what is no result: {_one_line(error)}") from error
        if result.model.sha256 != sha256:
            raise DeviceError(f"{self.name} sent the result of another model than {path}")
        return result


def _ssh_words(address: DeviceAddress) -> Iterator[str]:
    """Yield the words that lead ssh to a machine, without what its configuration knows itself."""
    # No terminal, and nothing of a configuration that is for people who work there: forwarded
    # ports, a command of its own, their keys.
    yield from ("-T", "-a", "-x")
    yield from ("-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none")
    # A machine that is gone is known to be within a minute.
    yield from ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
    if address.user:
        yield from ("-l", address.user)
    if address.port is not None:
        yield from ("-p", str(address.port))
    yield from ("--", address.host)


def _job_words(job: BenchJob) -> list[str]:
    """Return a protocol as ``handheld bench run`` is told it.

    Raises:
        InputError: it holds what that command cannot be told.
    """
    protocol = job.protocol
    usual = BenchProtocol()
    if (protocol.crop, protocol.seed) != (usual.crop, usual.seed):
        raise InputError("crop, seed: on another machine they are the usual ones")
    words = [
        f"--threads={protocol.threads}",
        f"--queries={protocol.min_queries}",
        f"--seconds={protocol.min_seconds!r}",
    ]
    words += [f"--budget={budget:.12f}s" for budget in protocol.budgets]
    if protocol.core is not None:
        words.append(f"--core={protocol.core}")
    return words


def _files_below(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder with their names in it, such as ``/cat/1.jpg``, or one file with
    "".
    """
    if not path.is_dir():
        yield path, ""
        return
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            file = Path(folder, name)
            yield file, "/" + file.relative_to(path).as_posix()


def _one_line(words: object) -> str:
    """Return words of another machine as one line that is not too long."""
    return " ".join(str(words).split())[:_LONGEST_WORDS]


def _here(words: str, path: Path, sha256: str) -> str:
    """Return words about a model with its name here in place of the one that it has there."""
    return words.replace(_there(sha256), str(path))


def _there(sha256: str) -> str:
    return f"models/{sha256}.tflite"


def _why_no_agent(connection: "_Connection", command: str) -> str:
    """Return why the agent said nothing, in the words of ssh or of that machine's shell."""
    status, words = connection.ended()
    if status is None:
        return "no answer; is it reachable, and does 'ssh' to it work without a question?"
    if status == _OF_SSH:
        return f"ssh failed: {words or 'it says nothing'}"
    if status == _NOT_FOUND or "No module named" in words:
        return (
            f"handheld is missing there ({words or command + ' is not found'}): install it, or say "
            "what starts it by --remote-command"
        )
    return (
        f"'{command} bench agent' failed there ({words or f'status {status}'}): is another version "
        "of handheld installed?"
    )


class _Connection:
    """A running ssh with the agent behind it."""

    def __init__(self, words: Sequence[str], name: str, patience: SshPatience) -> None:
        self._name = name
        self._patience = patience
        self._sent: set[str] = set()
        self._was_silent = False
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise DeviceError(f"{words[0]} cannot be run: {error.strerror}") from error
        # One message ahead at most: a flood waits in the pipe, and not in memory.
        self._messages: queue.Queue[dict[str, Any] | DeviceError | None] = queue.Queue(1)
        self._errors: deque[str] = deque(maxlen=_LAST_WORDS)
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_messages, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._write(line_of(message))

    def send_file(self, path: Path) -> str:
        """Send the bytes of a file, unless they were sent before, and return their hash."""
        try:
            require_file(path)
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                if sha256 not in self._sent:
                    self._send_bytes(file, sha256)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: cannot be read ({reason})") from error
        self._sent.add(sha256)
        return sha256

    def _send_bytes(self, file: IO[bytes], sha256: str) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.send({"put": sha256, "size": size})
        while size:
            chunk = file.read(min(size, _CHUNK))
            if not chunk:
                raise OSError(errno.EIO, "it became shorter while it was read")
            self._write(chunk)
            size -= len(chunk)

    def receive(self, patience: float) -> dict[str, Any] | None:
        """Return the next message; None where none comes in time, or the connection has ended."""
        try:
            message = self._messages.get(timeout=patience)
        except queue.Empty:
            self._was_silent = True
            return None
        if isinstance(message, DeviceError):
            raise DeviceError(f"{self._name}: {message}") from message
        return message

    def result(self) -> dict[str, Any] | None:
        """Return the next message that is no sign of life; None where none comes."""
        clock = threading.Event()
        watchdog = threading.Timer(self._patience.run, clock.set)
        watchdog.daemon = True
        watchdog.start()
        try:
            while True:
                message = self.receive(self._patience.silence)
                if message is None or "alive" not in message:
                    return message
                if clock.is_set():
                    raise DeviceError(
                        f"{self._name}: no result within {self._patience.run:g} s; the run there "
                        "is ended"
                    )
        finally:
            watchdog.cancel()

    def why_lost(self) -> str:
        """Return in words how the connection ended."""
        if self._was_silent:
            return f"it was silent for {self._patience.silence:g} s"
        _, words = self.ended()
        if words:
            return f"the connection was lost ({words})"
        return "the connection was lost"

    def ended(self) -> tuple[int | None, str]:
        """Return ssh's exit status, None if it still runs, and its last line of errors."""
        status = None
        if not self._was_silent:
            with suppress(subprocess.TimeoutExpired):
                status = self._process.wait(self._patience.farewell)
            self._threads[1].join(self._patience.farewell)
        lines = [line for line in self._errors if line.strip()]
        if not lines:
            return status, ""
        return status, _one_line(lines[-1])

    def close(self) -> None:
        """End the connection; the agent removes what it holds."""
        self._closing.set()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(self._patience.farewell)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(self._patience.farewell)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def _write(self, content: bytes) -> None:
        """Write, or raise where nothing goes through."""
        assert self._process.stdin is not None
        # What blocks in a write is ended from outside of it.
        watchdog = threading.Timer(self._patience.silence, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except OSError as error:
            raise DeviceError(f"{self._name}: {self._why_refused()}") from error
        finally:
            watchdog.cancel()

    def _why_refused(self) -> str:
        """Return why the agent takes nothing more: its own last words, if it said some."""
        message = self.receive(self._patience.farewell)
        if message is not None and "failed" in message:
            return _one_line(message["failed"])
        return self.why_lost()

    def _read_messages(self) -> None:
        assert self._process.stdout is not None
        noise = 0
        try:
            while line := self._process.stdout.readline(MAX_LINE):
                if not line.endswith(b"\n"):
                    raise DeviceError("it sent a line that is too long")
                message = message_of(line)
                if message is not None:
                    self._put(message)
                    continue
                noise += 1
                if noise > _NOISE:
                    raise DeviceError("it sends lines that are no messages")
        except DeviceError as error:
            self._put(error)
        self._put(None)

    def _put(self, message: dict[str, Any] | DeviceError | None) -> None:
        """Hand a message on, unless nobody waits for it any more."""
        while not self._closing.is_set():
            with suppress(queue.Full):
                self._messages.put(message, timeout=0.1)
                return

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while line := self._process.stderr.readline(_CHUNK):
            self._errors.append(line.decode("utf-8", "replace"))
