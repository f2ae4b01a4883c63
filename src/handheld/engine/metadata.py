"""Write our card into a model file, touching nothing else.

A FlatBuffer's offsets point forward only, so a new root in front of an old file can take over every part of it: a
file that carries a card is a short front, then the file as it was, byte for byte but for the places of weights that lie
behind the model, which the format counts from the file's start. Weights keep their alignment, the model keeps its numbers,
and the front is replaced when another card is embedded.
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
_VERSION, _METADATA = 0, 6  # slots of the root table


def embed(tflite: bytes, card: Mapping[str, Any]) -> bytes:
    """The same model with ``card`` stored as JSON under the metadata entry ``handheld``, replacing an older card.

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
        text = json.dumps(dict(card), sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"the card cannot be written as JSON: {error}") from error
    if is_packed(tflite):
        raise ModelError(
            "the model to embed a card in is a stored form: embed the card first, then compact the model"
        )
    read(tflite, "the model to embed a card in")
    return _front(_without_front(tflite), text)


def _without_front(data: bytes) -> bytes:
    if data[8:12] != _MARK:
        return data
    size = u4(data, 12)
    if data[size + 4 : size + 8] != b"TFL3":
        return data
    try:
        old = moved(data[size:], -size)
    except struct.error as error:
        raise ModelError("the model behind its older card is damaged: fetch it again") from error
    read(old, "the model behind its older card")
    return old


class _Old(int):
    """A position in the old file."""


# What a front is made of: a table of fields (None: absent), a vector of tables, bytes, a number, an old part.
_Node = tuple["_Node | None", ...] | list["_Node"] | bytes | int


class _Front:
    """Lays parts out one behind the other, each before what it points to."""

    def __init__(self) -> None:
        self.data = bytearray(16)
        self._old: list[tuple[int, _Old]] = []

    def close(self, root: _Node) -> bytes:
        """The bytes of a front whose root table is ``root``."""
        self._fill(0, root)
        self._pad(_ALIGN)
        for at, position in self._old:
            self._put(at, len(self.data) + position - at)
        self.data[4:16] = b"TFL3" + _MARK + struct.pack("<I", len(self.data))
        return bytes(self.data)

    def _put(self, at: int, number: int) -> None:
        self.data[at : at + 4] = struct.pack("<I", number)

    def _pad(self, align: int, ahead: int = 0) -> None:
        self.data.extend(bytes(-(len(self.data) + ahead) % align))

    def _fill(self, at: int, node: _Node) -> None:
        """Fill the four bytes at ``at`` with a number, or with the way to a part that is laid out now."""
        if isinstance(node, _Old):
            self._old.append((at, node))
        elif isinstance(node, int):
            self._put(at, node)
        elif isinstance(node, bytes):
            self._pad(_ALIGN, ahead=4)
            self._put(at, len(self.data) - at)
            self.data += struct.pack("<I", len(node)) + node + bytes(1)
        elif isinstance(node, list):
            self._list(at, node)
        else:
            self._table(at, node)

    def _list(self, at: int, nodes: list[_Node]) -> None:
        self._pad(4)
        self._put(at, len(self.data) - at)
        first = len(self.data) + 4
        self.data += struct.pack("<I", len(nodes)) + bytes(4 * len(nodes))
        for i, node in enumerate(nodes):
            self._fill(first + 4 * i, node)

    def _table(self, at: int, fields: tuple[_Node | None, ...]) -> None:
        self._pad(4)
        offsets = [0 if field is None else 4 + 4 * i for i, field in enumerate(fields)]
        vtable = len(self.data)
        self.data += struct.pack(
            f"<HH{len(fields)}H", 4 + 2 * len(fields), 4 + 4 * len(fields), *offsets
        )
        self._pad(4)
        table = len(self.data)
        self._put(at, table - at)
        self.data += struct.pack("<i", table - vtable) + bytes(4 * len(fields))
        for offset, field in zip(offsets, fields, strict=True):
            if field is not None:
                self._fill(table + offset, field)


def _front(old: bytes, card: bytes) -> bytes:
    """``old`` behind a root that has all its parts, and in two vectors one entry more."""
    root, count = target(old, 0), len(tables()["Model"])
    if slots(old, root) > count:
        raise ModelError(
            "the model's root has fields of a newer schema; embed the card with a newer handheld"
        )
    buffers: list[_Node] = [_Old(at) for at in elements(old, root, BUFFERS)]
    entries: list[_Node] = [
        _Old(at) for at in elements(old, root, _METADATA) if string(old, at, 0) != CARD.encode()
    ]
    fields: list[_Node | None] = [
        _Old(target(old, at)) if (at := slot(old, root, i)) else None for i in range(count)
    ]
    fields[_VERSION] = u4(old, slot(old, root, _VERSION))
    fields[_METADATA] = [*entries, (CARD.encode(), len(buffers))]
    fields[BUFFERS] = [*buffers, (card,)]
    front = _Front().close(tuple(fields))
    return front + moved(old, len(front))
