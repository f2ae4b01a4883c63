"""Decoded pictures in one file that is mapped into memory: decoding once is
cheaper than in every step.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.hands.training.examples.records import parsed
from handheld.pictures import MAX_PIXELS
from handheld.ranges import whole_in_range

Pixels: TypeAlias = NDArray[np.uint8]
# Name, bytes of the file, nanoseconds of its last change: what tells one picture from another
# without reading gigabytes at each start.
Stamp: TypeAlias = tuple[str, int, int]

_log = logging.getLogger(__name__)

# Pixels. Larger pictures are halved: no network here sees more than 256 of them.
_LARGEST_SIDE = 640


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Pictures by their position, (H, W, 3) uint8 RGB each, shared by all
    processes that open the file.

    Attributes:
        names: of the pictures, in order.
        sizes: (n, 2) heights and widths of the originals.
        shapes: (n, 2) heights and widths of the stored pictures.
        halvings: (n,) how often each picture was halved.
        starts: (n,) where each begins, bytes.
        content: of the file.
    """

    names: tuple[str, ...]
    sizes: NDArray[np.int64]
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
    files: Mapping[str, Path],
    load: Callable[[int], Pixels],
    *,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> PixelStore:
    """Open a store, and make it first if it is not there, is damaged, or holds other pictures.

    Args:
        path: of the pixels; what they are is written beside it, with the suffix ``.json``.
        files: of the pictures by their names, in order.
        load: decodes the picture of a position.
        on_picture: called after each picture that was decoded.

    Raises:
        InputError: a picture cannot be read (from ``load``).
        FileError: the store cannot be written, or the disk is full.
    """
    index = path.with_suffix(".json")
    # Before they are decoded: a file that is written meanwhile is decoded again the next time.
    stamps = [_stamp(name, file) for name, file in files.items()]
    store = _stored(path, index, stamps)
    if store is None:
        _write(path, index, stamps, _counted(load, len(stamps), on_picture))
        # Read back, not kept: what is opened later is what is opened now.
        store = _stored(path, index, stamps)
    if store is None:
        raise InputError(
            f"{index}: was not written as expected: delete it and {path.name} to begin again"
        )
    return store


def _stamp(name: str, file: Path) -> Stamp:
    try:
        status = file.stat()
    except OSError:
        # Who decodes it says what is wrong with it.
        return name, 0, 0
    return name, status.st_size, status.st_mtime_ns


def _stored(path: Path, index: Path, stamps: list[Stamp]) -> PixelStore | None:
    """Return the store of some pictures; ``None`` where it is not there, or not as it should be."""
    if not index.is_file():
        return None
    try:
        sizes = _read_sizes(index, stamps)
        return _opened(path, [name for name, _, _ in stamps], sizes)
    except (OSError, ValueError) as error:
        _log.warning("%s is made anew: %s", path, error)
        return None


def _read_sizes(index: Path, stamps: list[Stamp]) -> NDArray[np.int64]:
    """Return the sizes (n, 2) that an index has of some pictures."""
    table = parsed(index.read_bytes())
    if not isinstance(table, dict):
        raise InputError(f"{index} is damaged: expected an object, got {table!r:.80}")
    if table.get("pictures") != [list(stamp) for stamp in stamps]:
        raise InputError("it holds other pictures, or they have changed")
    sizes = table.get("sizes")
    if not isinstance(sizes, list) or len(sizes) != len(stamps):
        raise InputError(f"{index} is damaged: expected {len(stamps)} sizes, got {sizes!r:.80}")
    for size in sizes:
        _require_size(f"{index} is damaged", size)
    return np.array(sizes, np.int64).reshape(-1, 2)


def _require_size(location: str, size: object) -> None:
    if not isinstance(size, list) or len(size) != 2:
        raise InputError(f"{location}: expected height and width, got {size!r:.80}")
    for side in size:
        whole_in_range(location, side, low=1, high=MAX_PIXELS)


def _opened(path: Path, names: Iterable[str], sizes: NDArray[np.int64]) -> PixelStore:
    """Return the store of pictures of some sizes."""
    halvings = np.array([_halvings(height, width) for height, width in sizes.tolist()], np.int64)
    shapes = np.maximum(sizes >> halvings[:, None], 1)
    lengths = 3 * shapes.prod(axis=1)
    return PixelStore(
        names=tuple(names),
        sizes=sizes,
        shapes=shapes,
        halvings=halvings,
        # A picture begins where all before it end.
        starts=np.cumsum(lengths) - lengths,
        content=_mapped(path, int(lengths.sum())),
    )


def _mapped(path: Path, size: int) -> Pixels:
    """Return the bytes of a file, read as they are used, and shared by the processes."""
    # An empty file cannot be mapped.
    content = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
    if len(content) != size:
        raise InputError(f"expected {size} bytes, got {len(content)}")
    return content


def _counted(
    load: Callable[[int], Pixels], total: int, on_picture: Callable[[int, int], None]
) -> Iterable[Pixels]:
    for number in range(total):
        yield load(number)
        on_picture(number + 1, total)


def _write(path: Path, index: Path, stamps: list[Stamp], pictures: Iterable[Pixels]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = []
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # One after the other: all of them are more than fits into memory.
        for picture in pictures:
            file.write(np.ascontiguousarray(_halved(picture)).data)
            sizes.append(picture.shape[:2])
    # Last: an index is only there when its pixels are.
    with atomic_path(index) as temporary:
        temporary.write_text(json.dumps({"pictures": stamps, "sizes": sizes}), "utf-8")


def _halvings(height: int, width: int) -> int:
    """Return how often a picture is halved to be small enough."""
    times = 0
    while max(height, width) >> times > _LARGEST_SIDE:
        times += 1
    return times


def _halved(picture: Pixels) -> Pixels:
    """Return a picture that is small enough."""
    # Here, as a store that is there is opened without it.
    import cv2

    # By halves, not to a size: each pixel is the plain mean of four, and labels scale exactly.
    for _ in range(_halvings(*picture.shape[:2])):
        height, width = picture.shape[:2]
        # A line of pixels stays one.
        size = (max(width // 2, 1), max(height // 2, 1))
        smaller = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        picture = np.asarray(smaller, np.uint8)
    return picture
