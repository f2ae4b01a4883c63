"""Encoded pictures as arrays: formats, depth, colour, orientation, sizes.

Every room that takes pictures from outside reads them here, so that all know the same formats and
refuse the same things. Pillow, which decodes them, is imported when it is first needed, in
``handheld.pictures.pillow`` alone.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily
from handheld.pictures.colour import LUMA, as_rgb
from handheld.pictures.formats import FORMATS, MAX_PIXELS, SUFFIXES, Picture
from handheld.pictures.sizes import resample

if TYPE_CHECKING:
    from handheld.pictures.decoder import (
        TimedPicture,
        decode,
        decode_animation,
        is_animated,
        orientation_of,
        size_of,
    )
    from handheld.pictures.modes import of_image, resize, to_grey

_MODULES = {
    "modes": ("of_image", "resize", "to_grey"),
    "decoder": (
        "TimedPicture",
        "decode",
        "decode_animation",
        "is_animated",
        "orientation_of",
        "size_of",
    ),
}
_HOME: dict[str, str] = {}
for _module, _names in _MODULES.items():
    _HOME |= dict.fromkeys(_names, f"{__name__}.{_module}")

__all__ = [
    "FORMATS",
    "LUMA",
    "MAX_PIXELS",
    "SUFFIXES",
    "Picture",
    "TimedPicture",
    "as_rgb",
    "decode",
    "decode_animation",
    "is_animated",
    "of_image",
    "orientation_of",
    "resample",
    "resize",
    "size_of",
    "to_grey",
]


def __getattr__(name: str) -> Any:
    return lazily(__name__, _HOME, name)
