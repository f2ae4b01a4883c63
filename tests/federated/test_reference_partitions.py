"""Dirichlet partitions beside their papers."""

import numpy as np
import pytest

from handheld.data.users.partitions import by_dirichlet, by_dirichlet_shares

LABELS = np.arange(5000) % 10


def hsu(labels, users, alpha, rng):
    """Hsu et al.: each client draws q from Dir(alpha p) and takes N / users examples by it, one at
    a time.
    """
    classes, prior = np.unique(labels, return_counts=True)
    left, counts = prior.copy(), np.zeros((users, len(classes)), int)
    for user in range(users):
        mixture = rng.dirichlet(alpha * prior / prior.sum())
        for _ in range(len(labels) // users):
            open_mixture = mixture * (left > 0)
            if open_mixture.sum() == 0:
                open_mixture = left
            chosen = rng.choice(len(classes), p=open_mixture / open_mixture.sum())
            left[chosen] -= 1
            counts[user, chosen] += 1
    return counts


def yurochkin(labels, users, alpha, rng):
    """Yurochkin et al.: for each class, shares of the users from Dir(alpha)."""
    counts = [
        rng.dirichlet(np.full(users, alpha)) * (labels == label).sum()
        for label in np.unique(labels)
    ]
    return np.array(counts).T


def largest(counts):
    """Mean share of a user's commonest class, of those who have something."""
    counts = counts[counts.sum(axis=1) > 0]
    return float((counts.max(axis=1) / counts.sum(axis=1)).mean())


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0, 1000.0])
def test_reference_of_hsu_each_user_has_as_many_of_classes_by_a_dirichlet_mixture(alpha):
    ours = [by_dirichlet(LABELS, 100, alpha=alpha, seed=seed) for seed in range(4)]
    theirs = [largest(hsu(LABELS, 100, alpha, np.random.default_rng(seed))) for seed in range(4)]
    for partition in ours:
        assert partition.sizes.tolist() == [50] * 100
        assert np.array_equal(np.sort(partition.indices), np.arange(5000))
    found = np.mean([largest(partition.counts(LABELS, 10)) for partition in ours])
    assert found == pytest.approx(np.mean(theirs), abs=0.03)


def test_reference_of_hsu_uneven_classes_and_a_remainder():
    labels = np.repeat([0, 1, 2], [700, 200, 103])
    partition = by_dirichlet(labels, 10, alpha=1e4, seed=0)
    assert sorted(partition.sizes) == [100] * 7 + [101] * 3
    assert partition.counts(labels, 3).mean(axis=0) == pytest.approx([70, 20, 10.3])
    assert partition.counts(labels, 3)[:, 0].std() < 8  # classes as in all of the data


@pytest.mark.parametrize("alpha", [0.1, 0.5, 10.0])
def test_reference_of_yurochkin_each_class_is_shared_out(alpha):
    ours = [
        by_dirichlet_shares(LABELS, 50, alpha=alpha, seed=seed, min_examples=0) for seed in range(6)
    ]
    theirs = [yurochkin(LABELS, 50, alpha, np.random.default_rng(seed)) for seed in range(6)]
    spread = [np.std(partition.sizes) for partition in ours]
    assert np.mean(spread) == pytest.approx(
        np.mean([counts.sum(axis=1).std() for counts in theirs]), rel=0.2
    )
    found = np.mean([largest(partition.counts(LABELS, 10)) for partition in ours])
    assert found == pytest.approx(np.mean([largest(counts) for counts in theirs]), abs=0.05)
