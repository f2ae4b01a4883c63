"""ZIP archives."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from handheld.errors import ArchiveError
from handheld.service.archives._entries import Unpacking

CHUNK = 1 << 16

# Numbers of the format, by PKWARE's APPNOTE, 4.3.14 to 4.3.16 and 4.4.4.
_ENCRYPTED = 0x1 | 0x40
_MASKED = 0x2000
_END = b"PK\x05\x06"
_END_SIZE = 22
_MAX_COMMENT = 0xFFFF
_END64 = b"PK\x06\x06"
_END64_SIZE = 56
_LOCATOR64 = b"PK\x06\x07"
_LOCATOR64_SIZE = 20

# A directory entry is 46 bytes and a name; zipfile reads the whole directory into memory, so it may
# not be larger than this for each file.
_ENTRY_BYTES = 2048


def unpack_zip(archive: Path, target: Unpacking) -> None:
    """Extract a ZIP archive. Raises :class:`ArchiveError`."""
    _check_directory(archive, target)
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                _check(info, target)
                if info.is_dir():
                    target.add_folder(info.orig_filename)
                else:
                    target.add_file(info.orig_filename, _content(opened, info))
    except ArchiveError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        struct.error,
    ) as error:
        raise target.reject(f"expected a ZIP archive, got a broken one ({error})") from error


def _content(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with opened.open(info) as member:
        while chunk := member.read(CHUNK):
            yield chunk


def _check(info: zipfile.ZipInfo, target: Unpacking) -> None:
    # zipfile takes both on trust: an entry without a name, and one that lies before the file.
    if not info.filename or info.header_offset < 0:
        raise target.reject("expected a ZIP archive, got one with a broken directory")
    if info.flag_bits & (_ENCRYPTED | _MASKED):
        raise target.reject(
            "expected a member that is not encrypted; pack it again without a password",
            info.orig_filename,
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise target.reject(
            f"expected a stored or deflated member, got method {info.compress_type}",
            info.orig_filename,
        )
    # Archives made on systems without such modes have none. The attributes are of use only where
    # Unix wrote them.
    mode = stat.S_IFMT(info.external_attr >> 16)
    is_false_folder = mode == stat.S_IFDIR and not info.is_dir()
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR) or is_false_folder:
        raise target.reject(
            "expected a plain file or folder, got a link or a device", info.orig_filename
        )


def _check_directory(archive: Path, target: Unpacking) -> None:
    """Refuse a directory that is too large to be read, before zipfile reads it."""
    size = archive.stat().st_size
    with archive.open("rb") as file:
        file.seek(max(0, size - _END_SIZE - _MAX_COMMENT - _LOCATOR64_SIZE))
        tail = file.read()
        end = tail.rfind(_END)
        if end < 0 or len(tail) - end < _END_SIZE:
            raise target.reject(
                "expected a ZIP archive, got one whose end is missing; was the upload cut short?"
            )
        entries, length = struct.unpack_from("<HI", tail, end + 10)
        locator = end - _LOCATOR64_SIZE
        if locator >= 0 and tail[locator:].startswith(_LOCATOR64):
            # What has more than 65,535 entries says so elsewhere.
            file.seek(min(size, struct.unpack_from("<Q", tail, locator + 8)[0]))
            end64 = file.read(_END64_SIZE)
            if len(end64) < _END64_SIZE or not end64.startswith(_END64):
                raise target.reject("expected a ZIP archive, got one with a broken directory")
            entries, length = struct.unpack_from("<QQ", end64, 32)
    if entries > target.max_files or length > (target.max_files + 1) * _ENTRY_BYTES:
        raise target.reject(f"expected at most {target.max_files} files and folders, got {entries}")
