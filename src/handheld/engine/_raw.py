"""Positions in a model file's own bytes, for those who write into them.

The file has passed the checks of ``_verify``, so no offset is judged again.
"""

from struct import pack_into, unpack_from

from handheld.engine._verify.buffers import OUTSIDE

BUFFERS = 4
"""Slot of the root table."""

_OFFSET = 1  # slot of a buffer's table


def u4(data: bytes, at: int) -> int:
    """The number at ``at``."""
    return int(unpack_from("<I", data, at)[0])


def _vtable(data: bytes, table: int) -> int:
    (distance,) = unpack_from("<i", data, table)
    return table - int(distance)


def slots(data: bytes, table: int) -> int:
    """How many fields the table at ``table`` has room for."""
    (size,) = unpack_from("<H", data, _vtable(data, table))
    return (int(size) - 4) // 2  # without the two sizes at its front


def slot(data: bytes, table: int, number: int) -> int:
    """Position of a field of the table at ``table``; 0 if it is absent."""
    if number >= slots(data, table):
        return 0
    first = _vtable(data, table) + 4  # behind the two sizes
    (offset,) = unpack_from("<H", data, first + 2 * number)
    if not offset:
        return 0
    return table + int(offset)


def target(data: bytes, at: int) -> int:
    """Where the offset at ``at`` points."""
    return at + u4(data, at)


def elements(data: bytes, table: int, field: int) -> list[int]:
    """Positions of the tables in a vector field."""
    at = slot(data, table, field)
    if not at:
        return []
    vector = target(data, at)
    first = vector + 4  # the count stands before it
    count = u4(data, vector)
    return [target(data, first + 4 * i) for i in range(count)]


def string(data: bytes, table: int, field: int) -> bytes:
    """The string in a field of the table at ``table``."""
    at = target(data, slot(data, table, field))
    count = u4(data, at)
    first = at + 4
    return data[first : first + count]


def moved(data: bytes, shift: int) -> bytes:
    """The file, its weights that lie behind the model found ``shift`` bytes further on.

    They are counted from byte 0, so whatever is put before the model moves them.

    Raises:
        struct.error: the file is no model, or they would lie before byte 0.
    """
    buffers = elements(data, target(data, 0), BUFFERS)
    # A set, as entries may share one buffer's table, which must not be moved twice.
    fields = {slot(data, buffer, _OFFSET) for buffer in buffers}
    content = bytearray(data)
    for at in fields - {0}:
        (offset,) = unpack_from("<Q", data, at)
        if offset >= OUTSIDE:
            pack_into("<Q", content, at, offset + shift)
    return bytes(content)
