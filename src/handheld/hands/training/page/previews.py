"""Photos as the page shows them: decoded here, upright, and small enough to be sent."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from handheld.errors import InputError
from handheld.media import read_image

# Pixels of the longer side: more than a screen shows of it, and a zoomed one is still sharp.
_LARGEST_SIDE = 2048
_QUALITY = 90
# Photos that are kept: the one that is looked at in a few tabs, and the next one.
_KEPT = 6


@dataclass(frozen=True)
class Preview:
    """A photo for the page.

    Attributes:
        content: JPEG.
        height: of the photo itself, in pixels.
        width: likewise.
    """

    content: bytes
    height: int
    width: int


class Previews:
    """The photos of a folder by their names in labels; used by several threads.

    A browser never gets a file itself: what comes out was decoded and is a plain JPEG, upright,
    whatever the file is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.open = lru_cache(maxsize=_KEPT)(self._open)

    def path(self, name: str) -> Path:
        """Return where a photo is.

        Raises:
            InputError: labels of others may name files elsewhere.
        """
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise InputError(f"{name}: not a path in the folder of photos")
        return self._folder / name

    def _open(self, name: str) -> Preview:
        """Return a photo. Raises :class:`HandheldError` if it is missing or damaged."""
        image = read_image(self.path(name))
        height, width = image.shape[:2]
        scale = _LARGEST_SIDE / max(height, width)
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            image = np.asarray(smaller, np.uint8)
        flags = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
        return Preview(content.tobytes(), height, width)
