"""A server's state as one value and as bytes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.algorithms import FedAdam, FedAvg, Scaffold
from handheld.federated.rounds import FederationState, RoundRules, RoundSums
from handheld.federated.stages import AdaptiveClip, Clip, StageChain, StageSeeds, TreeNoise

COUNT = 12
MOST = 1 << 20


def rules(algorithm, *stages):
    chain = StageChain(stages, algorithm, ((COUNT,),), equal=True, clients=3)
    return RoundRules(algorithm, chain, population=10)


def ran(made, rounds=3):
    state = made.first(np.zeros(COUNT, np.float32), np.array([0.5, 2.0]))
    for number in range(rounds):
        sums = RoundSums()
        for client in range(3):
            values = np.random.default_rng((number, client)).normal(size=COUNT + len(state.memory))
            extra = np.ones(COUNT, np.float32) if made.algorithm.corrects else None
            sums.updates.add(values[: made.stages.facts(state.memory)[-1].count], 1.0, extra)
        state = made.closed(state, sums, StageSeeds(number, number))
    return state


@pytest.mark.parametrize(
    "made",
    [
        rules(FedAvg()),
        rules(FedAdam()),
        rules(Scaffold(population=10)),
        rules(FedAvg(), AdaptiveClip(1.0)),
        rules(FedAvg(), Clip(1.0), TreeNoise(0.5)),
    ],
    ids=lambda made: f"{made.algorithm} {made.stages.stages}",
)
def test_a_state_comes_back_from_its_bytes(made):
    state = ran(made)
    back = FederationState.from_bytes(state.to_bytes(), MOST)
    assert back.server.round == 3
    assert back.server.weights.tolist() == state.server.weights.tolist()
    assert back.server.weights.dtype == np.float32
    assert back.server.statistics.tolist() == [0.5, 2.0]
    assert back.server.kept.keys() == state.server.kept.keys()
    for one, other in zip(back.memory, state.memory, strict=True):
        assert {name: array.tolist() for name, array in one.items()} == {
            name: array.tolist() for name, array in other.items()
        }
    # It goes on as if it had never been bytes.
    assert back.to_bytes() == state.to_bytes()


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damaged_bytes_are_a_state_or_refused(place, value):
    content = bytearray(ran(rules(FedAdam())).to_bytes())
    content[place % len(content)] = value
    try:
        FederationState.from_bytes(bytes(content), MOST)
    except InputError:
        return


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", bytes(1000)])
def test_other_bytes_are_refused(content):
    with pytest.raises(InputError, match="no state of a federation"):
        FederationState.from_bytes(content, MOST)


def test_a_state_larger_than_expected_is_refused():
    with pytest.raises(InputError):
        FederationState.from_bytes(ran(rules(FedAvg())).to_bytes(), 100)


def test_nobody_answered():
    made = rules(FedAvg())
    first = made.first(np.zeros(COUNT, np.float32), np.empty(0))
    assert made.closed(first, RoundSums(), StageSeeds(0, 0)) is None


def test_nobody_answered_where_noise_is_promised():
    """The round is as any other: noise over the number that was expected."""
    made = rules(FedAvg(), Clip(1.0), TreeNoise(3.0))
    first = made.first(np.zeros(COUNT, np.float32), np.empty(0))
    closed = made.closed(first, RoundSums(), StageSeeds(0, 0))
    assert closed.server.round == 1
    assert np.std(closed.server.weights) == pytest.approx(1.0, rel=0.6)


@pytest.mark.parametrize(
    "arrays",
    [
        {"about": np.array([0, 10**12])},
        {"about": np.array([0, -1])},
        {"about": np.array([-5, 0])},
        {"about": np.array([np.inf, 0.0])},
        {"weights": np.zeros((COUNT, 1), np.float32)},
        {"weights": np.float32(1)},
        {"weights": np.array(["a"] * COUNT)},
        {"statistics": np.float64(3)},
        {"statistics": np.array(["a"])},
    ],
    ids=str,
)
def test_arrays_that_no_state_has_are_refused(arrays):
    content = io.BytesIO()
    np.savez(content, **dict(np.load(io.BytesIO(ran(rules(FedAvg()), 1).to_bytes()))) | arrays)
    with pytest.raises(InputError, match="no state of a federation"):
        FederationState.from_bytes(content.getvalue(), MOST)
