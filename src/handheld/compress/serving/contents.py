"""What lies in an unpacked archive, judged before it is read into memory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from handheld.compress.serving.limits import CompressLimits
from handheld.errors import InputError, MediaError, TooManyPixelsError
from handheld.pictures import size_of
from handheld.service import unpack

_TABLES = (".csv", ".tsv")
_SAVED = ("state.json", "dataset_dict.json")  # of data sets that a library saved
_MOST_ARRAYS = 64
_CHANNELS = 3  # of a picture in memory, one byte each
_NAMES_SHOWN = 5
_CHUNK = 1 << 20  # characters that are read at once
_TEXT_COSTS = 8  # bytes of memory for one of a table's file


def find_data(folder: Path) -> Path:
    """Return the one .npz, .csv or .tsv in a folder, or the folder that holds the classes.

    Other folders may stand around that one. What macOS adds to archives is removed.

    Raises:
        InputError: there is anything else.
    """
    _remove_macos_files(folder)
    folder = _innermost(folder)
    files = [path for path in folder.rglob("*") if path.suffix in (".npz", *_TABLES)]
    if len(files) > 1:
        raise InputError(
            f"Data: expected one .npz, .csv or .tsv in the archive, "
            f"got {len(files)}: {_names(files, folder)}"
        )
    if files:
        return files[0]
    inside = _visible(folder)
    for path in inside:
        if path.name in _SAVED:
            raise InputError(
                f"Data: {path.name} in the archive belongs to a saved data set; "
                "pack pictures or an .npz instead"
            )
    if sum(path.is_dir() for path in inside) < 2:
        raise InputError(
            "Data: expected a folder for each of two classes or more in the archive, "
            f"got {_names(inside, folder)}"
        )
    return folder


def _remove_macos_files(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.name == "__MACOSX" and path.is_dir():
            shutil.rmtree(path)
        elif path.is_file() and (path.name.startswith("._") or path.name == ".DS_Store"):
            path.unlink()


def _innermost(folder: Path) -> Path:
    """Go into folders that hold nothing but one folder of folders."""
    while True:
        folders = [path for path in _visible(folder) if path.is_dir()]
        if len(folders) != 1 or not any(path.is_dir() for path in folders[0].iterdir()):
            return folder
        folder = folders[0]


def _visible(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def check_data(data: Path, side: int | None, limits: CompressLimits) -> None:
    """Raise :class:`InputError` for data that is more than the limits, or could not be learned
    from.
    """
    if data.is_dir():
        _check_pictures(data, side, limits)
    elif data.suffix == ".npz":
        _check_arrays(data, side, limits)
    else:
        _check_table(data, limits)


def _check_pictures(data: Path, side: int | None, limits: CompressLimits) -> None:
    # sorted, so that the same archive has the same error on every machine
    files = [path for path in sorted(data.rglob("*")) if path.is_file()]
    limits.require("Data, pictures", len(files), "pictures")
    # Of each size the first picture.
    examples: dict[tuple[int, int], str] = {}
    for path, size in _sizes(files):
        name = path.relative_to(data).as_posix()
        _check_size(name, size, side, limits)
        examples.setdefault(size, name)
        if not side and len(examples) > 1:
            listed = ", ".join(
                f"{example} of {width} x {height}" for (width, height), example in examples.items()
            )
            raise InputError(
                f"Data: pictures differ in size ({listed}): say in Side what to bring them to"
            )
    # without a side all have one size: others were refused above
    width, height = next(iter(examples), (1, 1))
    if side:
        width = side
        height = side
    memory = _CHANNELS * width * height * len(files)
    if memory > limits.unpacked_bytes:
        raise InputError(
            f"Data: {len(files):,} pictures of {width} x {height} take {memory / 1e9:.3g} GB of "
            f"memory, at most {limits.unpacked_bytes / 1e9:.3g} GB are given: "
            "take fewer, or a smaller side"
        )


def _check_size(name: str, size: tuple[int, int], side: int | None, limits: CompressLimits) -> None:
    longest = limits.side
    advice = "say in Side what to bring pictures to"
    if side:
        # only decoded at this size: what is kept in memory is smaller
        longest = limits.source_side
        advice = "make it smaller"
    if max(size) > longest:
        raise InputError(
            f"Data: {name} is {size[0]} x {size[1]} pixels, "
            f"at most {longest} x {longest} are taken: {advice}"
        )


def _sizes(files: list[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Give width and height of each picture from its first bytes; what is no picture is left to be
    named by ``data.load``.
    """
    for path in files:
        name = f"{path.parent.name}/{path.name}"
        try:
            height, width = size_of(path, name)
        except TooManyPixelsError as error:
            raise InputError(f"Data: {name} has more pixels than are taken: {error}") from error
        except MediaError:
            # no picture: left out, and named, when the data is read
            continue
        yield path, (width, height)


def _check_arrays(data: Path, side: int | None, limits: CompressLimits) -> None:
    """An .npz is an archive in the archive, so it is unpacked within limits too; then its arrays
    say what they are.
    """
    folder = data.with_suffix(".arrays")
    shutil.rmtree(folder, ignore_errors=True)
    unpack(data, folder, max_bytes=limits.unpacked_bytes, max_files=_MOST_ARRAYS)
    examples = 0
    try:
        for path in sorted(folder.rglob("*")):
            examples += _check_array(path, side, limits)
        limits.require("Data, pictures", examples, "pictures")
    except InputError:
        raise
    # numpy reads headers with Python's own parser, and lets all that this raises through
    except Exception as error:
        raise InputError(f"Data: {path.name} is no array: {error}") from error
    finally:
        shutil.rmtree(folder)


def _check_array(path: Path, side: int | None, limits: CompressLimits) -> int:
    """Return how many examples an array of an .npz adds."""
    # mapped, as its shape alone is looked at; no pickles, which run what they hold
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if path.suffix != ".npy" or not isinstance(array, np.ndarray):
        raise InputError(f"Data: expected arrays only in the .npz, got {path.name}")
    if path.stem.startswith("x") and array.ndim > 2:
        _check_shape(path.stem, array.shape[1:3], side, limits)
        return len(array)
    if path.stem.startswith("y") and array.dtype.kind in "iu" and array.size:
        limits.require("Data, classes", int(array.max()) + 1, "classes")
    elif path.stem == "classes" and array.ndim:
        limits.require("Data, classes", len(array), "classes")
    return 0


def _check_shape(
    name: str, sides: tuple[int, ...], side: int | None, limits: CompressLimits
) -> None:
    limits.require(f"Data, side of the pictures in {name}", max(sides), "side")
    if side and sides != (side, side):
        raise InputError(
            f"Side: arrays are learned from as they are, here {list(sides)}; leave it empty"
        )


def _check_table(data: Path, limits: CompressLimits) -> None:
    size = data.stat().st_size
    largest = limits.unpacked_bytes // _TEXT_COSTS
    if size > largest:
        raise InputError(f"Data: {data.name} has {size:,} bytes, at most {largest:,} are taken")
    # As text, so that lines may end in LF, CRLF or CR, as for the reader of tables; in an encoding
    # that has no wrong bytes.
    with data.open(encoding="latin-1") as file:
        chunks = iter(lambda: file.read(_CHUNK), "")
        limits.require("Data, rows", sum(chunk.count("\n") for chunk in chunks), "pictures")


def _names(paths: list[Path], folder: Path) -> str:
    if not paths:
        return "nothing"
    shown = []
    for path in paths[:_NAMES_SHOWN]:
        name = path.relative_to(folder).as_posix()
        shown.append(f"{name}/" if path.is_dir() else name)
    more = len(paths) - len(shown)
    listed = ", ".join(shown)
    if not more:
        return listed
    return f"{listed} and {more} more"
