"""Read a FlatBuffer into dictionaries, checking every offset before it is followed.

The same checks as the ``Verifier`` of the FlatBuffers C++ library (positions in range and aligned,
tables inside their vtable's size, strings ended by a zero byte, a limit on the number of tables),
which the Python package lacks. https://flatbuffers.dev/internals/ describes the format.
"""

from struct import Struct, unpack_from
from typing import Any, NoReturn

import numpy as np

from handheld.engine._verify.schema import UNIONS, Field, tables

Table = dict[str, Any]

_MAX_TABLES = 200_000  # each becomes a dictionary of 1 kB or so; real models have some thousands
_U4 = Struct("<I")
_I4 = Struct("<i")
_VTABLE = Struct("<HH")  # bytes of the vtable itself, and of its table


class RefusedError(Exception):
    """A file is not accepted; ``path`` names the field at fault, from the outside in."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def __str__(self) -> str:
        # "subgraphs", "[0]", "tensors" make subgraphs[0].tensors.
        path = ".".join(self.path).replace(".[", "[")
        return f"{path or 'root'}: {self.problem}"


class CorruptError(RefusedError):
    """The file contradicts itself or its format: it is damaged, or was made to do harm."""


class UnsupportedError(RefusedError):
    """The file may be as its maker meant it, but uses what is not supported here."""


def fail(path: str, problem: str) -> NoReturn:
    """Refuse a corrupt file for what stands at ``path``."""
    error = CorruptError(problem)
    error.path.append(path)
    raise error


def unsupported(path: str, problem: str) -> NoReturn:
    """Refuse a file that uses, at ``path``, what is not supported."""
    error = UnsupportedError(problem)
    error.path.append(path)
    raise error


class Reader:
    """Decodes tables of one file.

    Vectors of bytes are views of ``data``; other scalar vectors are tuples.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self._bytes = np.frombuffer(data, np.uint8)
        # Writers share vtables and strings, so each is judged once.
        self._layouts: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._strings: dict[int, bytes] = {}
        self._tables = 0
        # A hostile file may point many fields at one long vector; a real one shares little.
        self._budget = 4 * self.size + 65_536

    def root(self, name: str, identifier: bytes) -> Table:
        """The root table of type ``name``, of a file that carries the four byte ``identifier``."""
        if self.size < 8:
            problem = "less than the 8 bytes of a FlatBuffer's head"
            raise CorruptError(f"{self.size} bytes is {problem}")
        if self.data[4:8] != identifier:
            raise CorruptError(f"identifier is {self.data[4:8]!r}, expected {identifier!r}")
        return self.table(self._target(0), name)

    def table(self, at: int, name: str) -> Table:
        """The table of type ``name`` whose first byte is ``at``."""
        self._tables += 1
        if self._tables > _MAX_TABLES:
            raise CorruptError(f"more than {_MAX_TABLES} tables")
        size, offsets = self._layout(at)
        values: Table = {}
        for field in tables().get(name, ()):
            offset = 0
            # Files that are older than a field have a shorter vtable.
            if field.slot < len(offsets):
                offset = offsets[field.slot]
            if not offset:
                values[field.name] = field.default
                continue
            width = field.width
            if offset < 4 or offset + width > size or (at + offset) % width:
                fail(field.name, f"field at byte {offset} of a table of {size} bytes")
            try:
                values[field.name] = self._value(field, at + offset, values)
            except RefusedError as error:
                error.path.insert(0, field.name)
                raise
        return values

    def _layout(self, at: int) -> tuple[int, tuple[int, ...]]:
        """Byte size of the table at ``at`` and the offset of each of its slots (0: absent)."""
        if at % 4 or at < 4 or at + 4 > self.size:
            raise CorruptError(f"table at byte {at} of a file of {self.size} bytes")
        vtable = at - int(_I4.unpack_from(self.data, at)[0])
        layout = self._layouts.get(vtable)
        if layout is None:
            layout = self._read_vtable(vtable)
            self._layouts[vtable] = layout
        if at + layout[0] > self.size:
            table = f"table of {layout[0]} bytes at byte {at}"
            raise CorruptError(f"{table} ends after the file's {self.size} bytes")
        return layout

    def _read_vtable(self, at: int) -> tuple[int, tuple[int, ...]]:
        if at < 0 or at % 2 or at + 4 > self.size:
            raise CorruptError(f"vtable at byte {at} of a file of {self.size} bytes")
        size, table_size = _VTABLE.unpack_from(self.data, at)
        if size < 4 or size % 2 or at + size > self.size or table_size < 4:
            sizes = f"{size} bytes for itself, {table_size} for its table"
            raise CorruptError(f"vtable at byte {at} says {sizes}")
        slots = (size - 4) // 2
        return table_size, unpack_from(f"<{slots}H", self.data, at + 4)

    def _target(self, at: int) -> int:
        """Where the offset stored at ``at`` points."""
        offset = int(_U4.unpack_from(self.data, at)[0])
        target = at + offset
        if not offset or target + 4 > self.size:
            points = f"offset at byte {at} points to byte {target}"
            raise CorruptError(f"{points} of a file of {self.size} bytes")
        return target

    def _value(self, field: Field, at: int, siblings: Table) -> Any:
        if field.encoding == "scalar":
            return field.scalar.unpack_from(self.data, at)[0]
        if field.encoding == "union":
            return self._union(field.name, siblings[field.name + "_type"], at)
        target = self._target(at)
        if field.encoding == "table":
            return self.table(target, field.target)
        if field.encoding == "str":
            return self._string(target)
        start, count = self._vector(target, field.scalar.size)
        if field.encoding == "tables":
            return tuple(self._element(start + 4 * i, i, field.target) for i in range(count))
        if field.target == "u1":
            return self._bytes[start : start + count]
        self._spend(count * field.scalar.size)
        return unpack_from(f"<{count}{field.scalar.format[1:]}", self.data, start)

    def _element(self, at: int, index: int, name: str) -> Table:
        try:
            return self.table(self._target(at), name)
        except RefusedError as error:
            error.path.insert(0, f"[{index}]")
            raise

    def _union(self, name: str, number: int, at: int) -> Table | None:
        if not number:
            return None
        members = UNIONS[name]
        if not members:
            # Options of operators that are refused by name, which says more than the options do.
            return None
        if number > len(members):
            known = f"among the {len(members)} that are known"
            raise CorruptError(f"kind {number} is not {known}")
        return self.table(self._target(at), members[number - 1])

    def _vector(self, at: int, width: int) -> tuple[int, int]:
        """Position of a vector's first element, and how many there are."""
        if at % 4:
            raise CorruptError(f"vector at byte {at}, which is no multiple of 4")
        count = int(_U4.unpack_from(self.data, at)[0])
        start = at + 4
        if start + count * width > self.size or (count and start % width):
            elements = f"{count} elements of {width} bytes from byte {start}"
            raise CorruptError(f"{elements} do not fit in the file's {self.size} bytes")
        return start, count

    def _string(self, at: int) -> bytes:
        text = self._strings.get(at)
        if text is not None:
            return text
        start, count = self._vector(at, 1)
        end = start + count
        if end >= self.size or self.data[end]:
            string = f"string of {count} bytes from byte {start}"
            raise CorruptError(f"{string} does not end in a zero byte")
        self._spend(count)
        text = self.data[start:end]
        self._strings[at] = text
        return text

    def _spend(self, count: int) -> None:
        self._budget -= count
        if self._budget < 0:
            problem = "together they exceed four times the file"
            raise CorruptError(f"fields share so many bytes that {problem}")
