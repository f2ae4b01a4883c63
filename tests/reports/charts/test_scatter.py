import math

from hypothesis import given
from hypothesis import strategies as st

from handheld.reports import (
    AxisWords,
    ChartLimit,
    FittedCurve,
    ScatterPoint,
    draw_scatter,
    front,
    seconds_text,
    size_text,
)

points = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=15)


@given(points)
def test_the_front_is_what_no_point_beats(given_points: list[tuple[int, int]]) -> None:
    found = front(given_points)
    beaten = {
        p
        for p in given_points
        if any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in given_points)
    }
    assert sorted(found) == found == sorted(set(given_points) - beaten)


def test_points_limits_and_the_line_through_the_best() -> None:
    points = [
        ScatterPoint("large", 1e6, 0.9, "large: 1 MB", "reference"),
        ScatterPoint("small", 1e4, 0.8, "small: 10 kB", "best", spread=2e3, second=0.79),
        ScatterPoint("<poor>", 2e4, 0.7, "poor: 20 kB", "beaten"),
    ]
    drawn = str(
        draw_scatter(
            points,
            "Shares",
            width=500,
            height=300,
            across=AxisWords("size", size_text),
            up="share",
            ceilings=[ChartLimit(15_000, True)],
            floors=[ChartLimit(0.75, False)],
        )
    )
    assert [drawn.count(f'"point {mark}"') for mark in ("reference", "best", "beaten")] == [1, 1, 1]
    assert drawn.count('class="test"') == 1
    assert "≤ 15.0 kB</text>" in drawn
    assert '"limit met"' in drawn
    assert "asked: 75.0 %</text>" in drawn
    assert '"limit missed"' in drawn
    assert drawn.count('class="front"') == 1
    assert "&lt;poor&gt;</text>" in drawn


def test_what_is_no_number_has_no_place() -> None:
    nan = float("nan")
    points = [
        ScatterPoint("good", 1e4, 0.8, "good", "best"),
        ScatterPoint("no share", 2e4, nan, "no share", "best"),
        ScatterPoint("no cost", nan, 0.9, "no cost", "best"),
    ]
    drawn = str(
        draw_scatter(
            points,
            "Shares",
            width=500,
            height=300,
            across=AxisWords("size", size_text),
            up="share",
            ceilings=[ChartLimit(nan, False)],
        )
    )
    assert drawn.count('class="point') == 1
    assert "no share" not in drawn
    assert "nan" not in drawn


def test_a_fitted_curve_ends_where_the_chart_does() -> None:
    points = [
        ScatterPoint("a", 1.0, 0.4, "a", "best"),
        ScatterPoint("b", 100.0, 0.6, "b", "best"),
    ]
    curve = FittedCurve(lambda cost: 0.4 + 0.05 * math.log(cost), "0.05 log cost + 0.4")
    drawn = str(
        draw_scatter(
            points,
            "Shares",
            width=500,
            height=300,
            across=AxisWords("cost", str),
            up="share",
            fitted=curve,
        )
    )
    assert drawn.count('class="curve c0 d1"') == 1
    assert "0.05 log cost + 0.4</title>" in drawn
    # what is above the chart is left out, and not drawn along its edge
    path = drawn.split('class="curve c0 d1" d="M')[1].split('"')[0]
    heights = [float(pair.split()[1]) for pair in path.split("L")]
    assert len(set(heights)) == len(heights)


def test_a_curve_that_is_nowhere_in_the_chart_is_not_drawn() -> None:
    points = [ScatterPoint("a", 1.0, 0.4, "a", "best")]
    curve = FittedCurve(lambda cost: 5.0, "five")
    drawn = draw_scatter(
        points,
        "Shares",
        width=500,
        height=300,
        across=AxisWords("cost", str),
        up="share",
        fitted=curve,
    )
    assert "five" not in drawn


def test_another_figure_may_stand_in_place_of_the_share() -> None:
    points = [
        ScatterPoint("a", 1e6, 0.001, "a", "best"),
        ScatterPoint("b", 2e6, 1.0, "b", "best"),
    ]
    drawn = str(
        draw_scatter(
            points,
            "Times",
            width=500,
            height=300,
            across=AxisWords("work", size_text),
            up=AxisWords("time", seconds_text),
        )
    )
    assert "1 ms</text>" in drawn
    assert "100 ms</text>" in drawn
    assert 'class="front"' not in drawn


def test_of_hundreds_of_points_none_has_its_name() -> None:
    """Each name looked for its place among all others: 600 took most of a minute."""
    points = [ScatterPoint("name", 1e4 + n, 0.5, f"point {n}", "beaten") for n in range(81)]

    def drawn(count: int) -> str:
        words = AxisWords("size", size_text)
        chosen = points[:count]
        return str(draw_scatter(chosen, "S", width=500, height=300, across=words, up="share"))

    assert drawn(80).count(">name</text>") == 80
    assert drawn(81).count(">name</text>") == 0
    assert drawn(81).count('"point beaten"') == 81
