"""Calculators of lists, held to Python's own lists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_runs import BOUND, run_node

from handheld.errors import CalculatorError, InputError
from handheld.graph import (
    ClipVectorSize,
    ConcatenateVector,
    GetVectorItem,
    SplitVector,
    Timestamp,
    VectorHasMinSize,
    VectorSize,
)

THREADS = pytest.mark.parametrize("threads", [0, 2])
PRE, POST = Timestamp.PRE_STREAM, Timestamp.POST_STREAM

lists = st.lists(st.integers(0, 9), min_size=6, max_size=9)
ranges = st.tuples(st.integers(0, 5), st.integers(1, 6)).filter(lambda pair: pair[0] < pair[1])


@settings(deadline=None)
@given(items=lists, parts=st.lists(ranges, min_size=1, max_size=4))
def test_parts_of_a_list(items, parts):
    sent, _ = run_node(SplitVector(parts), {"in": {3: items}})
    expected = {}
    for number, (begin, end) in enumerate(parts):
        expected[f"out{number}"] = [([items[i] for i in range(begin, end)], 3)]
    assert sent == expected
    taken = [i for begin, end in parts for i in range(begin, end)]
    if len(taken) == len(set(taken)):
        sent, _ = run_node(SplitVector(parts, combine_outputs=True), {"in": {3: tuple(items)}})
        assert sent == {"out0": [([items[i] for i in taken], 3)]}
    else:
        with pytest.raises(InputError, match="combine_outputs takes ranges that do not overlap"):
            SplitVector(parts, combine_outputs=True)


def test_items_of_a_list():
    split = SplitVector([(2, 3), (0, 1)], element_only=True, outputs=["x", "y"])
    assert run_node(split, {"in": {0: "abc"}})[0] == {"x": [("c", 0)], "y": [("a", 0)]}


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        ([], {}, "ranges: expected at least one"),
        ([(-1, 2)], {}, "begin of a range: expected a whole number of 0 or more"),
        ([(2, 2)], {}, "end of a range: expected a whole number of 3 or more"),
        ([(0, 2)], {"element_only": True}, r"element_only takes ranges of one item, got \[0, 2\)"),
        ([(0, 1)], {"outputs": ["a", "b"]}, "outputs: expected 1 of them, got 2"),
    ],
)
def test_ranges_that_are_none(arguments, options, reason):
    with pytest.raises(InputError, match=reason):
        SplitVector(arguments, **options)


def test_a_list_that_is_too_short():
    with pytest.raises(CalculatorError, match="a list of at least 3 items, got 2"):
        run_node(SplitVector([(0, 1), (2, 3)]), {"in": {0: [1, 2]}})


values = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=3)
streams = st.dictionaries(st.integers(0, 5), values)


@settings(deadline=None)
@given(a=streams, b=streams, all_or_nothing=st.booleans())
def test_lists_and_items_are_joined(a, b, all_or_nothing):
    expected = []
    lost = 0
    for time in sorted(a.keys() | b.keys()):
        present = [packets[time] for packets in (a, b) if time in packets]
        if all_or_nothing and len(present) < 2:
            lost += 1
            continue
        joined = []
        for value in present:
            joined += value if isinstance(value, list) else [value]
        expected.append((joined, time))
    join = ConcatenateVector(2, only_emit_if_all_present=all_or_nothing)
    sent, drops = run_node(join, {"in0": a, "in1": b})
    assert (sent["out"], drops) == (expected, lost)


@settings(deadline=None)
@given(items=st.lists(st.integers()), number=st.integers(1, 4))
def test_sizes(items, number):
    feed = {0: items}
    assert run_node(VectorSize(), {"vector": feed})[0]["size"] == [(len(items), 0)]
    clipped = run_node(ClipVectorSize(number), {"in": feed})[0]["out"]
    assert clipped == [([item for i, item in enumerate(items) if i < number], 0)]
    has = run_node(VectorHasMinSize(number), {"iterable": feed})[0]["out"]
    assert has == [(not len(items) < number, 0)]


@THREADS
def test_side_packets_say_the_size(threads):
    feed = {2: [1, 2, 3]}
    sent, _ = run_node(ClipVectorSize(), {"in": feed}, side={"max_size": 2}, threads=threads)
    assert sent["out"] == [([1, 2], 2)]
    sent, _ = run_node(
        VectorHasMinSize(9), {"iterable": feed}, side={"min_size": 3}, threads=threads
    )
    assert sent["out"] == [(True, 2)]
    with pytest.raises(CalculatorError, match="max_size: expected a whole number of 1 or more"):
        run_node(ClipVectorSize(), {"in": feed}, side={"max_size": 0})


def test_a_clock_counts_missing_lists_as_empty():
    feed = {"clock": {0: 0, 2: 0}, "vector": {0: [1], 1: [1, 2]}}
    assert run_node(VectorSize(clocked=True), feed)[0]["size"] == [(1, 0), (2, 1), (0, 2)]


@settings(deadline=None)
@given(items=st.lists(st.integers(), min_size=1), data=st.data())
def test_an_item_by_its_index(items, data):
    index = data.draw(st.integers(0, len(items) - 1))
    assert run_node(GetVectorItem(index), {"vector": {0: items}})[0]["item"] == [(items[index], 0)]
    # A stream says otherwise than the option, where it has a packet.
    feed = {"vector": {0: items, 1: items}, "index": {0: index}}
    sent, _ = run_node(GetVectorItem(0), feed)
    assert sent["item"] == [(items[index], 0), (items[0], 1)]
    sent, drops = run_node(GetVectorItem(), feed)
    assert (sent["item"], drops) == ([(items[index], 0)], 1)


def test_an_index_beyond_the_list():
    feed = {"vector": {0: "ab"}}
    with pytest.raises(CalculatorError, match="expected an index of a list of 2 items, got 2"):
        run_node(GetVectorItem(2), feed)
    lenient = GetVectorItem(2, output_empty_on_oob=True)
    assert run_node(lenient, feed) == ({"item": []}, 1)
    with pytest.raises(CalculatorError, match="got -1"):
        run_node(lenient, {**feed, "index": {0: -1}})


ALL = [
    (SplitVector([(0, 1)]), "in"),
    (ConcatenateVector(1), "in0"),
    (VectorSize(), "vector"),
    (VectorHasMinSize(), "iterable"),
    (ClipVectorSize(), "in"),
    (GetVectorItem(0), "vector"),
]


@THREADS
@pytest.mark.parametrize(("calculator", "port"), ALL)
def test_nothing_bounds_and_special_packets(calculator, port, threads):
    [output] = calculator.contract.outputs
    for feed in ({}, {5: BOUND, 9: BOUND}):
        assert run_node(calculator, {port: feed}, threads=threads) == ({output: []}, 0)
    for at in (PRE, POST):
        sent, _ = run_node(calculator, {port: {at: [1]}}, threads=threads)
        assert [timestamp for _, timestamp in sent[output]] == [at]
