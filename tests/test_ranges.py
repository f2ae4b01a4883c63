"""Numbers that a person gives: who is wrong is named, with the range and what came."""

import doctest
import math
from decimal import Decimal

import numpy as np
import pytest

from handheld import ranges
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

NO_NUMBERS = [math.nan, np.float32("nan"), True, np.True_, None, "1", 1j, [1], Decimal("0.5")]
UNIT = {"low": 0, "high": 1}


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(0.5), np.int8(1), -0.0])
def test_a_closed_interval_holds_its_ends(value):
    in_range("share", value, **UNIT)


@pytest.mark.parametrize(
    ("ends", "value", "interval"),
    [
        ({}, -1e-9, "[0, 1]"),
        ({}, 1.5, "[0, 1]"),
        ({}, math.inf, "[0, 1]"),
        ({"low_open": True}, 0, "(0, 1]"),
        ({"low_open": True}, -0.0, "(0, 1]"),
        ({"high_open": True}, 1.0, "[0, 1)"),
        ({"low_open": True, "high_open": True}, 1, "(0, 1)"),
    ],
)
def test_what_is_outside_is_told_with_the_interval(ends, value, interval):
    with pytest.raises(InputError) as caught:
        in_range("learn.share", value, **UNIT, **ends)
    assert str(caught.value) == f"learn.share: expected a number in {interval}, got {value!r}"


@pytest.mark.parametrize(
    ("limits", "interval"),
    [({}, "(-inf, inf)"), ({"low": 0}, "[0, inf)"), ({"high": 2}, "(-inf, 2]")],
)
def test_an_end_that_is_not_named_is_any_finite_number(limits, interval):
    for value in (1, -1e300 if "low" not in limits else 1e-300, 10**400 if not limits else 0):
        in_range("clip", value, **limits)
    for value in (math.inf, -math.inf):
        with pytest.raises(InputError, match="clip: expected a number in") as caught:
            in_range("clip", value, **limits)
        assert f"in {interval}, got {value!r}" in str(caught.value)


def test_infinity_is_inside_where_it_is_named():
    in_range("limit", math.inf, low=0, high=math.inf)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_lies_in_no_range(value):
    for check in (in_range, whole_in_range):
        with pytest.raises(InputError, match=r"^clip: expected a "):
            check("clip", value)
        with pytest.raises(InputError, match=r"^clip: expected a "):
            check("clip", value, **UNIT)


@pytest.mark.parametrize("value", [1, 2, np.int64(3)])
def test_whole_numbers_with_both_ends(value):
    whole_in_range("batch", value, low=1, high=3)


@pytest.mark.parametrize(
    ("limits", "value", "span"),
    [
        ({"low": 0, "high": 65535}, 65536, " in [0, 65535]"),
        ({"low": 1}, 0, " of 1 or more"),
        ({"high": -1}, 0, " of -1 or less"),
        ({}, 2.0, ""),
        ({"low": 1}, math.inf, " of 1 or more"),
    ],
)
def test_whole_numbers_outside_are_told_with_the_range(limits, value, span):
    with pytest.raises(InputError) as caught:
        whole_in_range("port", value, **limits)
    assert str(caught.value) == f"port: expected a whole number{span}, got {value!r}"


def test_examples():
    assert doctest.testmod(ranges).failed == 0
