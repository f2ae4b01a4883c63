"""Short clips that a browser plays without a player: animated WebP or GIF."""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

from handheld.errors import MediaError
from handheld.files import atomic_path
from handheld.media.frame import Frame
from handheld.media.images import ensure_picture_suffix, reason_of
from handheld.pictures.pillow import Image as PillowImage

_ALONE_MS = 1000  # a frame without another behind it: any time will do
_METHOD = 2  # of WebP, 0 (fast) to 6 (small)


def write_animation(
    path: str | os.PathLike[str],
    frames: Iterable[Frame],
    *,
    width: int = 480,
    quality: int = 60,
) -> None:
    """Write frames as an animation that loops, at their own times.

    Args:
        path: ends in ``.webp`` or ``.gif``.
        frames: at least one; the last is shown as long as the one before it.
        width: pixels; frames are scaled down to it, never up.
        quality: 0 to 100 (WebP).
    """
    frames = list(frames)
    if not frames:
        raise MediaError(f"{path}: no frame was given")
    ensure_picture_suffix(path)
    # Of the first, whatever the others are: a file has one size.
    size = _scaled_size(frames[0], width)
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
                duration=_durations(frames),
                loop=0,
                quality=quality,
                method=_METHOD,
            )
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: cannot be written: {reason_of(error)}") from error


def _scaled_size(frame: Frame, width: int) -> tuple[int, int]:
    """Return (width, height) of a frame scaled down to a width, at least one pixel high."""
    full_height, full_width = frame.image.shape[:2]
    width = min(width, full_width)
    return width, max(1, round(full_height * width / full_width))


def _durations(frames: Sequence[Frame]) -> list[int]:
    """Return the milliseconds for which each frame is shown."""
    durations = []
    for frame, following in pairwise(frames):
        milliseconds = round((following.t_us - frame.t_us) / 1000)
        # Players take 0 for no time of its own.
        durations.append(max(1, milliseconds))
    last = durations[-1] if durations else _ALONE_MS
    return [*durations, last]
