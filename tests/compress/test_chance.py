import doctest
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.compress import chance
from handheld.compress.chance import answers_fewer, at_least, is_no_guess


def test_examples() -> None:
    found = doctest.testmod(chance)
    assert found.attempted
    assert not found.failed


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_tails_are_those_of_whole_numbers(trials: int, tenths: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, trials))
    share = Fraction(tenths, 10)
    exact = sum(
        comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(count, trials + 1)
    )
    assert at_least(count, trials, tenths / 10) == pytest.approx(float(exact))


def test_a_tail_of_many_trials_is_no_overflow() -> None:
    assert at_least(5000, 10_000, 0.5) == pytest.approx(0.504, abs=1e-3)


@pytest.mark.parametrize(
    ("lost", "won", "fewer"),
    [(2, 0, False), (4, 0, False), (5, 0, True), (9, 4, False), (30, 10, True)],
)
def test_a_few_examples_are_chance(lost: int, won: int, fewer: bool) -> None:
    """0.5 to the fourth is 6 %, to the fifth 3 %."""
    before = np.array([True] * lost + [False] * won + [True] * 100)
    right = np.array([False] * lost + [True] * won + [True] * 100)
    assert answers_fewer(right, before) == fewer
    assert not answers_fewer(before, right)


@pytest.mark.parametrize(
    ("right", "is_better"), [(40, False), (50, False), (58, False), (60, True), (100, True)]
)
def test_half_of_two_classes_is_a_guess(right: int, is_better: bool) -> None:
    labels = np.arange(100) % 2
    assert is_no_guess(right, labels) == is_better


def test_examples_of_one_class_tell_nothing_but_all_right() -> None:
    assert is_no_guess(3, np.zeros(3, np.int64))
    assert not is_no_guess(2, np.zeros(3, np.int64))
