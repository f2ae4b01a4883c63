"""What runs on another machine while a bench uses it by ssh: takes files, runs the same command as
a person would, sends results back.

It serves one client, through its standard streams, and ends with them: the temporary folder that
holds models and data is removed when the client is done, is interrupted, or the connection drops.
"""

import errno
import hashlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from handheld.bench.devices.messages import ALIVE_SECONDS, MAX_LINE, line_of, message_of
from handheld.bench.record import describe_machine
from handheld.errors import DeviceError
from handheld.untrusted import read_json

MAX_BYTES = 16 << 30
"""Of all files that a client may send."""

_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_NAME = 4096  # characters of a path
_MAX_ERROR = 2000  # characters of what a run says of a failure
_RESULT = "result.json"
_FILES = "files"
_BLOBS = "blobs"


def serve(source: int = 0, sink: int = 1) -> None:
    """Serve the client at two file descriptors until the first one ends.

    Raises:
        DeviceError: the client says what no client of ours does.
    """
    with tempfile.TemporaryDirectory(prefix="handheld-bench-") as folder:
        agent = _Agent(Path(folder), source, sink)
        try:
            agent.serve()
        except BrokenPipeError:
            return  # nobody is there any more
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno == errno.ENOSPC:
                reason = "its disk is full"
            agent.send({"failed": reason, "ended": True})
        except DeviceError as error:
            agent.send({"failed": str(error), "ended": True})


class _Agent:
    def __init__(self, folder: Path, source: int, sink: int) -> None:
        self._folder = folder
        self._sink = sink
        self._source = _Source(source)
        self._received = 0
        for name in (_BLOBS, _FILES):
            (folder / name).mkdir()

    def serve(self) -> None:
        self.send({"hello": describe_machine()})
        while line := self._source.line():
            message = message_of(line)
            if message is None:
                raise DeviceError("the client sent a line that is no message")
            self._answer(message)

    def send(self, message: dict[str, Any]) -> None:
        unsent = memoryview(line_of(message))
        while unsent:
            unsent = unsent[os.write(self._sink, unsent) :]

    def _answer(self, message: dict[str, Any]) -> None:
        if "put" in message:
            self._receive(message["put"], message.get("size"))
        elif "link" in message:
            self._link(message["link"], message.get("sha256"))
        elif "run" in message:
            self._run(message["run"])
        else:
            raise DeviceError("the client sent a message that is not known: another version?")

    def _receive(self, sha256: object, size: object) -> None:
        """Take the bytes of a file, and keep them if they have the hash that was said."""
        path = self._blob(sha256)
        if not isinstance(size, int) or not 0 <= size <= MAX_BYTES - self._received:
            raise DeviceError(f"files of more than {MAX_BYTES:,} bytes are not taken")
        self._received += size
        digest = hashlib.sha256()
        with path.open("wb") as file:
            while size:
                chunk = self._source.some(min(size, _CHUNK))
                digest.update(chunk)
                file.write(chunk)
                size -= len(chunk)
        if digest.hexdigest() != sha256:
            raise DeviceError("a file came with other bytes than were sent")

    def _blob(self, sha256: object) -> Path:
        if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
            raise DeviceError("the client sent a hash that is none")
        return self._folder / _BLOBS / sha256

    def _link(self, name: object, sha256: object) -> None:
        """Give a file that came a name below the folder of files."""
        path = self._folder / _FILES / _safe(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # A link and no copy: one content may be needed under several names.
            os.link(self._blob(sha256), path)

    def _run(self, words: object) -> None:
        """Run ``handheld bench run`` with some words, and send what it gives."""
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DeviceError("the client sent words that are none")
        result = self._folder / _RESULT
        result.unlink(missing_ok=True)
        # -P: what lies in the folder is no module of Python.
        program = [sys.executable, "-P", "-m", "handheld.cli", "bench", "run", "--quiet"]
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                [*program, f"--json={result}", *words],
                cwd=self._folder / _FILES,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # A group of its own, so that what it starts can be ended with it.
                start_new_session=True,
            )
            try:
                self._wait(child)
            finally:
                _end(child)
            self.send(_outcome(child.returncode, result, errors))

    def _wait(self, child: "subprocess.Popen[bytes]") -> None:
        """Wait for a run, with signs of life.

        Raises :class:`BrokenPipeError` if the client goes.
        """
        while True:
            try:
                child.wait(ALIVE_SECONDS)
                return
            except subprocess.TimeoutExpired:
                self.send({"alive": True})
            if self._source.has_ended():
                raise BrokenPipeError


class _Source:
    """Lines and bytes of a file descriptor."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._buffer = b""

    def line(self) -> bytes:
        """Return the next line; b"" at the end."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE:
                raise DeviceError("the client sent a line that is too long")
            chunk = os.read(self._number, _CHUNK)
            if not chunk:
                return b""
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def some(self, size: int) -> bytes:
        """Return one byte or more, ``size`` at most. Raises :class:`BrokenPipeError` at the end."""
        chunk = self._buffer[:size]
        self._buffer = self._buffer[size:]
        if not chunk:
            chunk = os.read(self._number, size)
        if not chunk:
            raise BrokenPipeError
        return chunk

    def has_ended(self) -> bool:
        """Whether nothing more will come, without waiting for it."""
        ready, _, _ = select.select([self._number], [], [], 0)
        if not ready:
            return False
        chunk = os.read(self._number, _CHUNK)
        self._buffer += chunk
        return not chunk


def _safe(name: object) -> PurePosixPath:
    """Return a path that stays below the folder in which it is. Raises :class:`DeviceError`."""
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or "\0" in name:
        raise DeviceError("the client sent a name that no file can have")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DeviceError(f"the client sent the name of a file elsewhere: {name!r:.200}")
    return path


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a run and what it started."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _outcome(status: int, result: Path, errors: Any) -> dict[str, Any]:
    """Return the message of a run that ended."""
    if status == 0 and result.is_file() and result.stat().st_size <= MAX_LINE // 2:
        return {"done": read_json(result.read_bytes())}
    errors.seek(0)
    words = errors.read(_CHUNK).decode("utf-8", "replace").strip()
    if status < 0:
        words = f"the run was ended by signal {-status}"
    lines = words.splitlines() or ["the run failed, and said nothing"]
    # The last line is the error's; those before it are warnings.
    return {"failed": lines[-1].removeprefix("error: ")[:_MAX_ERROR]}
