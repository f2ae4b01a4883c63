"""Values as bytes and back: plain ones by themselves, others by a codec that somebody adds.

Each value begins with a byte that says what it is; see docs/graph-recording.md. Whole numbers of
any size and floats of any value come back as they were. Nothing is executed on reading, and a value
takes at most a small multiple of its bytes.
"""

import dataclasses
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handheld.errors import GraphRecordError, InputError

_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<d")
_DEEPEST = 64
"""Levels of nesting: more are refused, where Python's own stack would end."""

Plain = Any
"""None, bool, int, float, str, bytes, or a list, tuple or dictionary (of texts) of such."""


@dataclass(frozen=True)
class ValueCodec:
    """How values of one type become plain ones, and plain ones values.

    Attributes:
        name: in files; 1 to 255 letters.
        type: exactly this; a subclass needs a codec of its own.
        to_plain: returns what stands for a value; of plain values and of values with codecs.
        from_plain: returns the value; raises whatever it likes for what cannot be one, since it
            may come from a file that somebody changed.
    """

    name: str
    type: type
    to_plain: Callable[[Any], Plain]
    from_plain: Callable[[Plain], Any]

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.encode()) <= 255:
            raise InputError(f"name: expected 1 to 255 bytes, got {self.name!r}")


def dataclass_codec(name: str, cls: type) -> ValueCodec:
    """Return the codec of a dataclass, by the names of its fields.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Point:
    ...     x: float
    ...     y: float
    >>> codecs = Codecs().add(dataclass_codec("point", Point))
    >>> codecs.decode(codecs.encode([Point(1.0, 2.0)]))
    [Point(x=1.0, y=2.0)]
    """
    names = [entry.name for entry in dataclasses.fields(cls) if entry.init]

    def to_plain(value: Any) -> Plain:
        return {field_name: getattr(value, field_name) for field_name in names}

    return ValueCodec(name, cls, to_plain, lambda fields: cls(**fields))


def tuple_codec(name: str, cls: type) -> ValueCodec:
    """Return the codec of a named tuple, by its fields."""
    return ValueCodec(name, cls, lambda value: value._asdict(), lambda fields: cls(**fields))


@dataclass(frozen=True)
class Codecs:
    """What values can be recorded: plain ones, and those of the codecs that were added.

    A value: ``add`` returns another one.

    >>> codecs = Codecs()
    >>> codecs.decode(codecs.encode({"a": [1, 2.5, None], "b": (b"x", True)}))
    {'a': [1, 2.5, None], 'b': (b'x', True)}

    Attributes:
        by_type: type -> codec.
    """

    by_type: Mapping[type, ValueCodec] = field(default_factory=dict)

    def add(self, *codecs: ValueCodec) -> "Codecs":
        """Return these and more; one of the same type or name takes the old one's place."""
        kept = {
            cls: old
            for cls, old in self.by_type.items()
            if old.name not in {new.name for new in codecs}
        }
        return Codecs({**kept, **{codec.type: codec for codec in codecs}})

    @property
    def names(self) -> list[str]:
        """Of the codecs that were added."""
        return sorted(codec.name for codec in self.by_type.values())

    def encode(self, value: Any) -> bytes:
        """Return a value as bytes.

        Raises :class:`GraphRecordError` for a type without a codec, and for values nested too deep.
        """
        out = bytearray()
        _Writer(self, out).write(value, 0)
        return bytes(out)

    def decode(self, data: bytes | memoryview) -> Any:
        """Return the value of some bytes.

        Raises :class:`GraphRecordError` for bytes that are none, and for codecs that are not there.
        """
        reader = _Reader(self, memoryview(data))
        value = reader.read(0)
        if reader.at != len(data):
            raise GraphRecordError(f"{len(data) - reader.at} bytes behind a value")
        return value


class _Writer:
    def __init__(self, codecs: Codecs, out: bytearray) -> None:
        self._codecs = codecs
        self._out = out

    def write(self, value: Any, depth: int) -> None:
        _check_depth(depth)
        # The very type: of a subclass something else would come back.
        cls = type(value)
        codec = self._codecs.by_type.get(cls)
        if codec is not None:
            name = codec.name.encode()
            self._out += b"X" + bytes([len(name)]) + name
            self.write(_plain_of(value, codec), depth + 1)
            return
        write = _WRITERS.get(cls)
        if write is None:
            raise GraphRecordError(
                f"no codec for {cls.__module__}.{cls.__qualname__}; add one to the codecs"
            )
        write(self, value, depth)

    def put(self, tag: bytes, data: bytes) -> None:
        self._out += tag
        self._out += _LENGTH.pack(_checked_length(len(data)))
        self._out += data

    def put_items(self, tag: bytes, items: Sequence[Any], depth: int) -> None:
        self._out += tag
        self._out += _LENGTH.pack(_checked_length(len(items)))
        for item in items:
            self.write(item, depth + 1)

    def put_fields(self, fields: Mapping[str, Any], depth: int) -> None:
        self._out += b"M"
        self._out += _LENGTH.pack(_checked_length(len(fields)))
        for key, item in fields.items():
            if type(key) is not str:
                raise GraphRecordError(f"no codec for a dictionary with the key {key!r}")
            # Python's texts may hold halves of letters, as names of files that are no UTF-8 do.
            self.put(b"S", key.encode("utf-8", "surrogatepass"))
            self.write(item, depth + 1)

    def put_short(self, data: bytes) -> None:
        self._out += data


def _plain_of(value: Any, codec: ValueCodec) -> Plain:
    try:
        return codec.to_plain(value)
    # Whatever a codec makes of what it does not know.
    except Exception as error:
        raise GraphRecordError(f"what {codec.name} cannot record: {error}") from error


def _whole_bytes(number: int) -> bytes:
    # 8 and not 7: a bit more, for the sign.
    return number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)


_Write = Callable[[_Writer, Any, int], None]
_WRITERS: dict[type, _Write] = {
    type(None): lambda writer, value, depth: writer.put_short(b"N"),
    bool: lambda writer, value, depth: writer.put_short(b"T" if value else b"F"),
    int: lambda writer, value, depth: writer.put(b"I", _whole_bytes(value)),
    float: lambda writer, value, depth: writer.put_short(b"D" + _FLOAT.pack(value)),
    str: lambda writer, value, depth: writer.put(b"S", value.encode("utf-8", "surrogatepass")),
    bytes: lambda writer, value, depth: writer.put(b"B", value),
    list: lambda writer, value, depth: writer.put_items(b"L", value, depth),
    tuple: lambda writer, value, depth: writer.put_items(b"U", value, depth),
    dict: lambda writer, value, depth: writer.put_fields(value, depth),
}


class _Reader:
    def __init__(self, codecs: Codecs, data: memoryview) -> None:
        self._by_name = {codec.name: codec for codec in codecs.by_type.values()}
        self._data = data
        self.at = 0

    def read(self, depth: int) -> Any:
        _check_depth(depth)
        tag = bytes(self._take(1))
        read = _READERS.get(tag)
        if read is None:
            raise GraphRecordError(f"no value begins with {tag!r}")
        return read(self, depth)

    def data(self) -> memoryview:
        return self._take(self._length())

    def number(self) -> float:
        value: float = _FLOAT.unpack(self._take(_FLOAT.size))[0]
        return value

    def text(self) -> str:
        try:
            return str(self.data(), "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise GraphRecordError(f"a text is not UTF-8: {error}") from error

    def items(self, depth: int) -> list[Any]:
        # Each takes a byte at least, so a count that lies is refused before memory is.
        return [self.read(depth + 1) for _ in range(self._count(1))]

    def fields(self, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for _ in range(self._count(2)):
            if bytes(self._take(1)) != b"S":
                raise GraphRecordError("a dictionary's key is no text")
            key = self.text()
            fields[key] = self.read(depth + 1)
        return fields

    def coded(self, depth: int) -> Any:
        name = bytes(self._take(self._take(1)[0])).decode("utf-8", "replace")
        codec = self._by_name.get(name)
        if codec is None:
            raise GraphRecordError(f"no codec called {name!r}; add it to the codecs")
        plain = self.read(depth + 1)
        try:
            return codec.from_plain(plain)
        # Whatever a codec makes of what somebody changed.
        except Exception as error:
            raise GraphRecordError(f"what is no {name}: {error}") from error

    def _length(self) -> int:
        length: int = _LENGTH.unpack(self._take(_LENGTH.size))[0]
        return length

    def _count(self, bytes_of_one: int) -> int:
        count = self._length()
        if count * bytes_of_one > len(self._data) - self.at:
            remaining = len(self._data) - self.at
            raise GraphRecordError(f"{count} items, where {remaining} bytes are left")
        return count

    def _take(self, length: int) -> memoryview:
        end = self.at + length
        if end > len(self._data):
            raise GraphRecordError("a value is cut off")
        taken = self._data[self.at : end]
        self.at = end
        return taken


_READERS: dict[bytes, Callable[[_Reader, int], Any]] = {
    b"N": lambda reader, depth: None,
    b"T": lambda reader, depth: True,
    b"F": lambda reader, depth: False,
    b"I": lambda reader, depth: int.from_bytes(reader.data(), "little", signed=True),
    b"D": lambda reader, depth: reader.number(),
    b"S": lambda reader, depth: reader.text(),
    # A copy: a view of a few bytes would keep the whole block in memory.
    b"B": lambda reader, depth: bytes(reader.data()),
    b"L": lambda reader, depth: reader.items(depth),
    b"U": lambda reader, depth: tuple(reader.items(depth)),
    b"M": lambda reader, depth: reader.fields(depth),
    b"X": lambda reader, depth: reader.coded(depth),
}


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise GraphRecordError(f"a value is nested deeper than {_DEEPEST} levels")


def _checked_length(length: int) -> int:
    if length >= 2**32:
        raise GraphRecordError(f"a value of {length} bytes or items; 2^32 are too many")
    return length
