"""What others wrote: files that are files, archives that unpack no further than they are read, and
JSON whose texts are whole.
"""

import errno
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable
from typing import IO, Any

from handheld.errors import InputError

LONGEST_NAME = 64
"""Letters of a name of a gesture or a class."""

# Half of a surrogate pair, or one of the two halves of a whole one.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_MOST_DIGITS = 300  # of a whole number: floats end at 308, and int() takes long for thousands
_OPENED = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|\d+)/fd/\d+")
# Those that Python unpacks as far as is asked for; others give all at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NO_FILES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def require_file(path: str | os.PathLike[str]) -> None:
    """Refuse what is there and is no file: a pipe that nobody writes into would be waited for, and
    some devices never end.

    What the shell has opened (``/dev/stdin``, ``<(command)``) has a writer, and passes; so do
    folders, which opening refuses.

    Raises:
        OSError: there is nothing, or no file, at the path; also where no file can have such a name.
    """
    if "\0" in os.fsdecode(path):  # which Python calls a ValueError
        raise OSError(errno.EINVAL, "its name holds a NUL, which no name can")
    refused = _NO_FILES.get(stat.S_IFMT(os.stat(path).st_mode))
    if refused and not _OPENED.fullmatch(os.path.abspath(path)):
        raise OSError(errno.EINVAL, f"it is {refused}, expected a file")


def open_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """Open an entry of an archive, of which ``read(n)`` unpacks about n bytes.

    ``read()`` unpacks all that is there, whatever size the archive gives: a megabyte may hold a
    gigabyte. Ask for a number of bytes.

    Raises:
        ValueError: it is compressed by another method than "deflate".
    """
    if entry.compress_type not in _METHODS:
        raise ValueError(
            f"{entry.filename!r} in it is compressed by method {entry.compress_type},"
            " expected 8 (deflate) or 0 (none)"
        )
    return archive.open(entry)


def read_json(text: str | bytes, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Return what a text in JSON says.

    Args:
        text: as text, or as bytes in UTF-8, with a byte order mark or without.
        parse_constant: what becomes of NaN and infinities, see :func:`json.loads`.

    Raises:
        ValueError: it is no JSON, is nested too deeply, has a whole number of more than 300 digits,
            which no real number can hold, or holds half a letter, which no file and no screen can
            take: JSON may escape each half of a letter beyond 16 bits, and programs that cut texts
            leave one of them.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    text = text.removeprefix("\ufeff")
    try:
        value = json.loads(text, parse_constant=parse_constant, parse_int=_whole_number)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("brackets in brackets, too many to read") from error
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise ValueError(
            f"half a letter, {half} without its other half: a text was cut there; leave it out"
        ) from error
    return value


def _whole_number(digits: str) -> int:
    """Read a whole number. Raises ``ValueError`` for one that no float can hold."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits, {digits[:10]}...")
    return int(digits)


def is_whole(text: str) -> bool:
    """Whether a text can be written: half of a surrogate pair, as a cut emoji leaves it, cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def require_name(location: str, name: str) -> None:
    """Refuse a name that cannot be shown beside what it is of: an empty or long one, one with
    spaces around it, or with what a terminal takes for commands. Raises :class:`InputError`.
    """
    is_short = 0 < len(name) <= LONGEST_NAME
    if not (is_short and name == name.strip() and name.isprintable() and is_whole(name)):
        expected = f"1 to {LONGEST_NAME} letters that can be printed"
        raise InputError(f"{location}: expected {expected}, got {name!r:.100}")
