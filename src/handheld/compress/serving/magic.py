"""What uploaded files are, told by their content and read with bounds; nothing in them is run or unpacked here."""

import json
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from handheld.compress.serving.limits import CompressLimits
from handheld.errors import InputError

_ZIP, _GZIP = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b"
_LARGEST_HEADER = 4_000_000
_MOST_FIELDS = 300_000
_DEEPEST = 24
_MOST_KEY = 1 << 32

# Of ONNX's messages, the fields that lead to tensors: message -> field number -> message (onnx.proto).
_ONNX: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_GRAPH, _EXTERNAL_DATA, _DATA_LOCATION = 7, 13, 14


def check_archive(path: Path) -> None:
    """Raise :class:`InputError` unless a file begins as a ZIP or gzip archive does."""
    with path.open("rb") as file:
        head = file.read(4)
    if not head.startswith(_ZIP if path.suffix == ".zip" else _GZIP):
        raise InputError(f"Data: expected a {path.name.removeprefix('data')} archive, got a file that is none inside")


def check_model(path: Path, limits: CompressLimits) -> None:
    """Raise :class:`InputError` unless a file is what its name says, and of a size that may be read."""
    limits.require("Your model, bytes", path.stat().st_size, "model_bytes")
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith((*_ZIP, b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise InputError("Your model: this is a pickle (what torch.save writes) under another name; none is read here")
    (_check_safetensors if path.suffix == ".safetensors" else _check_onnx)(path)


def _check_safetensors(path: Path) -> None:
    """The header is its length in 8 bytes and JSON: name -> dtype, shape and place of each tensor."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))[0]
        if not 2 <= length <= min(size - 8, _LARGEST_HEADER):
            raise _broken("a safetensors", f"its header would have {length} bytes of the file's {size}")
        text = file.read(length)
    try:
        header = json.loads(text)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        wrong = [name for name, entry in tensors.items() if not _lies_inside(entry, size - 8 - length)]
    except (ValueError, AttributeError, RecursionError) as error:
        raise _broken("a safetensors", "its header is no JSON object") from error
    if wrong or not tensors:
        raise _broken("a safetensors", f"tensor {wrong[0][:80]!r} lies outside of it" if wrong else "it holds no tensors")


def _lies_inside(entry: Any, size: int) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str) or not isinstance(entry.get("shape"), list):
        return False
    match entry.get("data_offsets"):
        case [int(start), int(end)]:
            return 0 <= start <= end <= size
    return False


def _check_onnx(path: Path) -> None:
    """A protobuf message with a graph, whose tensors lie in the file: others would be read from paths that it names."""
    if not path.stat().st_size:
        raise _broken("an ONNX", "it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        seen, has_graph, waiting = 0, False, [("model", 0, len(content), 0)]
        while waiting:
            message, start, end, depth = waiting.pop()
            for number, value in _fields(content, start, end):
                seen += 1
                if seen > _MOST_FIELDS or depth > _DEEPEST:
                    raise _broken("an ONNX", f"it has more than {_MOST_FIELDS:,} parts, or parts {_DEEPEST} deep")
                has_graph |= message == "model" and number == _GRAPH and isinstance(value, tuple)
                if message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
                    raise _broken("an ONNX", "it keeps tensors in other files; save it with all tensors inside")
                if isinstance(value, tuple) and (inner := _ONNX[message].get(number)):
                    waiting.append((inner, *value, depth + 1))
    if not has_graph:
        raise _broken("an ONNX", "it holds no graph")


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Give the fields of a protobuf message: number, and value or the place (start, end) of what it holds."""
    while at < end:
        key, at = _varint(content, at, end)
        number, wire = key >> 3, key & 7
        # Protobuf's readers drop the bits above 32 of a key, so a larger one is another field to
        # them than to us: a tensor's place in another file was once hidden in that way.
        if number == 0 or key >= _MOST_KEY:
            raise _broken("an ONNX", f"it is no protobuf message at byte {at}")
        if wire == 0:
            value, at = _varint(content, at, end)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(content, at, end)
        else:
            length = {1: 8, 5: 4}.get(wire, end)
        if at + length > end:
            raise _broken("an ONNX", f"it is no protobuf message at byte {at}")
        yield number, (at, at + length)
        at += length


def _varint(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(at, min(end, at + 10)):
        value |= (content[place] & 0x7F) << 7 * (place - at)
        if content[place] < 0x80:
            return value, place + 1
    raise _broken("an ONNX", f"it is no protobuf message at byte {at}")


def _broken(kind: str, why: str) -> InputError:
    return InputError(f"Your model: expected {kind} file, got one that cannot be: {why}")
