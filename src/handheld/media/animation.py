"""Short clips that a browser plays without a player: animated WebP, GIF, PNG and AVIF."""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from handheld.errors import MediaError
from handheld.files import atomic_path
from handheld.media.frame import Frame, Image
from handheld.media.images import reason_of
from handheld.pictures import resize
from handheld.pictures.pillow import Image as PillowImage
from handheld.ranges import whole_in_range

_ALONE_MS = 1000  # a frame without another behind it: any time will do
_METHOD = 2  # of WebP, 0 (fast) to 6 (small)

# Milliseconds in which a format counts how long a frame is shown.
_TICKS = {".webp": 1, ".gif": 10, ".png": 1, ".apng": 1, ".avif": 1}


def write_animation(
    path: str | os.PathLike[str],
    frames: Iterable[Frame],
    *,
    width: int = 480,
    quality: int = 60,
) -> None:
    """Write frames as an animation that loops, at their own times.

    These are rounded to a thousandth of a second, in ``.gif`` to a hundredth, and the error does
    not grow: no frame comes sooner or later than that, but for frames that follow one another
    faster.

    Args:
        path: ends in ``.webp``, ``.gif``, ``.png``, ``.apng`` or ``.avif``.
        frames: at least one; the last is shown as long as the one before it.
        width: pixels, 1 or more; frames are scaled down to it, never up.
        quality: 0 to 100 (WebP and AVIF).

    Raises:
        InputError: ``width`` or ``quality`` out of its range.
        MediaError: no frame, another suffix, or a file that cannot be written.
    """
    whole_in_range("width", width, low=1)
    whole_in_range("quality", quality, low=0, high=100)
    tick = _TICKS.get(Path(path).suffix.lower())
    if tick is None:
        raise MediaError(f"{path}: cannot be written: an animation ends in {', '.join(_TICKS)}")
    frames = list(frames)
    if not frames:
        raise MediaError(f"{path}: no frame was given")
    # Of the first, whatever the others are: a file has one size.
    size = _scaled_size(frames[0].image, width)
    pictures = [
        PillowImage.fromarray(frame.image).resize(size, PillowImage.Resampling.BILINEAR)
        for frame in frames
    ]
    with atomic_path(path) as temporary:
        try:
            pictures[0].save(
                temporary,
                save_all=True,
                append_images=pictures[1:],
                duration=_durations(frames, tick),
                loop=0,
                quality=quality,
                method=_METHOD,
            )
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: cannot be written: {reason_of(error)}") from error


def _scaled_size(picture: Image, width: int) -> tuple[int, int]:
    """Return (width, height) of a picture scaled down to a width, at least one pixel high."""
    full_height, full_width = picture.shape[:2]
    width = min(width, full_width)
    return width, max(1, round(full_height * width / full_width))


def shrink(picture: Image, width: int) -> Image:
    """Return a picture scaled down to a width, or itself where it is no wider."""
    size = _scaled_size(picture, width)
    return resize(picture, (size[1], size[0]))


def _durations(frames: Sequence[Frame], tick: int) -> list[int]:
    """Return the milliseconds for which each frame is shown, in whole ticks."""
    start = frames[0].t_us
    begins = [0]
    for frame in frames[1:]:
        # From the start, not from the frame before: rounding errors must not add up. And players
        # take 0 for no time of its own.
        begins.append(max(begins[-1] + 1, round((frame.t_us - start) / (1000 * tick))))
    durations = [(end - begin) * tick for begin, end in pairwise(begins)]
    last = durations[-1] if durations else _ALONE_MS
    return [*durations, last]
