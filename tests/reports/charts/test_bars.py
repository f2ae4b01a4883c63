import re

from handheld.reports import AxisWords, ChartBar, HeatRow, draw_bars

MS = AxisWords("ms", "{:.0f}".format)


def heights(drawn: str) -> list[tuple[str, float]]:
    return [
        (kind, float(high))
        for kind, high in re.findall(r'<rect class="(.*?)".*?height="(.*?)"', drawn)
    ]


def test_bars_are_as_high_as_their_values() -> None:
    bars = [ChartBar(10, "frame 0"), ChartBar(5, "frame 1", True), ChartBar(0, "frame 2")]
    drawn = str(draw_bars(bars, "Latency", width=300, height=100, up=MS))
    assert heights(drawn) == [("amount", 100.0), ("amount marked", 50.0), ("amount", 1.0)]
    assert "<title>frame 1</title>" in drawn
    assert "Latency. from 0 to 10" in drawn


def test_a_bar_of_no_number_is_none() -> None:
    bars = [ChartBar(float("nan"), "a"), ChartBar(5, "b"), ChartBar(float("inf"), "c")]
    drawn = str(draw_bars(bars, "Latency", width=300, height=100, up=MS))
    assert [high for _, high in heights(drawn)] == [1.0, 100.0, 1.0]


def test_rows_of_shares_are_darker_the_larger() -> None:
    row = HeatRow("cats", [1.0, 0.0], ["all", "none"])
    drawn = str(
        draw_bars(
            [ChartBar(1, "a"), ChartBar(1, "b")], "Users", width=300, height=90, up=MS, rows=[row]
        )
    )
    assert ">cats</text>" in drawn
    assert re.findall(r'opacity="(.*?)"><title>(.*?)<', drawn) == [
        ("1.00", "a"),
        ("1.00", "b"),
        ("1.00", "all"),
    ]


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw_bars([], "Latency", width=300, height=100, up=MS) == ""
