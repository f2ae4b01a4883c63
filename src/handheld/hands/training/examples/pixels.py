"""Decoded pictures in one file that is mapped into memory: decoding once is
cheaper than in every step.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.files import atomic_path

Pixels: TypeAlias = NDArray[np.uint8]

# Pixels. Larger pictures are halved: no network here sees more than 256 of them.
_LARGEST_SIDE = 640


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Pictures by their position, (H, W, 3) uint8 RGB each, shared by all
    processes that open the file.

    Attributes:
        names: of the pictures, in order.
        shapes: (n, 2) heights and widths.
        halvings: (n,) how often each picture was halved.
        starts: (n,) where each begins, bytes.
        content: of the file.
    """

    names: tuple[str, ...]
    shapes: NDArray[np.int64]
    halvings: NDArray[np.int64]
    starts: NDArray[np.int64]
    content: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        height, width = self.shapes[index]
        start = self.starts[index]
        end = start + 3 * height * width
        return self.content[start:end].reshape(height, width, 3)

    def scale(self, index: int) -> float:
        """Return by what pixels of the original are multiplied to become pixels
        of the stored picture.
        """
        return float(0.5 ** self.halvings[index])


def open_store(
    path: Path,
    names: Sequence[str],
    load: Callable[[int], Pixels],
    *,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> PixelStore:
    """Open a store, and make it first if it is not there or holds other pictures.

    Args:
        path: of the pixels; what they are is written beside it, with the suffix ``.json``.
        names: of the pictures, in order.
        load: decodes the picture of a position.
        on_picture: called after each picture that was decoded.

    Raises:
        InputError: a picture cannot be read (from ``load``).
        FileError: the store cannot be written, or the disk is full.
    """
    index = path.with_suffix(".json")
    stored = _read_index(index)
    if stored is None or stored["names"] != list(names) or not path.is_file():
        _write(path, index, names, _counted(load, len(names), on_picture))
        # Read back, not kept: what is opened later is what is opened now.
        stored = _read_index(index)
    if stored is None:
        raise InputError(
            f"{index}: was not written as expected: delete it and {path.name} to begin again"
        )
    return _opened(path, stored)


def _opened(path: Path, stored: dict[str, list[Any]]) -> PixelStore:
    """Return the store that an index describes."""
    shapes = np.array(stored["shapes"], np.int64).reshape(-1, 2)
    sizes = 3 * shapes.prod(axis=1)
    return PixelStore(
        names=tuple(stored["names"]),
        shapes=shapes,
        halvings=np.array(stored["halvings"], np.int64),
        # A picture begins where all before it end.
        starts=np.cumsum(sizes) - sizes,
        content=_mapped(path, int(sizes.sum())),
    )


def _mapped(path: Path, size: int) -> Pixels:
    """Return the bytes of a file, read as they are used, and shared by the processes."""
    # An empty file cannot be mapped.
    content = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
    if len(content) != size:
        raise InputError(
            f"{path}: is {len(content)} bytes, expected {size}: delete it to begin again"
        )
    return content


def _counted(
    load: Callable[[int], Pixels], total: int, on_picture: Callable[[int, int], None]
) -> Iterable[Pixels]:
    for number in range(total):
        yield load(number)
        on_picture(number + 1, total)


def _read_index(path: Path) -> dict[str, list[Any]] | None:
    """Return what a store holds; ``None`` where there is no index, or it is damaged."""
    try:
        table: dict[str, list[Any]] = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return None
    if {"names", "shapes", "halvings"} <= table.keys():
        return table
    return None


def _write(path: Path, index: Path, names: Sequence[str], pictures: Iterable[Pixels]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = []
    halvings = []
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # One after the other: all of them are more than fits into memory.
        for picture in pictures:
            halved, times = _halved(picture)
            file.write(np.ascontiguousarray(halved).data)
            shapes.append(halved.shape[:2])
            halvings.append(times)
    table = {"names": list(names), "shapes": shapes, "halvings": halvings}
    # Last: an index is only there when its pixels are.
    with atomic_path(index) as temporary:
        temporary.write_text(json.dumps(table), "utf-8")


def _halved(picture: Pixels) -> tuple[Pixels, int]:
    """Return a picture that is small enough, and how often it was halved."""
    # Here, as a store that is there is opened without it.
    import cv2

    times = 0
    # By halves, not to a size: each pixel is the plain mean of four, and labels scale exactly.
    while max(picture.shape[:2]) > _LARGEST_SIDE:
        height, width = picture.shape[:2]
        smaller = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        picture = np.asarray(smaller, np.uint8)
        times += 1
    return picture, times
