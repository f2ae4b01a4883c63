"""Pictures in files."""

import os
from pathlib import Path

from handheld.errors import MediaError
from handheld.files import atomic_path
from handheld.media.frame import Image
from handheld.pictures import as_rgb, decode
from handheld.pictures.pillow import Image as PillowImage
from handheld.untrusted import require_file


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a picture file as (height, width, 3) uint8 RGB, upright as its EXIF orientation says.

    Raises :class:`MediaError` for a missing, empty, truncated or foreign file; see
    :func:`handheld.pictures.decode`.
    """
    return decode(read_content(path), str(path))


def read_content(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a picture file. Raises :class:`MediaError` for what is no file."""
    try:
        require_file(path)
        return Path(path).read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read as a picture: {error}") from error


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write a picture, in the format that the file's suffix names.

    The file appears whole or not at all. Raises :class:`MediaError` for a suffix of no format, and
    for what cannot be written.
    """
    ensure_picture_suffix(path)
    with atomic_path(path) as temporary:
        try:
            PillowImage.fromarray(as_rgb(image)).save(temporary)
        # ValueError: Pillow reads this format, but does not write it.
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: cannot be written: {reason_of(error)}") from error


def ensure_picture_suffix(path: str | os.PathLike[str]) -> None:
    """Raise :class:`MediaError` for a suffix of no picture format: Pillow would name a temporary
    file.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PillowImage.registered_extensions():
        problem = f"no picture format has the suffix {suffix!r}"
        raise MediaError(f"{path}: cannot be written: {problem}; name a .png or .jpg")


def reason_of(error: Exception) -> object:
    """Return why, without the name of the temporary file, which a system's own message has."""
    return getattr(error, "strerror", None) or error
