import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.data.users.partitions import (
    Partition,
    by_dirichlet,
    by_dirichlet_shares,
    by_quantity,
    by_shards,
    by_user,
    evenly,
    from_indices,
)
from handheld.errors import InputError

LABELS = np.random.default_rng(0).integers(0, 10, 6000)


def whole(partition, count):
    return (
        np.array_equal(np.sort(partition.indices), np.arange(count))
        and partition.offsets[-1] == count
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(0, 300),
    st.integers(0, 5),
    st.floats(0.01, 100),
    st.floats(0, 3),
)
def test_each_example_has_one_user(users, more, seed, evenness, skew):
    count = 2 * users + more
    labels = np.random.default_rng(seed).integers(0, 4, count)
    for partition in (
        evenly(count, users, seed=seed),
        by_shards(labels, users, seed=seed),
        by_dirichlet(labels, users, alpha=evenness, seed=seed),
        by_dirichlet_shares(labels, users, alpha=evenness, seed=seed, min_examples=2),
        by_quantity(count, users, skew=skew, seed=seed),
    ):
        assert len(partition) == users
        assert whole(partition, count)
        assert partition.sizes.min() >= 1


def test_evenly_means_one_more_at_most():
    sizes = evenly(1003, 10, seed=0).sizes
    assert sizes.max() - sizes.min() == 1


def test_most_users_of_two_shards_know_two_classes():
    counts = by_shards(np.sort(LABELS), 100, seed=0).counts(np.sort(LABELS), 10)
    known = (counts > 0).sum(axis=1)
    assert np.median(known) == 2
    assert known.max() <= 4
    assert counts.sum() == 6000


@pytest.mark.parametrize(("evenness", "low", "high"), [(100.0, 0.08, 0.2), (0.05, 0.6, 1.0)])
def test_evenness_says_how_alike_users_are(evenness, low, high):
    counts = by_dirichlet_shares(LABELS, 20, alpha=evenness, seed=0).counts(LABELS, 10)
    largest = (counts.max(axis=1) / counts.sum(axis=1)).mean()
    assert low < largest < high


def test_of_few_users_some_have_much():
    sizes = np.sort(by_quantity(10_000, 100, skew=1.5, seed=1).sizes)[::-1]
    assert sizes[0] > 3000
    assert np.median(sizes) < 20
    assert by_quantity(10_000, 100, skew=0.0, seed=1).sizes.tolist() == [100] * 100


def test_examples_go_to_whom_they_belong():
    partition = by_user(["bob", "ann", "bob", "cy", "ann", "bob"])
    assert partition.names == ("ann", "bob", "cy")
    assert [partition.of(user).tolist() for user in range(3)] == [[1, 4], [0, 2, 5], [3]]


def test_the_same_seed_deals_alike():
    one, other, third = (by_dirichlet(LABELS, 30, alpha=0.3, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(one.indices, other.indices)
    assert not np.array_equal(one.indices, third.indices)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: evenly(3, 4, seed=0),
        lambda: evenly(3, 0, seed=0),
        lambda: by_shards(LABELS[:5], 3, seed=0),
        lambda: by_dirichlet(LABELS, 10, alpha=0.0, seed=0),
        lambda: by_dirichlet_shares(LABELS, 10, alpha=0.0, seed=0),
        lambda: by_shards(LABELS, 3, shards_per_user=0, seed=0),
        lambda: by_shards(LABELS, 3, shards_per_user=1.5, seed=0),
        lambda: by_shards(LABELS, "3", seed=0),
        lambda: by_dirichlet(LABELS, 3, alpha="1", seed=0),
        lambda: by_dirichlet(LABELS, 3, alpha=1, seed=-1),
        lambda: by_dirichlet_shares(LABELS, 3.5, alpha=1, seed=0),
        lambda: by_dirichlet_shares(LABELS, 3, alpha=1, min_examples="1", seed=0),
        lambda: by_quantity(len(LABELS), 3, skew=None, seed=0),
        lambda: evenly(len(LABELS), 3, seed=None),
        lambda: by_quantity(10, 3, skew=-1.0, seed=0),
        lambda: by_user([]),
    ],
)
def test_too_few_examples(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()


def test_a_number_and_its_name_are_two_users():
    partition = by_user([1, "1", 2, 1])
    assert partition.names == (1, "1", 2)
    assert [partition.of(user).tolist() for user in range(3)] == [[0, 3], [1], [2]]


def test_of_ten_thousand_users_each_gets_enough_from_the_richest():
    labels = np.arange(40_000) % 10
    partition = by_dirichlet_shares(labels, 10_000, alpha=0.05, seed=0, min_examples=3)
    assert partition.sizes.min() == 3
    assert whole(partition, 40_000)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda: from_indices([]), "expected a user or more, got none"),
        (
            lambda: from_indices([np.array([2**63 + 5], np.uint64)]),
            "indices: expected numbers of 0 or more.* got 9223372036854775813",
        ),
        (lambda: from_indices([np.array([0]), np.array([-1])]), "indices: .* got -1"),
        (
            lambda: from_indices([np.array([0.5])]),
            r"indices: expected whole numbers .n,., got float64",
        ),
        (lambda: Partition(np.array([-1]), np.array([0, 1])), "indices: .* got -1"),
        (lambda: Partition([0], np.array([0, 1])), "indices: expected an array .n,., got list"),
        (
            lambda: Partition(np.array([1]), np.array([0, 7])),
            r"offsets: expected numbers that rise from 0 to 1.* got .0, 7.",
        ),
        (
            lambda: Partition(np.arange(3), np.array([0, 2, 1, 3])),
            "offsets: expected numbers that rise",
        ),
        (
            lambda: Partition(np.arange(0), np.array([], np.int64)),
            "offsets: expected numbers that rise",
        ),
        (lambda: by_user([1.0, float("nan")]), "owners: example 1 is of nan"),
        (lambda: evenly(5, 2.5, seed=0), "users: expected a whole number of 1 or more, got 2.5"),
    ],
)
def test_what_is_no_partition_is_refused(wrong, why):
    with pytest.raises(InputError, match=why):
        wrong()


def test_owners_above_all_signed_numbers():
    partition = by_user(np.array([2**63 + 5, 7, 2**63 + 5], np.uint64))
    assert [partition.of(user).tolist() for user in range(2)] == [[1], [0, 2]]
    assert (
        len(from_indices([np.array([], float), np.array([0])])) == 2
    )  # an empty list has no type of its own


def test_labels_of_any_type_are_counted_and_large_ones_refused():
    partition = from_indices([np.array([0, 1]), np.array([2])])
    assert partition.counts(np.array([1, 0, 1], np.uint64), 2).tolist() == [[1, 1], [0, 1]]
    for labels, classes, why in (
        (
            [0, 1, 2_000_000_000],
            2_000_000_001,
            "2 users and 2,000,000,001 classes are too many to count",
        ),
        ([0, 1, 2], 2, "labels: expected 0 to 1, got 0 to 2"),
        ([0, 1, -1], 2, "labels: expected 0 to 1, got -1 to 1"),
    ):
        with pytest.raises(InputError, match=why):
            partition.counts(np.array(labels), classes)
