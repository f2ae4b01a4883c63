"""Pictures of Pillow's, in all its modes, as arrays; and what Pillow computes on arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MediaError
from handheld.pictures.formats import Picture
from handheld.pictures.pillow import Image

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", "La", "I", "F", *_DEEP)
# Tags of TIFF 6.0, and a value of the second.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_NO_COLOUR = -1
# What a step of 2 and of 4 bits is of 8; how colours of 16 bits lie in a PNG.
_WIDENED = {"L;2": 85, "L;4": 17}
_DEEP_COLOURS = "RGB;16B"
_OFTEN_WITHOUT_ALPHA = ("BMP", "TGA")
_WITHOUT_ALPHA = {"RGBA": "RGB", "LA": "L"}
_PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}


def of_image(image: Any, name: str = "picture") -> NDArray[np.uint8]:
    """Return a picture of Pillow's as :func:`decode` does, but not turned.

    One without colours is (height, width, 1).

    Raises:
        MediaError: numbers of no known range, or a mode that cannot be read.
    """
    array = to_rgb(image, name)
    return array[:, :, :1] if image.mode in _GREY else array


def to_rgb(image: Any, name: str = "picture") -> Picture:
    """Return a picture of Pillow's as :func:`decode` does, but not turned.

    Raises as :func:`of_image`.
    """
    image = in_full_range(image, image)
    mode = image.mode
    if mode == "I" or mode in _DEEP:
        values = np.asarray(image)
        grey = _grey(_of_whole_numbers(values, name))
        # The colour of a PNG that is see-through; Pillow lays no such picture on white.
        grey[values == image.info.get("transparency", _NO_COLOUR)] = 255
        return grey
    if mode == "F":
        return _grey(_of_fractions(np.asarray(image), name))
    try:
        # Colours that are multiplied by alpha already would be so twice.
        if mode in _PREMULTIPLIED:
            image = image.convert(_PREMULTIPLIED[mode])
        if image.has_transparency_data:
            return np.array(_on_white(image))
        return np.array(image.convert("RGB"))
    except ValueError as error:
        raise MediaError(f"{name}: pictures of mode {mode} cannot be read: {error}") from error


def in_full_range(image: Any, opened: Any) -> Any:
    """Return a picture of a TIFF file whose black is 0 and whose white is the most of its mode.

    Pillow keeps 12 bits as they are in 16, and turns files that count from white for 8 bits alone.

    Args:
        image: of Pillow's.
        opened: the same as it was opened, with the tags of its file.
    """
    tags = getattr(opened, "tag_v2", {})
    if image.mode in _DEEP and tags.get(_BITS_PER_SAMPLE) == (12,):
        values = np.asarray(image).astype(np.uint16)
        # The upper bits once more below, so that 4095 becomes 65,535.
        image = Image.fromarray(values << 4 | values >> 8)
    if tags.get(_PHOTOMETRIC) != _WHITE_IS_ZERO:
        return image
    if image.mode in _DEEP:
        return Image.fromarray(np.uint16(2**16 - 1) - np.asarray(image).astype(np.uint16))
    if image.mode == "F":
        return Image.fromarray(1 - np.asarray(image))
    return image


def with_whole_key(image: Any) -> Any:
    """Return a PNG whose see-through colour is one of the colours that Pillow gives.

    Pillow widens 2 and 4 bits to 8 and cuts 16 bits of colours, but leaves this colour as the file
    has it.

    Args:
        image: of Pillow's, opened and not yet loaded.
    """
    tiles = getattr(image, "tile", None)
    if image.format != "PNG" or not tiles:
        return image
    key = image.info.get("transparency")
    layout = tiles[0][-1]  # Pillow's word for how numbers lie in the file
    if isinstance(key, int) and layout in _WIDENED:
        image.info["transparency"] = key * _WIDENED[layout]
    if isinstance(key, tuple) and layout == _DEEP_COLOURS:
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image


def without_empty_alpha(image: Any) -> Any:
    """Return a BMP or TGA without its fourth channel where that is 0 everywhere: programs that know
    of none leave it so, and nothing of the picture would be seen.
    """
    if image.format not in _OFTEN_WITHOUT_ALPHA or image.mode not in _WITHOUT_ALPHA:
        return image
    if image.getchannel("A").getextrema() != (0, 0):
        return image
    return image.convert(_WITHOUT_ALPHA[image.mode])


def to_grey(picture: Picture) -> NDArray[np.uint8]:
    """Return (height, width, 1) brightness, as :data:`handheld.pictures.LUMA` weighs colours; of a
    grey picture its own.
    """
    return np.array(Image.fromarray(picture).convert("L"))[:, :, None]


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture of another (height, width), bilinearly sampled over each pixel's area."""
    height, width = size
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _on_white(picture: Any) -> Any:
    """Return RGB as a page shows it: the colours of what is see-through are whatever some program
    left there.
    """
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _of_whole_numbers(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return 8 bits of 16, which some writers have no other way to keep than in 32."""
    low = int(values.min())
    high = int(values.max())
    if not 0 <= low <= high < 2**16:
        raise MediaError(
            f"{name}: expected whole numbers in [0, 65535], got {low} to {high}: scale them first"
        )
    if 0 < high < 2**8:  # these would all be black
        raise MediaError(
            f"{name}: has 16 bits, of which {low} to {high} need 8 alone, so white is not known: "
            "scale it first"
        )
    scaled: NDArray[Any] = values >> 8
    return scaled


def _of_fractions(values: NDArray[Any], name: str) -> NDArray[Any]:
    low = float(values.min())
    high = float(values.max())
    if not (low >= 0 and high <= 1):  # also where one of them is no number
        raise MediaError(
            f"{name}: expected fractions in [0, 1], got {low:g} to {high:g}: scale them first"
        )
    scaled: NDArray[Any] = np.rint(values * 255)
    return scaled


def _grey(values: NDArray[Any]) -> Picture:
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)
