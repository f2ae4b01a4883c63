from collections import Counter
from dataclasses import dataclass

import numpy as np

from handheld.hands.training.examples.sets import SetSampler


@dataclass(frozen=True)
class Entry:
    group: str
    number: int


def entries(**sizes):
    return [Entry(group, number) for group, size in sizes.items() for number in range(size)]


def test_sets_are_drawn_by_the_root_of_their_size():
    sampler = SetSampler(entries(small=1, large=9))
    rng = np.random.default_rng(0)
    drawn = Counter(sampler.draw(rng).group for _ in range(4000))
    # Roots of 1 and 9: one draw in four is of the small set, not one in ten.
    assert abs(drawn["small"] / 4000 - 0.25) < 0.03


def test_all_entries_of_a_set_are_drawn():
    sampler = SetSampler(entries(only=5))
    rng = np.random.default_rng(0)
    assert {sampler.draw(rng).number for _ in range(100)} == {0, 1, 2, 3, 4}


def test_the_order_of_the_sets_does_not_matter():
    there = SetSampler(entries(a=2, b=3))
    back = SetSampler(entries(b=3, a=2))
    first, second = np.random.default_rng(7), np.random.default_rng(7)
    assert [there.draw(first) for _ in range(20)] == [back.draw(second) for _ in range(20)]


def test_a_sampler_of_nothing_is_false():
    assert not SetSampler([])
    assert SetSampler(entries(one=1))
