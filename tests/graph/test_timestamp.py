import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.graph import Timestamp
from handheld.graph.timestamp import bound_after

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


@pytest.mark.parametrize(
    ("timestamp", "value", "name", "allowed"),
    [
        (Timestamp.UNSET, INT64_MIN, "Unset", False),
        (Timestamp.UNSTARTED, INT64_MIN + 1, "Unstarted", False),
        (Timestamp.PRE_STREAM, INT64_MIN + 2, "PreStream", True),
        (Timestamp.MIN, INT64_MIN + 3, "Min", True),
        (Timestamp(0), 0, "0", True),
        (Timestamp.MAX, INT64_MAX - 3, "Max", True),
        (Timestamp.POST_STREAM, INT64_MAX - 2, "PostStream", True),
        (Timestamp.ONE_OVER_POST_STREAM, INT64_MAX - 1, "OneOverPostStream", False),
        (Timestamp.DONE, INT64_MAX, "Done", False),
    ],
)
def test_special_values_are_those_of_mediapipe(
    timestamp: Timestamp, value: int, name: str, allowed: bool
) -> None:
    assert timestamp == value
    assert (str(timestamp), repr(timestamp)) == (name, f"Timestamp({name})")
    assert timestamp.is_allowed_in_stream is allowed


@pytest.mark.parametrize(
    ("timestamp", "bound"),
    [
        (Timestamp.PRE_STREAM, Timestamp.ONE_OVER_POST_STREAM),
        (Timestamp.MIN, Timestamp.MIN + 1),
        (-1, 0),
        (Timestamp.MAX - 1, Timestamp.MAX),
        (Timestamp.MAX, Timestamp.ONE_OVER_POST_STREAM),
        (Timestamp.POST_STREAM, Timestamp.ONE_OVER_POST_STREAM),
    ],
)
def test_bound_after_a_packet(timestamp: int, bound: int) -> None:
    assert bound_after(timestamp) == bound


def test_arithmetic_stays_a_timestamp() -> None:
    later = Timestamp(40) + 2
    assert (type(later), later, later - 41) == (Timestamp, 42, 1)


@given(st.integers(-(10**12), 10**12))
def test_seconds_round_trip(microseconds: int) -> None:
    assert Timestamp.from_seconds(Timestamp(microseconds).seconds) == microseconds
