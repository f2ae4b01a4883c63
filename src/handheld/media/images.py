"""Pictures in files."""

import io
import os
from pathlib import Path

import numpy as np

from handheld.errors import MediaError
from handheld.media._pillow import Image as PillowImage
from handheld.media._pillow import ImageOps, UnidentifiedImageError
from handheld.media.atomic import atomic_path
from handheld.media.frame import Image, as_rgb

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a picture file as (height, width, 3) uint8 RGB, turned upright as its EXIF orientation says.

    Raises :class:`MediaError` for a missing, empty, truncated or foreign file.
    """
    path = Path(path)
    try:
        with PillowImage.open(io.BytesIO(path.read_bytes())) as picture:
            upright = ImageOps.exif_transpose(picture)
            mode = "RGB" if upright.mode not in ("I;16", "L") else upright.mode
            return as_rgb(np.asarray(upright.convert(mode) if upright.mode != mode else upright))
    except UnidentifiedImageError:
        raise MediaError(f"{path}: expected a picture (PNG, JPEG, WebP, ...), got {_what(path)}") from None
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise MediaError(f"{path}: cannot be read as a picture: {error}") from error


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write a picture, in the format that the file's suffix names; the file appears whole or not at all."""
    with atomic_path(path) as temporary:
        try:
            PillowImage.fromarray(as_rgb(image)).save(temporary)
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: cannot be written: {error}") from error


def _what(path: Path) -> str:
    size = path.stat().st_size
    return f"{size} bytes that begin with {path.read_bytes()[:8]!r}" if size else "an empty file"
