"""Values as bytes and back."""

import contextlib
import math
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import GraphRecordError, InputError
from handheld.graph.record import Codecs, ValueCodec, dataclass_codec, tuple_codec

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.characters(codec=None),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


def reference(value: Any) -> bytes:
    """The format as docs/graph-recording.md tells it, written once more."""

    def counted(tag: bytes, data: bytes, count: int | None = None) -> bytes:
        return tag + struct.pack("<I", len(data) if count is None else count) + data

    if value is None:
        return b"N"
    if value is True or value is False:
        return b"T" if value else b"F"
    if isinstance(value, float):
        return b"D" + struct.pack("<d", value)
    if isinstance(value, int):
        size = 1
        while not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
            size += 1
        return counted(b"I", value.to_bytes(size, "little", signed=True))
    if isinstance(value, str):
        return counted(b"S", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return counted(b"B", value)
    if isinstance(value, dict):
        pairs = b"".join(reference(key) + reference(item) for key, item in value.items())
        return counted(b"M", pairs, len(value))
    tag = b"L" if isinstance(value, list) else b"U"
    return counted(tag, b"".join(map(reference, value)), len(value))


def same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(map(same, left.values(), right.values()))
    return bool(left == right)


@given(plain)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    data = Codecs().encode(value)
    assert same(Codecs().decode(data), value)


@given(plain)
def test_the_bytes_are_those_of_the_page(value: Any) -> None:
    data = Codecs().encode(value)
    # A whole number may have a byte of sign more than it needs.
    if "I" not in repr(data):
        assert data == reference(value)
    assert same(Codecs().decode(reference(value)), value)


@pytest.mark.parametrize(
    "value", [math.nan, -0.0, math.inf, 5e-324, 2**200, -(2**63), -1, 127, 128]
)
def test_numbers_at_the_edge(value: Any) -> None:
    assert same(Codecs().decode(Codecs().encode(value)), value)


@dataclass(frozen=True)
class Point:
    x: float
    y: float


class Pair(NamedTuple):
    left: Any
    right: Any


class Tag(str):
    __slots__ = ()


def test_values_of_ones_own() -> None:
    codecs = Codecs().add(
        dataclass_codec("point", Point),
        tuple_codec("pair", Pair),
        ValueCodec("complex", complex, lambda c: [c.real, c.imag], lambda p: complex(*p)),
    )
    value = {"a": [Point(1.0, 2.0), Pair(Point(0.0, -0.0), (3j,))]}
    assert codecs.decode(codecs.encode(value)) == value
    assert codecs.names == ["complex", "pair", "point"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Point(1.0, 2.0), r"no codec for .*\.Point"),
        ([{1: 2}], "dictionary with the key 1"),
        (OrderedDict(), "no codec for collections.OrderedDict"),
        (Tag("a"), r"no codec for .*\.Tag"),  # a subclass would come back as something else
        ({1, 2}, "no codec for builtins.set"),
    ],
)
def test_what_has_no_codec_is_refused(value: Any, message: str) -> None:
    with pytest.raises(GraphRecordError, match=message):
        Codecs().encode(value)


def test_deep_values_are_refused_on_both_ways() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(GraphRecordError, match="nested deeper"):
        Codecs().encode(value)
    with pytest.raises(GraphRecordError, match="nested deeper"):
        Codecs().decode(b"L\x01\x00\x00\x00" * 10_000 + b"N")


@given(st.binary(max_size=60))
def test_bytes_of_anybody_are_a_value_or_an_error(data: bytes) -> None:
    with contextlib.suppress(GraphRecordError):
        Codecs().decode(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut off"),
        (b"Z", "no value begins with"),
        (b"S\xff\xff\xff\xff", "cut off"),
        (b"L\xff\xff\xff\xff", "items, where 0 bytes are left"),
        (b"S\x01\x00\x00\x00\xff", "not UTF-8"),
        (b"NN", "1 bytes behind a value"),
        (b"M\x01\x00\x00\x00NN", "key is no text"),
        (b"X\x01aN", "no codec called 'a'"),
    ],
)
def test_wrong_bytes_say_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(GraphRecordError, match=message):
        Codecs().decode(data)


def test_what_a_codec_refuses_is_told() -> None:
    codecs = Codecs().add(dataclass_codec("point", Point))
    data = codecs.encode(Point(1.0, 2.0)).replace(b"y", b"z")
    with pytest.raises(GraphRecordError, match=r"what is no point: .*unexpected keyword"):
        codecs.decode(data)


def test_one_of_the_same_name_takes_the_place() -> None:
    codecs = Codecs().add(dataclass_codec("p", Point)).add(tuple_codec("p", Pair))
    assert codecs.names == ["p"]
    with pytest.raises(GraphRecordError):
        codecs.encode(Point(1.0, 2.0))
    with pytest.raises(InputError, match="name"):
        dataclass_codec("", Point)
