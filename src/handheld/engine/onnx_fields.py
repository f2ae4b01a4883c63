"""The fields of an ONNX file that lead to tensors, read without unpacking any: which other files it names."""

import mmap
from collections.abc import Iterator, Mapping

Content = bytes | mmap.mmap
Value = int | tuple[int, int]
"""Of a field: a number, or where what it holds starts and ends."""

# Of ONNX's messages: message -> field number -> message (onnx.proto).
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_DEEPEST = 24
_MOST_KEY = 1 << 32
GRAPH = 7
"""Number of a model's field that holds its graph."""


def onnx_fields(content: Content, *, most: int) -> Iterator[tuple[str, int, Value]]:
    """Give every field of the messages that lead to tensors: the message's name, the field's number, its value.

    Args:
        content: of the file.
        most: fields to read before the file is given up.

    Raises:
        ValueError: what is no such message, or has too many fields or too deep ones.
    """
    seen = 0
    waiting = [("model", 0, len(content), 0)]
    while waiting:
        message, start, end, depth = waiting.pop()
        for number, value in _fields(content, start, end):
            seen += 1
            if seen > most or depth > _DEEPEST:
                raise ValueError(f"it has more than {most:,} parts, or parts {_DEEPEST} deep")
            yield message, number, value
            inner = _MESSAGES[message].get(number)
            if inner and isinstance(value, tuple):
                waiting.append((inner, *value, depth + 1))


def leads_elsewhere(message: str, number: int, value: Value) -> bool:
    """Whether a field says that a tensor lies in another file."""
    return message == "tensor" and (
        number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
    )


def external_names(content: Content, *, most: int) -> set[str]:
    """Return the names of the other files in which tensors lie, as the file writes them.

    Raises:
        ValueError: as :func:`onnx_fields`, or a name is no UTF-8.
    """
    names = set()
    for message, number, value in onnx_fields(content, most=most):
        if message != "tensor" or number != _EXTERNAL_DATA or not isinstance(value, tuple):
            continue
        entry = {
            number: bytes(content[slice(*place)])
            for number, place in _fields(content, *value)
            if isinstance(place, tuple)
        }
        if entry.get(_ENTRY_KEY) == b"location":
            names.add(entry.get(_ENTRY_VALUE, b"").decode("utf-8"))
    return names


def _fields(content: Content, at: int, end: int) -> Iterator[tuple[int, Value]]:
    """Give the fields of a protobuf message: number, and value or the place (start, end) of what it holds."""
    while at < end:
        key, at = _varint(content, at, end)
        number, wire = key >> 3, key & 7
        # Protobuf's readers drop the bits above 32 of a key, so a larger one is another field to
        # them than to us: a tensor's place in another file was once hidden in that way.
        if number == 0 or key >= _MOST_KEY:
            raise ValueError(f"it is no protobuf message at byte {at}")
        if wire == 0:
            value, at = _varint(content, at, end)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(content, at, end)
        else:
            length = {1: 8, 5: 4}.get(wire, end)
        if at + length > end:
            raise ValueError(f"it is no protobuf message at byte {at}")
        yield number, (at, at + length)
        at += length


def _varint(content: Content, at: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(at, min(end, at + 10)):
        value |= (content[place] & 0x7F) << 7 * (place - at)
        if content[place] < 0x80:
            return value, place + 1
    raise ValueError(f"it is no protobuf message at byte {at}")
