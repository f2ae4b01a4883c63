"""What uploaded files are, told by their content and read with bounds; nothing in them is run or
unpacked here.
"""

import json
import mmap
import struct
from pathlib import Path
from typing import Any

from handheld.compress.serving.limits import CompressLimits
from handheld.engine.onnx_fields import GRAPH, leads_elsewhere, onnx_fields
from handheld.errors import InputError

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # of protocols 2 to 5
# Of JSON, which takes many times as much memory once it is read.
_LARGEST_HEADER = 4_000_000
# Of a message: each takes time to read, however small it is.
_MOST_FIELDS = 300_000


def check_archive(path: Path) -> None:
    """Raise :class:`InputError` unless a file begins as a ZIP or gzip archive does."""
    with path.open("rb") as file:
        head = file.read(4)
    # the name was seen to by the form, which takes .zip and what gzip packs
    expected: tuple[bytes, ...] = (_GZIP,)
    if path.suffix == ".zip":
        expected = _ZIP
    if not head.startswith(expected):
        raise InputError(
            f"Data: expected a {path.name.removeprefix('data')} archive, "
            "got a file that is none inside"
        )


def check_model(path: Path, limits: CompressLimits) -> None:
    """Raise :class:`InputError` unless a file is what its name says, and of a size that may be
    read.
    """
    limits.require("Your model, bytes", path.stat().st_size, "model_bytes")
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith((*_ZIP, *_PICKLE)):
        raise InputError(
            "Your model: this is a pickle (what torch.save writes) under another name; "
            "none is read here"
        )
    if path.suffix == ".safetensors":
        _check_safetensors(path)
    else:
        _check_onnx(path)


def _check_safetensors(path: Path) -> None:
    """The header is its length in 8 bytes and JSON: name -> dtype, shape and place of
    each tensor.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        # a file that is too short gives a length that no file has
        length = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))[0]
        if not 2 <= length <= min(size - 8, _LARGEST_HEADER):
            raise _broken(
                "a safetensors", f"its header would have {length} bytes of the file's {size}"
            )
        text = file.read(length)
    try:
        header = json.loads(text)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        wrong = [
            name for name, entry in tensors.items() if not _lies_inside(entry, size - 8 - length)
        ]
    except (ValueError, AttributeError, RecursionError) as error:
        raise _broken("a safetensors", "its header is no JSON object") from error
    if not tensors:
        raise _broken("a safetensors", "it holds no tensors")
    if wrong:
        raise _broken("a safetensors", f"tensor {wrong[0][:80]!r} lies outside of it")


def _lies_inside(entry: Any, size: int) -> bool:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("dtype"), str)
        or not isinstance(entry.get("shape"), list)
    ):
        return False
    match entry.get("data_offsets"):
        case [int(start), int(end)]:
            return 0 <= start <= end <= size
    return False


def _check_onnx(path: Path) -> None:
    """A protobuf message with a graph, whose tensors lie in the file: others would be read from
    paths that it names.
    """
    if not path.stat().st_size:
        raise _broken("an ONNX", "it is empty")
    has_graph = False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            for message, number, value in onnx_fields(content, max_fields=_MOST_FIELDS):
                has_graph |= message == "model" and number == GRAPH and isinstance(value, tuple)
                if leads_elsewhere(message, number, value):
                    raise _broken(
                        "an ONNX",
                        "it keeps tensors in other files; save it with all tensors inside",
                    )
        except InputError:
            raise
        except ValueError as error:
            raise _broken("an ONNX", str(error)) from error
    if not has_graph:
        raise _broken("an ONNX", "it holds no graph")


def _broken(format_name: str, why: str) -> InputError:
    return InputError(f"Your model: expected {format_name} file, got one that cannot be: {why}")
