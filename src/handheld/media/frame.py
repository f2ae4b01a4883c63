"""Frames: pictures with a time."""

from dataclasses import dataclass

from handheld.pictures import Picture

Image = Picture
"""(height, width, 3) uint8, RGB."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture of a stream.

    Attributes:
        image: (height, width, 3) uint8 RGB; not to be changed in place.
        t_us: presentation time in microseconds, increasing along a stream.
        index: number of the frame in its stream, from 0.
    """

    image: Image
    t_us: int
    index: int
