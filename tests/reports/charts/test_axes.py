import math

from hypothesis import given
from hypothesis import strategies as st

from handheld.reports.charts.axes import Axis, Scale, left_margin


@given(st.floats(1e-9, 1e12), st.floats(1e-9, 1e12), st.booleans(), st.integers(3, 9))
def test_ticks_are_few_and_within(one: float, other: float, log: bool, most: int) -> None:
    axis = Axis.around([one, other], 10, 200, log=log)
    ticks = axis.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(10 - 1e-6 <= axis.at(tick) <= 200 + 1e-6 for tick in ticks)
    assert axis.at(one) <= axis.at(other) if one <= other else axis.at(one) >= axis.at(other)


def test_an_axis_of_nothing_holds_something() -> None:
    assert Axis.around([math.nan, 0.0], 0, 1, log=True).at(0) == 0
    assert 0 in Axis.around([0.0], 0, 1).ticks(5)


def test_long_numbers_have_room_on_the_left() -> None:
    """Of "50.00 %" the first figures were cut off."""
    axis = Axis(0, 1, 100, 0)
    assert left_margin(Scale(axis, "{:.0f}".format, "", 4)) == 46
    assert left_margin(Scale(axis, lambda _: "x" * 20, "", 4)) > 20 * 6
