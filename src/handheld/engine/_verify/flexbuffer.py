"""Read a FlexBuffer map of numbers, judging every offset before it is followed.

https://flatbuffers.dev/internals/ describes the format. Of it only what the options of custom
operators hold is accepted: a map of keys, and numbers or booleans that stand in the map itself.
"""

from struct import unpack
from typing import NoReturn

from handheld.engine._verify.flatbuffer import fail

# Types of values, as the format numbers them.
_INT = 1
_UINT = 2
_FLOAT = 3
_MAP = 9
_BOOL = 26
_MOST_BYTES = 1 << 12  # a real map has about 200
_WIDTHS = (1, 2, 4, 8)
_FLOATS = {4: "<f", 8: "<d"}


def read_map(path: str, data: bytes) -> dict[str, float]:
    """Return the numbers of a FlexBuffer map, by key."""
    return _MapReader(path, data).read()


class _MapReader:
    """Positions count from the first byte; a width is that of the numbers which stand there."""

    def __init__(self, path: str, data: bytes) -> None:
        self._where = path
        self._data = data

    def _fail(self, problem: str) -> NoReturn:
        fail(self._where, problem)

    def read(self) -> dict[str, float]:
        data = self._data
        if not 6 <= len(data) <= _MOST_BYTES:
            self._fail(f"{len(data)} bytes of custom options, expected 6 to {_MOST_BYTES}")
        # The root stands last: its value, its type, its width. A type's lower two bits are the
        # width of what it leads to, as a power of two.
        root_type, root_width = data[-2:]
        if root_type >> 2 != _MAP or root_width not in _WIDTHS:
            self._fail(f"custom options of type {root_type >> 2}, expected a map")
        values = self._target(len(data) - 2 - root_width, root_width)
        return self._map(values, 1 << (root_type & 3))

    def _map(self, values: int, width: int) -> dict[str, float]:
        """The map whose values start at ``values``; before them stand their number and the keys."""
        count = self._number(values - width, width)
        keys = self._target(values - 3 * width, width)
        keys_width = self._number(values - 2 * width, width)
        types = values + count * width
        if keys_width not in _WIDTHS or self._number(keys - keys_width, keys_width) != count:
            self._fail("custom options have not as many keys as values")
        if types + count > len(self._data):
            self._fail(f"{count} custom options do not fit in {len(self._data)} bytes")
        options: dict[str, float] = {}
        for i in range(count):
            key = self._text(self._target(keys + i * keys_width, keys_width))
            type_number = self._data[types + i] >> 2
            options[key] = self._scalar(values + i * width, width, type_number)
        # The kernel searches by halves.
        if sorted(options) != list(options) or len(options) != count:
            self._fail("keys of custom options are not in order")
        return options

    def _bytes(self, at: int, width: int) -> bytes:
        if at < 0 or at + width > len(self._data):
            self._fail(f"custom options point to byte {at} of {len(self._data)}")
        return self._data[at : at + width]

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self._bytes(at, width), "little")

    def _target(self, at: int, width: int) -> int:
        """Where the offset at ``at`` points: offsets lead back."""
        target = at - self._number(at, width)
        if not 0 <= target < len(self._data):
            self._fail(f"custom options point to byte {target} of {len(self._data)}")
        return target

    def _text(self, at: int) -> str:
        end = self._data.find(b"\0", at)
        if end < 0:
            self._fail("a key of the custom options does not end")
        return self._data[at:end].decode("latin-1")

    def _scalar(self, at: int, width: int, type_number: int) -> float:
        raw = self._bytes(at, width)
        if type_number in (_UINT, _BOOL):
            return int.from_bytes(raw, "little")
        if type_number == _INT:
            return int.from_bytes(raw, "little", signed=True)
        if type_number != _FLOAT or width not in _FLOATS:
            expected = "expected a number in the map itself"
            self._fail(f"a custom option of type {type_number}, {expected}")
        (value,) = unpack(_FLOATS[width], raw)
        return float(value)
