"""Short clips that a browser plays without a player: animated WebP or GIF."""

import os
from collections.abc import Iterable
from itertools import pairwise

from handheld.errors import MediaError
from handheld.files import atomic_path
from handheld.media.frame import Frame
from handheld.pictures.pillow import Image as PillowImage


def write_animation(path: str | os.PathLike[str], frames: Iterable[Frame], *, width: int = 480, quality: int = 60) -> None:
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
    height, full_width = frames[0].image.shape[:2]
    width = min(width, full_width)
    size = (width, max(1, round(height * width / full_width)))
    pictures = [PillowImage.fromarray(frame.image).resize(size, PillowImage.Resampling.BILINEAR) for frame in frames]
    times = [frame.t_us for frame in frames]
    steps = [max(1, round((after - before) / 1000)) for before, after in pairwise(times)] or [1000]
    with atomic_path(path) as temporary:
        try:
            pictures[0].save(
                temporary,
                save_all=True,
                append_images=pictures[1:],
                duration=[*steps, steps[-1]],
                loop=0,
                quality=quality,
                method=2,
            )
        except (OSError, ValueError) as error:
            raise MediaError(f"{path}: cannot be written: {error}") from error
