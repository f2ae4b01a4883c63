import re

import pytest

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


NAN = float("nan")


@pytest.mark.parametrize(
    ("losses", "pieces"),
    [
        ([1.0, 0.5, NAN, NAN], [2]),
        ([NAN, 1.0, 0.5], [2]),
        ([1.0, NAN, 0.5, 0.4], [1, 2]),
        ([1.0, float("inf"), 0.5], [1, 1]),
    ],
)
def test_a_loss_that_is_no_number_is_a_gap(losses: list[float], pieces: list[int]) -> None:
    drawn = str(draw_curves({"one": list(enumerate(losses))}, "Loss", width=400, height=200))
    path = re.findall('<path class="curve c0 d0" d="(.*?)"', drawn)[0]
    assert [piece.count("L") + 1 for piece in path.split("M")[1:]] == pieces
    assert not re.search("nan|inf", path)


def test_nothing_is_drawn_of_no_numbers() -> None:
    nothing = {"one": [(0, NAN)], "two": [(NAN, 1.0)]}
    assert draw_curves(nothing, "Loss", width=400, height=200, marks={"here": 1.0}) == ""


def test_numbers_of_any_size_have_a_place() -> None:
    curve = [(0, 1e300), (1, 1.0), (2, 1e-300)]
    drawn = str(draw_curves({"one": curve}, "Loss", width=400, height=200, marks={"here": NAN}))
    places = re.findall(r"[ML]\S+ ([\d.]+)", re.findall('c0 d0" d="(.*?)"', drawn)[0])
    top, middle, bottom = map(float, places)
    assert middle - top == pytest.approx(bottom - middle, abs=0.2)
