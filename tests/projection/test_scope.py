import numpy as np
import pytest

from handheld.errors import InputError
from handheld.projection.scope import auroc, figures, threshold_of

INSIDE, RIGHT, OUTSIDE = (
    np.array([0.9, 0.8, 0.7, 0.3]),
    np.array([True, True, False, True]),
    np.array([0.75, 0.2]),
)


def test_figures_by_hand():
    found = figures(INSIDE, RIGHT, OUTSIDE, 0.5)
    assert (found.accuracy, found.recall, found.threshold) == (0.5, 0.5, 0.5)
    assert found.auroc == (2 + 2 + 1 + 1) / 8


@pytest.mark.parametrize(
    ("inside", "outside", "area"), [([1, 1], [0], 1), ([0], [1, 1], 0), ([0.5], [0.5, 0.5], 0.5)]
)
def test_the_ends_of_the_area(inside: list[float], outside: list[float], area: float):
    assert auroc(np.array(inside), np.array(outside)) == area


def test_no_threshold_has_a_larger_sum():
    best = threshold_of(INSIDE, RIGHT, OUTSIDE)
    found = figures(INSIDE, RIGHT, OUTSIDE, best)
    others = [figures(INSIDE, RIGHT, OUTSIDE, float(t)) for t in np.linspace(0, 1, 101)]
    assert (
        found.accuracy + found.recall == max(each.accuracy + each.recall for each in others) == 1.5
    )


def test_without_texts_out_of_scope_right_answers_are_kept():
    shares = np.linspace(0.01, 1, 100)
    assert (shares >= threshold_of(shares, np.ones(100, bool), np.empty(0))).mean() == 0.95
    assert threshold_of(shares, np.zeros(100, bool), np.empty(0)) == 0


def test_no_texts_have_no_figures():
    with pytest.raises(InputError, match="got 4 and 0"):
        figures(INSIDE, RIGHT, np.empty(0), 0.5)
