"""What streams of MediaPipe's vision graphs carry, as plain values.

Pictures are (height, width, 3) uint8 RGB arrays, or frames with such; tensors are lists of arrays;
landmarks are (n, 3) arrays of x, y and z, with columns for visibility and presence where a model
gives these. An image's size is (width, height). ``MATRIX`` is (4, 4). All relative numbers are in
widths and heights of the picture.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.media import Frame, Image, Rect
from handheld.pictures import as_rgb

ImageSize = tuple[int, int]
"""Width and height in pixels."""

Padding = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of a letterboxed picture."""


def _no_points() -> NDArray[Any]:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Detection:
    """What a detector found: a box, keypoints, and how sure it is of what.

    Attributes:
        xmin, ymin, width, height: of the upright box, relative to the picture.
        keypoints: (n, 2), relative too.
        scores: one for each label, 0 to 1.
        label_ids: numbers of classes; empty where there are labels in their place.
        labels: names of classes.
        display_names: how people call them.
    """

    xmin: float
    ymin: float
    width: float
    height: float
    keypoints: NDArray[Any] = field(default_factory=_no_points)
    scores: tuple[float, ...] = ()
    label_ids: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    display_names: tuple[str, ...] = ()

    @property
    def rect(self) -> Rect:
        """The box by its centre."""
        return Rect(
            self.xmin + self.width / 2, self.ymin + self.height / 2, self.width, self.height
        )


Detections = list[Detection]
"""Those of one picture."""


@dataclass(frozen=True)
class NormalizedRect:
    """A rotated rectangle, relative to the picture.

    Attributes:
        x_center, y_center: of its centre.
        width, height: of its own edges.
        rotation: radians, clockwise as seen.
    """

    x_center: float = 0.0
    y_center: float = 0.0
    width: float = 0.0
    height: float = 0.0
    rotation: float = 0.0

    @property
    def rect(self) -> Rect:
        """The same, still relative."""
        return Rect(self.x_center, self.y_center, self.width, self.height, self.rotation)

    def in_pixels(self, size: ImageSize) -> Rect:
        """Return the rectangle in pixels of a picture of a size."""
        width, height = size
        return Rect(
            self.x_center * width,
            self.y_center * height,
            self.width * width,
            self.height * height,
            self.rotation,
        )

    @classmethod
    def of_pixels(cls, rect: Rect, size: ImageSize) -> "NormalizedRect":
        """Return a rectangle in pixels relative to a picture of a size."""
        width, height = size
        return cls(
            rect.x / width, rect.y / height, rect.width / width, rect.height / height, rect.angle
        )


@dataclass(frozen=True)
class Classification:
    """A class, and how sure a model is of it.

    Attributes:
        index: number of the class.
        score: 0 to 1.
        label: name of the class; empty without a label map.
        display_name: how people call it.
    """

    index: int
    score: float
    label: str = ""
    display_name: str = ""


@dataclass(frozen=True, repr=False)
class ResourceFile:
    """A file that a graph names.

    Attributes:
        path: as the graph has it.
        content: its bytes.
    """

    path: str
    content: bytes

    def __repr__(self) -> str:
        return f"ResourceFile({self.path!r}, {len(self.content)} bytes)"


def picture_of(payload: Any) -> Image:
    """Return the picture of a packet, a frame or an array. Raises :class:`InputError`."""
    return as_rgb(payload.image if isinstance(payload, Frame) else payload)
