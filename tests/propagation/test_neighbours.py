import numpy as np
import pytest
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation.neighbours import graph_of, near


def clusters(groups: int, size: int, flipped: float, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2, (groups, 128), dtype=np.uint8).repeat(size, axis=0)
    return np.packbits(centres ^ (rng.random(centres.shape) < flipped), axis=1)


def distances(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    bits = np.unpackbits(codes, axis=1).astype(np.int64)
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    np.fill_diagonal(apart, 999)
    return apart


def test_all_are_found_where_all_are_compared():
    codes = clusters(5, 8, 0.1)
    found, distance = near(codes, 6, orders=1, reach=40)
    expected = distances(codes)
    assert np.array_equal(np.sort(expected, axis=1)[:, :6], distance)
    assert np.array_equal(np.take_along_axis(expected, found.astype(np.int64), axis=1), distance)
    assert all(len(set(row)) == 6 for row in found.tolist())


def test_most_are_found_without_comparing_all():
    codes = clusters(300, 10, 0.05)
    found, distance = near(codes, 5)
    expected = np.sort(distances(codes), axis=1)[:, :5]
    assert (distance <= expected[:, -1:]).mean() > 0.95
    assert (found // 10 == np.arange(3000)[:, None] // 10).mean() > 0.98


def test_the_same_seed_finds_the_same():
    codes = clusters(50, 6, 0.2)
    assert np.array_equal(near(codes, 4, seed=3)[0], near(codes, 4, seed=3)[0])


def test_too_few_codes_have_too_few_neighbours():
    found, distance = near(clusters(1, 3, 0.1), 5)
    assert (np.sort(found, axis=1)[:, :3] == -1).all()
    assert (distance[:, 2:] == -1).all()
    assert near(np.zeros((0, 16), np.uint8), 5)[0].shape == (0, 5)


def test_near_codes_are_joined_and_far_ones_are_not():
    codes = clusters(40, 5, 0.05)
    graph = graph_of(codes, 8)
    owners = np.repeat(np.arange(graph.nodes), np.diff(graph.offsets))
    alike = owners // 5 == graph.neighbours // 5
    assert 0.4 < alike.mean() < 0.9
    assert graph.weights[alike].mean() > 2 * graph.weights[~alike].mean()
    assert (graph.weights > 0).all()


@pytest.mark.parametrize(
    "codes", [np.zeros((3, 4)), np.zeros(3, np.uint8), np.zeros((3, 0), np.uint8), np.zeros((3, 65), np.uint8)]
)
def test_what_is_no_code(codes: NDArray[np.uint8]):
    with pytest.raises(InputError, match="expected codes"):
        near(codes)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"orders": 0}, {"reach": 0}])
def test_numbers_below_one(wrong: dict[str, int]):
    with pytest.raises(InputError):
        near(np.zeros((2, 1), np.uint8), **wrong)
