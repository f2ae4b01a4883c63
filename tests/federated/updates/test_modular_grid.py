import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from handheld.errors import InputError
from handheld.federated.updates import Modular
from handheld.federated.updates.rotation import blocks, mixed, mixed_back, rotated, rotated_back


def updates(count, clients, clip=1.0, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(clients, count)).astype(np.float32)
    return clip * found / np.linalg.norm(found, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 30), st.integers(2, 16), st.integers(0, 2**40))
@example(134, 1, 14, 0)  # a number beyond the grid's end
def test_sums_are_exact_modulo_and_near_the_truth(count, clients, bits, seed):
    grid, given_updates = Modular(2.0, clients, bits), updates(count, clients, 2.0, seed)
    whole = [grid.encode(x, seed, number) for number, x in enumerate(given_updates)]
    assert all(each.max() < 1 << grid.width for each in whole)
    total = whole[0]
    for each in whole[1:]:
        total = grid.add(total, each)
    signed = sum(
        np.where(each >= 1 << grid.width - 1, each.astype(np.int64) - (1 << grid.width), each)
        for each in whole
    )
    assert (signed % (1 << grid.width) == total).all()
    assert np.abs(signed).max() <= clients * grid.highest < 1 << grid.width - 1  # never around
    step = grid.spread * grid.clip / (len(total) ** 0.5 * grid.highest)
    beyond = [
        np.maximum(0, np.abs(mixed(x, seed)) - step * grid.highest) for x in given_updates
    ]  # taken as the grid's end
    error = np.linalg.norm(grid.decode(total, count, seed) - given_updates.sum(axis=0))
    assert error <= clients * step * len(total) ** 0.5 + sum(
        np.linalg.norm(each) for each in beyond
    )


def test_any_order_of_clients_gives_the_same_bits():
    grid, given_updates = Modular(1.0, 9), updates(3000, 9)
    whole = [grid.encode(x, 1, number) for number, x in enumerate(given_updates)]
    forwards, backwards = whole[0], whole[-1]
    for one, other in zip(whole[1:], whole[-2::-1], strict=True):
        forwards, backwards = grid.add(forwards, one), grid.add(backwards, other)
    assert (forwards == backwards).all()


def test_rounding_has_no_bias():
    x = updates(2000, 1)[0]
    grid = Modular(1.0, 400, 4)
    total = grid.encode(x, 0, 0)
    for number in range(1, 400):
        total = grid.add(total, grid.encode(x, 0, number))
    once = np.linalg.norm(grid.decode(grid.encode(x, 0, 1), 2000, 0) - x)
    assert np.linalg.norm(grid.decode(total, 2000, 0) / 400 - x) < 1.3 * once / 20


def test_a_part_that_holds_all_of_the_length_is_spread():
    x = np.zeros(200_000, np.float32)
    x[:1000] = updates(1000, 1)[0]
    numbers = mixed(x, 5)
    assert np.abs(numbers).max() < 6 / len(numbers) ** 0.5
    assert mixed_back(numbers, len(x), 5) == pytest.approx(x, abs=1e-5)


@pytest.mark.parametrize("count", [0, 1, 1000, 1024, 1025, 65_536, 65_537, 300_000])
def test_rotating_keeps_lengths_and_can_be_undone(count):
    x = np.random.default_rng(0).normal(size=count).astype(np.float32)
    parts = list(rotated(x, 9))
    assert [len(part) for part in parts] == list(blocks(count))
    assert sum(float(part @ part) for part in parts) == pytest.approx(float(x @ x), rel=1e-4)
    assert rotated_back(iter(parts), count, 9) == pytest.approx(x, abs=1e-5)
    assert sum(blocks(count)) - count < 1024


def test_blocks_are_orthogonal_transforms():
    columns = np.stack([next(rotated(row, 3)) for row in np.eye(1024, dtype=np.float32)])
    assert columns @ columns.T == pytest.approx(np.eye(1024), abs=1e-5)
    assert np.abs(columns) == pytest.approx(np.full((1024, 1024), 1 / 32), abs=1e-6)


def test_an_update_that_is_too_long_is_refused():
    with pytest.raises(InputError, match="no longer than 1, got 2"):
        Modular(1.0, 3).encode(updates(10, 1, 2.0)[0], 0, 0)


@pytest.mark.parametrize(
    "total", [np.zeros(7, np.uint32), np.full(1024, 1 << 20, np.uint32), np.zeros(1024)]
)
def test_what_is_no_sum_is_refused(total):
    with pytest.raises(InputError, match="expected a sum of 1024 numbers"):
        Modular(1.0, 3).decode(total, 10, 0)


@pytest.mark.parametrize(
    "values", [(0.0, 3, 8), (1.0, 0, 8), (1.0, 3, 1), (1.0, 1 << 20, 16), (np.nan, 3, 8)]
)
def test_values_outside_their_range(values):
    with pytest.raises(InputError, match=r"^(clip|clients|bits): expected a |32 are there"):
        Modular(*values)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(2, 16),
    st.sampled_from(["gaussian", "one", "alike"]),
    st.integers(0, 2**40),
)
def test_no_update_is_longer_than_the_bound_once_it_is_rounded(count, bits, shape, seed):
    if shape == "gaussian":
        x = updates(count, 1, 2.0, seed)[0]
    else:
        x = np.zeros(count, np.float32)
        x[: 1 if shape == "one" else count] = 1
        x *= np.float32(2.0 / np.linalg.norm(x.astype(float)))
    grid = Modular(2.0, 5, bits)
    length = np.linalg.norm(grid.decode(grid.encode(x, seed, seed + 1), count, seed).astype(float))
    assert length <= grid.longest(count)
    assert grid.longest(count) <= 2.0 * 5.0


def test_rounding_again_until_it_is_short_enough_has_no_bias_that_can_be_seen():
    """In the coarsest grid, of numbers that are half-way between two lines, where the most are
    rounded again.
    """
    grid = Modular(1.0, 4000, 2)
    x = np.full(1024, 1 / 32, np.float32)
    whole = [grid.encode(x, 0, number) for number in range(4000)]
    total = np.zeros_like(whole[0])
    for each in whole:
        total = grid.add(total, each)
    single = np.linalg.norm(grid.decode(whole[0], 1024, 0) - x)
    assert np.linalg.norm(grid.decode(total, 1024, 0) / 4000 - x) < 1.3 * single / np.sqrt(4000)
