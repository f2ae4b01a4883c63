"""What pictures are, and which files of them are read."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI", "TGA")
"""What is read, as Pillow calls it.

EPS is not among them, nor anything else for which Pillow runs other programs.
"""

SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".j2k",
        ".jp2",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".ppm",
        ".qoi",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Names that pictures of these formats have, in lower case."""

MAX_PIXELS = 128_000_000
"""Of one picture: more than the 108 megapixels of today's phones.

Three bytes each, and as many again while it is turned.
"""
