"""The fields of an ONNX file that lead to tensors, read without unpacking any.

They tell which other files the model names.
"""

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
# Fields of a tensor, and of the entries in its external data.
_EXTERNAL_DATA = 13
_DATA_LOCATION = 14
_ENTRY_KEY = 1
_ENTRY_VALUE = 2

_MAX_DEPTH = 24  # of graphs in the attributes of nodes; a real model has two or three
# Protobuf's readers drop the bits above 32 of a key, so a larger one is another field to them than
# to us: a tensor's place in another file was once hidden in that way.
_KEY_LIMIT = 1 << 32
_MOST_VARINT_BYTES = 10  # seven bits each, of 64
# Wire types of the protobuf encoding: how long what follows is.
_VARINT = 0
_LENGTH_PREFIXED = 2
_FIXED = {1: 8, 5: 4}

GRAPH = 7
"""Number of a model's field that holds its graph."""


def onnx_fields(content: Content, *, max_fields: int) -> Iterator[tuple[str, int, Value]]:
    """Give every field of the messages that lead to tensors.

    Args:
        content: of the file.
        max_fields: fields to read before the file is given up.

    Yields:
        The message's name, the field's number, its value.

    Raises:
        ValueError: what is no such message, or has too many fields or too deep ones.
    """
    count = 0
    waiting = [("model", 0, len(content), 0)]
    while waiting:
        message, start, end, depth = waiting.pop()
        for number, value in _fields(content, start, end):
            count += 1
            if count > max_fields or depth > _MAX_DEPTH:
                raise ValueError(
                    f"it has more than {max_fields:,} parts, or parts {_MAX_DEPTH} deep"
                )
            yield message, number, value
            inner = _MESSAGES[message].get(number)
            if inner and isinstance(value, tuple):
                waiting.append((inner, *value, depth + 1))


def leads_elsewhere(message: str, number: int, value: Value) -> bool:
    """Whether a field says that a tensor lies in another file."""
    if message != "tensor":
        return False
    return number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)


def external_names(content: Content, *, max_fields: int) -> set[str]:
    """Return the names of the other files in which tensors lie, as the file writes them.

    Raises:
        ValueError: as :func:`onnx_fields`, or a name is no UTF-8.
    """
    names = set()
    for message, number, value in onnx_fields(content, max_fields=max_fields):
        if message != "tensor" or number != _EXTERNAL_DATA or not isinstance(value, tuple):
            continue
        entry = _entry(content, *value)
        if entry.get(_ENTRY_KEY) == b"location":
            names.add(entry.get(_ENTRY_VALUE, b"").decode("utf-8"))
    return names


def _entry(content: Content, start: int, end: int) -> dict[int, bytes]:
    """What the fields of a small message hold, by number."""
    entry = {}
    for number, value in _fields(content, start, end):
        if isinstance(value, tuple):
            first, last = value
            entry[number] = bytes(content[first:last])
    return entry


def _fields(content: Content, at: int, end: int) -> Iterator[tuple[int, Value]]:
    """Give the fields of a protobuf message: number, and value or range of what it holds."""
    while at < end:
        key, at = _varint(content, at, end)
        number = key >> 3
        wire_type = key & 7
        if number == 0 or key >= _KEY_LIMIT:
            raise _no_message(at)
        if wire_type == _VARINT:
            value, at = _varint(content, at, end)
            yield number, value
            continue
        if wire_type == _LENGTH_PREFIXED:
            length, at = _varint(content, at, end)
        else:
            # Of an unknown type, more than there is.
            length = _FIXED.get(wire_type, end)
        if at + length > end:
            raise _no_message(at)
        yield number, (at, at + length)
        at += length


def _varint(content: Content, at: int, end: int) -> tuple[int, int]:
    """The number at ``at``, seven bits a byte, the lowest first; and the position behind it."""
    value = 0
    shift = 0
    for position in range(at, min(end, at + _MOST_VARINT_BYTES)):
        byte = content[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise _no_message(at)


def _no_message(at: int) -> ValueError:
    return ValueError(f"it is no protobuf message at byte {at}")
