"""Write our card into a model file, touching nothing else.

A FlatBuffer's offsets point forward only, so a new root in front of an old file can take over every
part of it: a file that carries a card is a short front, then the file as it was, byte for byte but
for the places of weights that lie behind the model, which the format counts from the file's start.
Weights keep their alignment, the model keeps its numbers, and the front is replaced when another
card is embedded.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

from handheld.engine._file import CARD, read
from handheld.engine._packed import is_packed
from handheld.engine._raw import BUFFERS, elements, moved, slot, slots, string, target, u4
from handheld.engine._verify.schema import tables
from handheld.errors import InputError, ModelError

_MARK = b"hndh"  # at byte 8 of a front, followed by the front's size
_ALIGN = 16  # of buffers, by the schema
# Slots of the root table.
_VERSION = 0
_METADATA = 6
_ENTRY_NAME = 0  # slot of an entry of metadata


def embed(tflite: bytes, card: Mapping[str, Any]) -> bytes:
    """The same model with ``card`` in it, in place of an older card.

    It is stored as JSON under the metadata entry ``handheld``.

    Args:
        tflite: a model file.
        card: what JSON can hold; keys are sorted, so equal cards give equal bytes.

    Returns:
        The new file. ``embed(embed(m, a), b) == embed(m, b)``.

    Raises:
        ModelError: ``tflite`` is no model file.
        InputError: ``card`` cannot be written as JSON.
    """
    try:
        text = json.dumps(dict(card), sort_keys=True, ensure_ascii=False, allow_nan=False)
        content = text.encode()  # which half a surrogate pair has not
    except (TypeError, ValueError) as error:
        raise InputError(f"the card cannot be written as JSON: {error}") from error
    if is_packed(tflite):
        problem = "the model to embed a card in is a stored form"
        raise ModelError(f"{problem}: embed the card first, then compact the model")
    read(tflite, "the model to embed a card in")
    model = _without_front(tflite)
    front = _front(model, content)
    return front + moved(model, len(front))


def _without_front(data: bytes) -> bytes:
    if data[8:12] != _MARK:
        return data
    size = u4(data, 12)
    # A file of another maker may have these four bytes there by chance, but no model behind.
    if data[size + 4 : size + 8] != b"TFL3":
        return data
    try:
        model = moved(data[size:], -size)
    except struct.error as error:
        raise ModelError("the model behind its older card is damaged: fetch it again") from error
    read(model, "the model behind its older card")
    return model


class _Old(int):
    """A position in the old file."""


# What a front is made of: a table of fields (None: absent), a vector of tables, bytes, a number, or
# a position in the old file.
_Node = tuple["_Node | None", ...] | list["_Node"] | bytes | int


class _Front:
    """Lays nodes out one behind the other, each before what it points to."""

    def __init__(self) -> None:
        # The root's offset, the identifier, the mark and the front's size, which ``close`` fills.
        self.data = bytearray(16)
        self._old: list[tuple[int, _Old]] = []

    def close(self, root: _Node) -> bytes:
        """The bytes of a front whose root table is ``root``."""
        self._fill(0, root)
        # The old file follows: buffers in it have to stay aligned.
        self._pad(_ALIGN)
        for at, position in self._old:
            self._put(at, len(self.data) + position - at)
        self.data[4:16] = b"TFL3" + _MARK + struct.pack("<I", len(self.data))
        return bytes(self.data)

    def _put(self, at: int, number: int) -> None:
        struct.pack_into("<I", self.data, at, number)

    def _pad(self, align: int, ahead: int = 0) -> None:
        """Go on to where ``ahead`` bytes further on a multiple of ``align`` lies."""
        self.data.extend(bytes(-(len(self.data) + ahead) % align))

    def _fill(self, at: int, node: _Node) -> None:
        """Fill the four bytes at ``at``: with a number, or the way to what is laid out now."""
        if isinstance(node, _Old):
            self._old.append((at, node))
        elif isinstance(node, int):
            self._put(at, node)
        elif isinstance(node, bytes):
            self._bytes(at, node)
        elif isinstance(node, list):
            self._list(at, node)
        else:
            self._table(at, node)

    def _bytes(self, at: int, node: bytes) -> None:
        self._pad(_ALIGN, ahead=4)  # behind their count, the bytes are aligned
        self._put(at, len(self.data) - at)
        # Names are read as strings, which end in a zero byte.
        self.data += struct.pack("<I", len(node)) + node + bytes(1)

    def _list(self, at: int, nodes: list[_Node]) -> None:
        self._pad(4)
        self._put(at, len(self.data) - at)
        first = len(self.data) + 4
        self.data += struct.pack("<I", len(nodes)) + bytes(4 * len(nodes))
        for i, node in enumerate(nodes):
            self._fill(first + 4 * i, node)

    def _table(self, at: int, fields: tuple[_Node | None, ...]) -> None:
        self._pad(4)
        count = len(fields)
        vtable = len(self.data)
        offsets = [0] * count  # 0 stands for a field that is absent
        for i, field in enumerate(fields):
            if field is not None:
                offsets[i] = 4 + 4 * i
        sizes = (4 + 2 * count, 4 + 4 * count)  # of the vtable, and of the table
        self.data += struct.pack(f"<HH{count}H", *sizes, *offsets)
        self._pad(4)
        table = len(self.data)
        self._put(at, table - at)
        self.data += struct.pack("<i", table - vtable) + bytes(4 * count)
        for offset, field in zip(offsets, fields, strict=True):
            if field is not None:
                self._fill(table + offset, field)


def _front(model: bytes, card: bytes) -> bytes:
    """A root that has all parts of ``model``, and in two vectors one entry more."""
    root = target(model, 0)
    count = len(tables()["Model"])
    if slots(model, root) > count:
        problem = "the model's root has fields of a newer schema"
        raise ModelError(f"{problem}; embed the card with a newer handheld")
    name = CARD.encode()
    fields: list[_Node | None] = [None] * count
    for number in range(count):
        if at := slot(model, root, number):
            fields[number] = _Old(target(model, at))
    # The version is a number in the table itself, and leads nowhere.
    fields[_VERSION] = u4(model, slot(model, root, _VERSION))
    buffers = [*map(_Old, elements(model, root, BUFFERS))]
    fields[_METADATA] = [*_other_entries(model, root, name), (name, len(buffers))]
    fields[BUFFERS] = [*buffers, (card,)]
    return _Front().close(tuple(fields))


def _other_entries(model: bytes, root: int, name: bytes) -> list[_Old]:
    """Return the entries of metadata that are not ours: an older card is left behind."""
    entries = elements(model, root, _METADATA)
    return [_Old(at) for at in entries if string(model, at, _ENTRY_NAME) != name]
