import numpy as np
import pytest

from handheld.data.users.partitions import Partition, by_quantity, by_shards, evenly
from handheld.data.users.skew import skew_of


def test_dealt_out_evenly():
    labels = np.arange(1000) % 4
    found = skew_of(evenly(1000, 10, seed=0), labels)
    assert (found.users, found.examples, found.smallest, found.largest, found.classes) == (
        10,
        1000,
        100,
        100,
        4,
    )
    assert found.distance < 0.1
    assert found.top_tenth == pytest.approx(0.1)


def test_shards_know_few_classes():
    found = skew_of(by_shards(np.arange(1000) // 100, 50, seed=0), np.arange(1000) // 100)
    assert 1 < found.classes <= 2
    assert found.distance > 0.75


def test_the_richest_have_most():
    found = skew_of(by_quantity(1000, 20, skew=2.0, seed=0))
    assert found.top_tenth > 0.6
    assert found.smallest < found.median < found.largest
    assert (found.classes, found.distance) == (None, None)


def test_nobody_has_anything():
    assert skew_of(Partition(np.zeros(0, np.int64), np.zeros(4, np.int64))).users == 0
    lonely = Partition(np.arange(3), np.array([0, 0, 3, 3]))
    assert (
        skew_of(lonely, np.zeros(3, np.int64)).users,
        skew_of(lonely, np.zeros(3, np.int64)).distance,
    ) == (1, 0)


def test_labels_may_be_any_numbers():
    large = np.array([2_000_000_000, 5, 5, 2_000_000_000])
    small = np.array([1, 0, 0, 1])
    assert skew_of(evenly(4, 2, seed=0), large) == skew_of(evenly(4, 2, seed=0), small)
