import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation import SeedLabels, propagate
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


def copies(
    of_first: int, of_second: int, others: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return codes in a random order, and which are copies: 0 and 1, or -1 for those that are
    alone.
    """
    rng = np.random.default_rng(1)
    alone = rng.integers(0, 256, (others, 16), np.uint8)
    pair = rng.integers(0, 256, (2, 16), np.uint8)
    codes = np.concatenate(
        [pair[:1].repeat(of_first, axis=0), pair[1:].repeat(of_second, axis=0), alone]
    )
    which = np.repeat([0, 1, -1], [of_first, of_second, others])
    order = rng.permutation(len(codes))
    return codes[order], which[order]


def test_all_copies_of_a_labelled_code_get_its_label():
    codes, which = copies(3000, 3000, 4000)
    graph = graph_of(codes, 10)
    assert graph.edges < 2 * 11 * 4002 + 2 * 6000
    ends = [np.flatnonzero(which == group)[-1] for group in (0, 1)]
    labels = propagate(graph, SeedLabels.of(ends, [0, 1]))
    assert set(labels.best[which == 0].tolist()) == {0}
    assert set(labels.best[which == 1].tolist()) == {1}
    for group in (0, 1):
        shares = labels.dense()[which == group, group]
        assert shares.min() > 0.9
    assert labels.converged


def test_a_seed_among_copies_outweighs_many_near_codes_of_another_label():
    code = np.zeros((1, 16), np.uint8)
    near_codes = np.eye(120, 128, dtype=np.uint8)
    codes = np.concatenate([code.repeat(50, axis=0), np.packbits(near_codes, axis=1)])
    labels = propagate(
        graph_of(codes, 60, orders=1, reach=200),
        SeedLabels.of([49, *range(50, 170)], [0, *[1] * 120]),
    )
    assert labels.best[:49].tolist() == [0] * 49


def test_neighbours_of_copies_are_found_among_other_codes():
    codes, which = copies(3000, 1, 4000)
    graph = graph_of(codes, 10)
    head = int(np.flatnonzero(which == 0)[0])
    beside = graph.neighbours[graph.offsets[head] : graph.offsets[head + 1]]
    assert (which[beside] != 0).sum() >= 10
    others = which != 0
    without = graph_of(codes[others | (np.arange(len(codes)) == head)], 10)
    assert without.edges + 2 * 2999 == graph.edges


def test_copies_come_first_among_near_codes_and_then_others_with_their_copies():
    codes = np.array([[0], [1], [0], [3], [1], [0]], np.uint8)
    found, distance = near(codes, 4)
    assert found[0].tolist() == [2, 5, 1, 4]
    assert found[2].tolist() == [5, 0, 1, 4]
    assert distance[0].tolist() == [0, 0, 1, 1]
    assert found[3].tolist() == [1, 4, 0, 2]
    assert distance[3].tolist() == [1, 1, 2, 2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 6))
def test_where_all_are_compared_near_is_brute_force_with_copies_too(
    seed: int, count: int, wanted: int
):
    codes = np.random.default_rng(seed).integers(0, 6, (count, 1), dtype=np.uint8)
    expected = distances(codes)
    found, distance = near(codes, wanted, orders=1, reach=count)
    room = min(wanted, count - 1)
    assert np.array_equal(np.sort(expected, axis=1)[:, :room], distance[:, :room])
    assert (distance[:, room:] == -1).all()
    for code in range(count):
        row = found[code, :room]
        assert len({code, *row.tolist()}) == room + 1
        assert expected[code, row].tolist() == distance[code, :room].tolist()


def test_only_copies_are_joined_too():
    graph = graph_of(np.full((5, 4), 7, np.uint8))
    assert (graph.nodes, graph.edges) == (5, 8)
    assert propagate(graph, SeedLabels.of([3], [0])).best.tolist() == [0] * 5
    assert graph_of(np.zeros((0, 4), np.uint8)).nodes == 0


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((3, 4)),
        np.zeros(3, np.uint8),
        np.zeros((3, 0), np.uint8),
        np.zeros((3, 65), np.uint8),
    ],
)
def test_what_is_no_code(codes: NDArray[np.uint8]):
    with pytest.raises(InputError, match="expected codes"):
        near(codes)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 2.5}, {"orders": 0}, {"reach": 0}, {"reach": 1.5}]
)
def test_numbers_that_are_none(wrong: dict[str, int]):
    name, value = next(iter(wrong.items()))
    with pytest.raises(
        InputError, match=f"{name}: expected a whole number of 1 or more, got {value}"
    ):
        near(np.zeros((2, 1), np.uint8), **wrong)
