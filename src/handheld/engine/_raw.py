"""Positions in a model file's own bytes, for those who write into them; the file has passed the checks of ``_verify``."""

from struct import pack_into, unpack_from

from handheld.engine._verify.buffers import OUTSIDE

BUFFERS = 4
"""Slot of the root table."""

_OFFSET = 1  # slot of a buffer's table


def u4(data: bytes, at: int) -> int:
    """The number at ``at``."""
    return int(unpack_from("<I", data, at)[0])


def _vtable(data: bytes, table: int) -> int:
    return table - int(unpack_from("<i", data, table)[0])


def slots(data: bytes, table: int) -> int:
    """How many fields the table at ``table`` has room for."""
    return int(unpack_from("<H", data, _vtable(data, table))[0] - 4) // 2


def slot(data: bytes, table: int, number: int) -> int:
    """Position of a field of the table at ``table``; 0 if it is absent."""
    if number >= slots(data, table):
        return 0
    offset = int(unpack_from("<H", data, _vtable(data, table) + 4 + 2 * number)[0])
    return table + offset if offset else 0


def target(data: bytes, at: int) -> int:
    """Where the offset at ``at`` points."""
    return at + u4(data, at)


def elements(data: bytes, table: int, field: int) -> list[int]:
    """Positions of the tables in a vector field."""
    at = slot(data, table, field)
    if not at:
        return []
    vector = target(data, at)
    return [target(data, vector + 4 + 4 * i) for i in range(u4(data, vector))]


def string(data: bytes, table: int, field: int) -> bytes:
    """The string in a field of the table at ``table``."""
    at = target(data, slot(data, table, field))
    return data[at + 4 : at + 4 + u4(data, at)]


def moved(data: bytes, shift: int) -> bytes:
    """The file, its weights that lie behind the model found ``shift`` bytes further on: they are counted from byte 0.

    Raises:
        struct.error: the file is no model, or they would lie before byte 0.
    """
    places = {
        slot(data, buffer, _OFFSET) for buffer in elements(data, target(data, 0), BUFFERS)
    } - {0}
    outside = [
        (at, offset) for at in places if (offset := unpack_from("<Q", data, at)[0]) >= OUTSIDE
    ]
    if not outside:
        return data
    content = bytearray(data)
    for at, offset in outside:
        pack_into("<Q", content, at, offset + shift)
    return bytes(content)
