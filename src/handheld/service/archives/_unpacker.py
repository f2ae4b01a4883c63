"""Archives that strangers send: opened without trusting a word of them."""

import os
from pathlib import Path

from handheld.errors import ArchiveError, InputError
from handheld.files import atomic_folder
from handheld.service.archives._entries import Unpacking
from handheld.service.archives._tar import unpack_tar
from handheld.service.archives._zip import unpack_zip
from handheld.untrusted import require_file

_TAR_MAGIC_OFFSET = 257  # of "ustar" in a header, by POSIX


def unpack(
    archive: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    max_bytes: int,
    max_files: int,
) -> Path:
    """Extract a .zip, .tar, .tar.gz or .tar.xz into a new folder, whole or not at all, and return
    the folder.

    The kind is told by content, not by name. ``max_bytes`` bounds the bytes really written,
    ``max_files`` the files and folders, whatever the headers say. Only plain files and folders are
    taken: no links, devices, sparse or encrypted members; names are relative, of printable
    characters, without ``..``, and none comes twice. Modes, owners and times are not kept. Raises
    :class:`ArchiveError`, after which nothing remains, :class:`InputError` if ``folder`` exists and
    is not empty, and :class:`FileError` if it cannot be written.
    """
    source = Path(archive)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{target}: expected a folder that does not exist or is empty; "
            "remove it to unpack again"
        )
    # Beside it first: a half unpacked folder would be taken for a whole one.
    with atomic_folder(target) as temporary:
        opened = Unpacking(temporary, source.name, max_bytes, max_files)
        if _format_of(source) == "zip":
            unpack_zip(source, opened)
        else:
            unpack_tar(source, opened)
    return target


def _format_of(archive: Path) -> str:
    """Say what an archive is by its first bytes."""
    try:
        require_file(archive)
        with archive.open("rb") as file:
            head = file.read(_TAR_MAGIC_OFFSET + 5)
    except OSError as error:
        raise ArchiveError(f"{archive.name}: cannot be read: {error.strerror}") from error
    # The second is that of a ZIP without any member.
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith((b"\x1f\x8b", b"\xfd7zXZ\x00")) or head[_TAR_MAGIC_OFFSET:] == b"ustar":
        return "tar"
    raise ArchiveError(
        f"{archive.name}: expected a .zip, .tar, .tar.gz or .tar.xz archive, got none of them"
    )
