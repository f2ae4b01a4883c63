"""Pictures in files."""

import os
from pathlib import Path

from handheld.errors import MediaError
from handheld.files import atomic_path
from handheld.media.frame import Image
from handheld.pictures import as_rgb, decode
from handheld.pictures.pillow import Image as PillowImage


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a picture file as (height, width, 3) uint8 RGB, turned upright as its EXIF orientation says.

    Raises :class:`MediaError` for a missing, empty, truncated or foreign file; see :func:`handheld.pictures.decode`.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read as a picture: {error}") from error
    return decode(content, str(path))


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write a picture, in the format that the file's suffix names; the file appears whole or not at all."""
    with atomic_path(path) as temporary:
        try:
            PillowImage.fromarray(as_rgb(image)).save(temporary)
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: cannot be written: {error}") from error
