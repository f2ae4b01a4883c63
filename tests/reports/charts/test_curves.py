import re

from handheld.reports import AxisWords, draw_curves


def test_each_curve_has_its_line_and_marks_stand_across() -> None:
    curves = {"one <a>": [(0, 1.0), (10, 0.5)], "none": [], "two": [(0, 0.2), (10, 0.1)]}
    drawn = str(draw_curves(curves, "Loss", width=400, height=200, marks={"here": 5.0}))
    assert re.findall('<path class="curve (.*?)"', drawn) == ["c0 d0", "c1 d0", "c1 d1"]
    assert "<title>one &lt;a&gt;</title>" in drawn
    assert "<title>here</title>" in drawn
    assert "one &lt;a&gt;: from 1 to 0.5; two: from 0.2 to 0.1" in drawn


def test_nothing_is_drawn_of_nothing() -> None:
    assert (
        draw_curves({"none": []}, "Loss", width=400, height=200, across=AxisWords("round", str))
        == ""
    )
