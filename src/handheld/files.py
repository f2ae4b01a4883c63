"""Files and folders that appear whole or not at all.

What is no regular file (a device, a pipe) is written into.
"""

import errno
import io
import os
import platform
import re
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import IO
from zlib import crc32

from handheld.errors import FileError, InputError
from handheld.untrusted import read_json

_AnyPath = str | os.PathLike[str]

STANDARD_OUTPUT = "-"
"""The name by which commands mean standard output."""

INTERRUPTS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a program to end: Ctrl-C, a polite end, a terminal that is closed."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

# Less the umask, which the kernel takes off: reading it would mean to set it for a moment, for all
# threads.
_MODE = 0o666

# Of a file's name that is no text: \\udcff, which JSON reads as the name that it was.
_UNSAYABLE = "backslashreplace"

# Letters of a name that a temporary name begins with: file systems end at 255 bytes.
_MAX_STEM = 100

# Entries of a folder that are looked through for what killed processes left: not all of a hundred
# thousand.
_MAX_ENTRIES = 1000
_OPEN_FILES = re.compile(r"/dev/(std(in|out|err)|fd/.*)|/proc/(self|\d+)/fd/.*")


@contextmanager
def atomic_path(
    path: str | os.PathLike[str], *, mode: int | None = None, durable: bool = True
) -> Iterator[Path]:
    """Give a temporary path with the same suffix, which becomes ``path`` at the end, and is removed
    on an error.

    A link is followed, and a file that is there keeps its mode and owner. What is no regular file
    (a device, a pipe, ``/dev/stdout``) is not replaced: at the end all is written into it. What a
    killed process left beside ``path`` is removed.

    Args:
        path: to be written; folders are made.
        mode: permissions of the file, such as 0o600 for what is private; by default those of the
            file that is there, or the usual ones.
        durable: the content is on the disk before the name leads to it, so that a power cut leaves
            the old file or the new one, never an empty one. It takes some milliseconds; False for
            what may be lost.

    Raises:
        FileError: the folder or the file cannot be written, or the disk is full; what was there
            before is kept.
    """
    if is_special(path):
        with _written_into(Path(path)) as temporary:
            yield temporary
        return
    target = _target(path)
    temporary = _beside(target, path, mode)
    try:
        yield temporary
        if durable:
            _flush_file(temporary)
        _settle(temporary, target, mode)
        if durable:
            _flush_folder(target.parent)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FileError(
            f"{path}: cannot be written: {error.strerror}; what was there before is kept"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder for its owner alone, which becomes ``path`` at the end, and is removed
    on an error.

    Args:
        path: not there, or an empty folder; folders above it are made.

    Raises:
        FileError: it cannot be written, or the disk is full.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name[:_MAX_STEM]}.", dir=target.parent))
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error}") from error
    try:
        with _explained(path):
            yield temporary
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def paths_below(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files and folders in a folder and in those, sorted.

    As ``Path.rglob``, which leaves out what it may not read without a word. Links to folders are
    named, not followed.

    Raises:
        InputError: one of the folders cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error

    paths = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        paths += [Path(parent, name) for name in (*folders, *names)]
    return sorted(paths)


def ensure_writable(path: str | os.PathLike[str]) -> None:
    """Say before an hour's work that its result could not be written.

    Raises:
        FileError: it is a folder, or no file may be made where it is to be. A disk may still fill
            up meanwhile.
    """
    if str(path) == STANDARD_OUTPUT or is_special(path):
        return
    folder = next(parent for parent in _target(path).parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise FileError(f"{path}: cannot be written: no file can be made in {folder}")


def ensure_apart(
    outputs: Iterable[_AnyPath | None], inputs: Iterable[_AnyPath | None] = ()
) -> None:
    """Say before any work that a result would be written over what is read, or over another result.

    Links are followed. What is no regular file (a device, a pipe, ``-``) holds nothing that could
    be lost.

    Args:
        outputs: files to be written; None is left out.
        inputs: files, or folders of which any file may be read; what is not there is left out, and
            so is None.

    Raises:
        InputError: names the output, and what it would be written over.
    """
    written = _by_target(outputs)
    # By their numbers, not by each pair: there may be thousands of either.
    present = {_identity(path): output for path, output in written.items() if os.path.exists(path)}
    for path in inputs:
        if path is None or not os.path.exists(path):
            continue
        output = present.get(_identity(path)) or _inside(present.values(), path)
        if output is not None:
            read = "" if str(path) == str(output) else f" ({path})"
            problem = f"would be written over what is read{read}"
            raise InputError(f"{output}: {problem}: name another file for the result")


def _by_target(outputs: Iterable[_AnyPath | None]) -> dict[str, _AnyPath]:
    """Return outputs by the files that they lead to. Raises :class:`InputError` where two do so to
    one.
    """
    written: dict[str, _AnyPath] = {}
    for output in outputs:
        if output is None or str(output) == STANDARD_OUTPUT or is_special(output):
            continue
        target = os.path.realpath(output)
        if target in written:
            raise InputError(
                f"{output}: two results cannot go to one file: name another for one of them"
            )
        written[target] = output
    return written


def _identity(path: _AnyPath) -> tuple[int, int]:
    """What two names of one file have in common, hard links too."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _inside(outputs: Iterable[_AnyPath], folder: _AnyPath) -> _AnyPath | None:
    """Return the first of files that lie in a folder, however deep."""
    if not os.path.isdir(folder):
        return None
    above = Path(os.path.realpath(folder))
    inside = (output for output in outputs if above in Path(os.path.realpath(output)).parents)
    return next(inside, None)


class LineWriter:
    """Where lines of text go; made by :func:`open_lines`."""

    def __init__(self, file: IO[str], path: _AnyPath) -> None:
        self._file = file
        self._path = path
        self._failure: Exception | None = None

    def write(self, line: str) -> None:
        """Write a line, which ends in a line feed.

        Raises:
            FileError: the disk or the device is full.
        """
        try:
            with _explained(self._path):
                self._file.write(line)
        except (OSError, FileError) as error:
            self._failure = error
            raise

    def ensure_whole(self) -> None:
        """Raise what a line could not be written for, if there was one: Python forgets the line,
        and would close the file as if it were whole.
        """
        if self._failure is not None:
            raise self._failure


@contextmanager
def open_lines(path: str | os.PathLike[str]) -> Iterator[LineWriter]:
    """Open a file for lines of UTF-8 text that are seen as they come where somebody reads them.

    ``-`` is standard output. There, and in what is no regular file, each line is written at once; a
    regular file appears at the end, whole, as with :func:`atomic_path`: not if a line could not be
    written, whatever its writer makes of that.
    """
    if str(path) == STANDARD_OUTPUT:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # In a pipe it would wait for 8 KB otherwise.
            sys.stdout.reconfigure(line_buffering=True)
        with _explained(path):
            yield LineWriter(sys.stdout, path)
            sys.stdout.flush()
        return
    if is_special(path):
        with _explained(path), _open_text(Path(path), buffering=1) as file:
            yield LineWriter(file, path)
        return
    with atomic_path(path) as temporary, _open_text(temporary) as file:
        lines = LineWriter(file, path)
        yield lines
        lines.ensure_whole()


@contextmanager
def append_lines(path: str | os.PathLike[str]) -> Iterator[LineWriter]:
    """Open a file for lines of JSON that are added to those it holds, each written at once, so that
    work of hours can be stopped at any moment and goes on.

    What a stop left of a line is taken away first; a whole line whose end an editor left out is
    ended.

    Args:
        path: of the file; it and the folders above it are made.

    Raises:
        FileError: the disk is full; the lines that were written stay.
    """
    target = Path(path)
    with _explained(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not is_special(target):
            with target.open("a+b") as content:
                _end_last_line(content)
        with target.open("a", encoding="utf-8", buffering=1) as file:
            yield LineWriter(file, path)


@contextmanager
def locked_file(path: str | os.PathLike[str], *, patience: float = 0.0) -> Iterator[None]:
    """Keep other processes that ask for a file in the same way from writing it, by a hidden file
    beside it.

    Args:
        path: of the file, by any of its names; it may be missing, and its folder is made. What is
            no file, such as standard output, is not locked.
        patience: seconds to wait for another process.

    Raises:
        InputError: another process has it.
        FileError: nothing can be written beside it.
    """
    # Here, not above: it takes as long to import as all of the rest.
    from filelock import FileLock, Timeout

    if os.fspath(path) == STANDARD_OUTPUT or is_special(path):
        yield
        return
    target = _target(path)
    # The system lets go of it when the process ends, however it ends.
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=patience)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{path}: another process writes it: wait for it, stop it, or name another file"
        ) from error
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _end_last_line(content: IO[bytes]) -> None:
    content.seek(0)
    written = content.read()
    end = written.rfind(b"\n") + 1
    try:
        read_json(written[end:])
    except ValueError:
        content.truncate(end)
    else:
        content.write(b"\n")


def _open_text(path: Path, *, buffering: int = -1) -> IO[str]:
    return path.open("w", encoding="utf-8", errors=_UNSAYABLE, buffering=buffering)


def _target(path: str | os.PathLike[str]) -> Path:
    """Return the file that a path leads to.

    Raises :class:`FileError` where that is a folder, a link in a circle, or a name that no file can
    have.
    """
    try:
        target = Path(os.path.realpath(path))
        is_folder = target.is_dir()
    except (OSError, ValueError) as error:  # a name of 300 letters; one that holds a NUL
        raise FileError(f"{path}: cannot be written: {error}") from error
    if is_folder:
        raise FileError(f"{path}: cannot be written: it is a folder")
    if target.is_symlink():  # realpath gives up where a link leads to itself
        raise FileError(f"{path}: cannot be written: its links lead in a circle")
    return target


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a path names something that must be written into rather than replaced: a device, a
    pipe, an open file.
    """
    if _OPEN_FILES.fullmatch(os.path.abspath(path)):
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def uninterrupted(*, second: bool = False) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP wait until a block is done: what is half written is lost.

    In threads they never come anyway.

    Args:
        second: whether a second one comes at once, for blocks that may hang.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if handler is signal.SIG_IGN:  # as behind nohup
            return
        waiting.append(number)
        if second and len(waiting) > 1 and callable(handler):
            waiting.clear()
            handler(number, frame)

    before = {number: signal.signal(number, wait) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for late in waiting[:1]:
            signal.raise_signal(late)


@contextmanager
def _explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of a full disk or device which one it is; a reader that has gone is another matter."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _written_into(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="handheld-") as folder:
        temporary = Path(folder) / f"output{path.suffix}"
        temporary.touch()
        yield temporary
        try:
            with temporary.open("rb") as content, path.open("wb") as special:
                shutil.copyfileobj(content, special)
        except OSError as error:
            raise FileError(f"{path}: cannot be written: {error.strerror}") from error


def _beside(target: Path, path: str | os.PathLike[str], mode: int | None) -> Path:
    """Make an empty temporary file beside a target, whose name says which process made it."""
    name = f"{_prefix(target)}{os.getpid()}-{secrets.token_hex(4)}{target.suffix}"
    temporary = target.with_name(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(target)
        if mode is None:
            mode = target.stat().st_mode if target.exists() else _MODE
        # Private from the first moment on, not only at the end.
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        os.close(os.open(temporary, flags, stat.S_IMODE(mode)))
    except OSError as error:
        # Without the name, which is one that nobody gave.
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error
    return temporary


def _settle(temporary: Path, target: Path, mode: int | None) -> None:
    """Give the temporary file the mode and owner that the target shall have, and put it in the
    target's place.
    """
    with suppress(FileNotFoundError):
        before = target.stat()
        temporary.chmod(stat.S_IMODE(before.st_mode))
        if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(PermissionError):  # only root may give files away
                os.chown(temporary, before.st_uid, before.st_gid)
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(target)


def _flush_file(path: Path) -> None:
    """Wait until a file's content is on the disk: most file systems may otherwise write its new
    name first.
    """
    file = os.open(path, os.O_RDWR)  # not for reading alone, which Windows does not flush
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _flush_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    # Some file systems have no such thing, and some folders may be written but not read: either
    # file is whole there too.
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _prefix(target: Path) -> str:
    # Shared folders: another machine's processes have numbers of their own.
    host = crc32(platform.node().encode()) % 10_000
    return f".{target.stem[:_MAX_STEM]}.{host:04d}-"


def _remove_left_over(target: Path) -> None:
    """Remove temporary files of this target whose process was killed."""
    prefix = _prefix(target)
    for entry in islice(os.scandir(target.parent), _MAX_ENTRIES):
        if not (entry.name.startswith(prefix) and entry.name.endswith(target.suffix)):
            continue
        number = re.match(r"(\d+)-[0-9a-f]{8}", entry.name[len(prefix) :])
        if number and not _is_alive(int(number[1])):
            with suppress(OSError):
                os.unlink(entry)


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere there is no signal that only asks
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
