"""Shamir's sharing beside a small one of Python's integers."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.secagg import shares as sharing
from handheld.federated.secagg.shares import PRIME, join, split


def reference_value(points: list[int], values: list[int]) -> int:
    """The value at 0 of the polynomial through some points, by Lagrange's formula."""
    total = 0
    for i, (x, y) in enumerate(zip(points, values, strict=True)):
        term = y
        for j, other in enumerate(points):
            if j != i:
                term = term * other * pow(other - x, -1, PRIME) % PRIME
        total += term
    return total % PRIME


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=20), st.integers(1, 12), st.integers(0, 8), st.randoms())
def test_reference_of_any_shares(half, threshold, more, rng):
    secret = half + half[::-1]
    total = threshold + more
    pieces = split(secret, total, threshold)
    chosen = rng.sample(range(total), threshold)
    points = [place + 1 for place in chosen]
    limbs = np.frombuffer(secret, "<u2")
    for limb, column in zip(limbs, pieces.T, strict=True):
        assert reference_value(points, [int(column[place]) for place in chosen]) == limb
    assert join(np.array(points), pieces[chosen][:, np.newaxis]) == [secret]


def test_many_secrets_at_once():
    secrets = [bytes(random.Random(seed).randbytes(32)) for seed in range(50)]
    pieces = np.stack([split(secret, 90, 61) for secret in secrets], axis=1)
    chosen = np.random.default_rng(0).permutation(90)[:61]
    assert join(chosen + 1, pieces[chosen]) == secrets


def test_all_places_of_the_field():
    secret = b"\xff\xff\x00\x00"
    pieces = split(secret, sharing.MOST_SHARES, 3)
    chosen = np.array([0, 40_000, sharing.MOST_SHARES - 1])
    assert join(chosen + 1, pieces[chosen][:, np.newaxis]) == [secret]


def test_fewer_shares_say_nothing():
    """With one share fewer each secret is as likely: a share at another place makes it so."""
    pieces = split(b"\x01\x00", 5, 3)
    known = pieces[:2, :, np.newaxis]
    secrets = set()
    for guess in range(0, PRIME, 97):
        shares = np.concatenate([known, np.full((1, 1, 1), guess, np.uint32)])
        try:
            secrets.add(join(np.array([1, 2, 3]), shares)[0])
        except InputError:
            secrets.add(None)
    assert len(secrets) == len(range(0, PRIME, 97))


def test_shares_are_even():
    """Chi-squared of a share's values: 64 bins of 65,537, 40,000 draws of one secret."""
    draws = np.concatenate([split(bytes(2000), 2, 2)[1] for _ in range(40)])
    counts, _ = np.histogram(draws, 64, (0, PRIME))
    expected = len(draws) / 64
    assert ((counts - expected) ** 2 / expected).sum() < 126  # 63 degrees of freedom, 1 in 300,000


def test_coefficients_are_of_the_whole_field(monkeypatch):
    """Words that would make some elements likelier are thrown away."""
    words = [b"\xff\xff\xff\xff" * 2, b"\x00\x00\x01\x00\x01\x00\x01\x00"]
    monkeypatch.setattr(sharing.os, "urandom", lambda count: words.pop(0))
    assert sharing._elements(1, 2).tolist() == [[65536, 0]]


@pytest.mark.parametrize(
    ("secret", "shares", "threshold", "message"),
    [
        (b"", 3, 2, "even number of bytes, got 0"),
        (b"abc", 3, 2, "got 3"),
        (b"ab", 3, 0, "threshold"),
        (b"ab", 1, 2, "shares"),
        (b"ab", 70_000, 2, "shares"),
    ],
)
def test_wrong_numbers(secret, shares, threshold, message):
    with pytest.raises(InputError, match=message):
        split(secret, shares, threshold)


@pytest.mark.parametrize(
    ("points", "shares", "message"),
    [
        ([], np.zeros((0, 1, 1), np.uint32), "one point"),
        ([1, 1], np.zeros((2, 1, 1), np.uint32), "one twice"),
        ([0, 1], np.zeros((2, 1, 1), np.uint32), "points in"),
        ([1, 65_537], np.zeros((2, 1, 1), np.uint32), "points in"),
        ([1, 2], np.zeros((3, 1, 1), np.uint32), "at 2 points"),
        ([1, 2], np.full((2, 1, 1), PRIME, np.uint32), "below 65,537"),
        ([1], np.full((1, 1, 1), 65_536, np.uint32), "no secret"),
    ],
)
def test_shares_that_are_none(points, shares, message):
    with pytest.raises(InputError, match=message):
        join(np.array(points, np.int64), shares)
