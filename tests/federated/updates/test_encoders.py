"""What every encoder promises: lengths of any size, no bias where it says so, clear errors for what
is no update.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from handheld.errors import InputError
from handheld.federated.updates import (
    Coded,
    Eden,
    Largest,
    Stochastic,
    Subsample,
    Whole,
    with_feedback,
)

ENCODERS = (
    Whole(),
    *(Eden(bits) for bits in (1, 2, 3, 4, 5, 8)),
    *(Stochastic(levels) for levels in (2, 3, 4, 16, 256)),
    Stochastic(2, rotate=False),
    Stochastic(3, rotate=False, symmetric=True),
    Subsample(0.25),
    Subsample(0.5, Eden(2)),
    Largest(0.1),
    Largest(1.0, Eden(4)),
    Coded(Stochastic(16)),
    Coded(Largest(0.1, Stochastic(256))),
)
COUNTS = (0, 1, 7, 64, 1023, 1025, 5000, 65_537, 200_000)


def vector(count, seed=0, kind="lognormal"):
    rng = np.random.default_rng(seed)
    drawn = {"lognormal": rng.lognormal, "normal": rng.normal}[kind](size=count)
    return drawn.astype(np.float32)


def error(found, x):
    return float(((found - x) ** 2).sum() / max((x.astype(float) ** 2).sum(), 1e-30))


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("count", COUNTS)
def test_any_number_of_numbers(encoder, count):
    x = vector(count)
    found = encoder.decode(encoder.encode(x, 3), count, 3)
    assert found.shape == (count,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_the_same_seed_gives_the_same_bytes(encoder):
    x = vector(3000)
    assert encoder.encode(x, 5) == encoder.encode(x.copy(), 5)


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_zeros_stay_zeros(encoder):
    x = np.zeros(2000, np.float32)
    assert not encoder.decode(encoder.encode(x, 1), 2000, 1).any()


@pytest.mark.parametrize("encoder", [each for each in ENCODERS if each.unbiased], ids=repr)
def test_errors_of_the_unbiased_average_out(encoder):
    x, clients = vector(4096, kind="lognormal"), 64
    found = [
        encoder.decode(encoder.encode(x, seed), len(x), seed).astype(float)
        for seed in range(clients)
    ]
    alone = np.mean([error(each, x) for each in found])
    assert clients * error(np.mean(found, axis=0), x) <= 1.35 * alone + 1e-9


@pytest.mark.parametrize(
    "encoder",
    [each for each in ENCODERS if not each.unbiased and each != Largest(1.0, Eden(4))],
    ids=repr,
)
def test_those_of_the_biased_do_not(encoder):
    x, clients = vector(4096, kind="lognormal"), 64
    found = [
        encoder.decode(encoder.encode(x, seed), len(x), seed).astype(float)
        for seed in range(clients)
    ]
    assert clients * error(np.mean(found, axis=0), x) > 5 * np.mean(
        [error(each, x) for each in found]
    )


@pytest.mark.parametrize("kind", ["lognormal", "normal", "sparse"])
@pytest.mark.parametrize(("bits", "most"), [(1, 0.58), (2, 0.14), (4, 0.010)])
def test_eden_is_as_good_as_its_paper(kind, bits, most):
    x = vector(1 << 16, kind="normal" if kind == "sparse" else kind)
    if kind == "sparse":
        x[np.random.default_rng(1).random(len(x)) > 0.01] = 0
    encoder = Eden(bits)
    for clients in (1, 20):
        found = np.mean(
            [encoder.decode(encoder.encode(x, s), len(x), s).astype(float) for s in range(clients)],
            axis=0,
        )
        assert clients * error(found, x) <= most


@pytest.mark.parametrize(
    ("encoder", "bits"), [(Eden(1), 1), (Eden(3), 3), (Stochastic(4), 2), (Stochastic(3), 2)]
)
def test_bytes_are_those_of_the_bits(encoder, bits):
    count = 1 << 17
    assert len(encoder.encode(vector(count), 0)) * 8 / count == pytest.approx(bits, rel=0.002)


def test_places_of_the_largest_take_few_bits():
    count, share = 100_000, 0.01
    content = Largest(share).encode(vector(count, kind="normal"), 0)
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share)) * count / 8
    assert len(content) - 4 - 4 * share * count <= 1.05 * entropy


def test_the_largest_are_kept_as_they_are():
    x = vector(1000, kind="normal")
    found = Largest(0.1).decode(Largest(0.1).encode(x, 0), 1000, 0)
    kept = np.flatnonzero(found)
    assert set(kept) == set(np.argsort(-np.abs(x))[:100])
    assert (found[kept] == x[kept]).all()


def test_coding_takes_fewer_bytes_where_some_are_common():
    x = vector(1 << 16, kind="normal")
    plain, coded = Stochastic(256), Coded(Stochastic(256))
    assert len(coded.encode(x, 0)) < 0.9 * len(plain.encode(x, 0))
    assert (
        coded.decode(coded.encode(x, 0), len(x), 0) == plain.decode(plain.encode(x, 0), len(x), 0)
    ).all()


def test_feedback_sends_in_the_end_what_was_left_out():
    x, left, sent = vector(1000, kind="normal"), np.zeros(1000, np.float32), np.zeros(1000)
    for turn in range(100):
        content, left = with_feedback(Largest(0.05), x, left, turn)
        sent += Largest(0.05).decode(content, 1000, turn)
    assert error(sent / 100, x) < 0.05
    assert error(Largest(0.05).decode(Largest(0.05).encode(x, 0), 1000, 0), x) > 0.5


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(encoder, bad):
    x = vector(100)
    x[17] = bad
    with pytest.raises(
        InputError, match=r"expected finite numbers in an update, got -?(nan|inf) at 17 of 100"
    ):
        encoder.encode(x, 0)


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("bad", [np.zeros((2, 2), np.float32), np.zeros(3)])
def test_another_shape_or_type_is_refused(encoder, bad):
    with pytest.raises(InputError, match=r"expected an update \(n,\) of float32"):
        encoder.encode(bad, 0)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ENCODERS), st.binary(max_size=300), st.integers(0, 3000))
def test_bytes_of_a_stranger_are_refused_or_give_finite_numbers(encoder, content, count):
    try:
        found = encoder.decode(content, count, 0)
    except InputError:
        return
    assert found.shape == (count,)
    assert np.isfinite(found).all()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ENCODERS), st.integers(0, 10**9), st.integers(0, 255), st.booleans())
def test_a_damaged_update_is_refused_or_gives_finite_numbers(encoder, place, value, shorter):
    content = bytearray(encoder.encode(vector(1500), 1))
    if shorter:
        content = content[: place % len(content)]
    else:
        content[place % len(content)] = value
    try:
        found = encoder.decode(bytes(content), 1500, 1)
    except InputError:
        return
    assert found.shape == (1500,)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Eden, 0), (Eden, 9), (Stochastic, 1), (Stochastic, 257), (Subsample, 0.0), (Largest, 1.5)],
)
def test_values_outside_their_range(kind, value):
    with pytest.raises(InputError, match="expected"):
        kind(value)


def test_numbers_too_large_for_their_squares():
    with pytest.raises(InputError, match="too large"):
        Eden(2).encode(np.full(100, 3e38, np.float32), 0)
