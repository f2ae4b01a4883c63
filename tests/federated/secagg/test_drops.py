"""Sums are exact whoever leaves, is late or sends twice, at any phase and in any order."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.federated.secagg.conftest import STEPS, Round

from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.graph import GraphRisks, graph_parameters
from handheld.federated.secagg.server import ServerPhase

RATES = st.sampled_from([0.0, 0.1, 0.3])
RISKS = GraphRisks(dropout=0.35)


class Crowd:
    """Clients who leave, come late and send twice, by chance."""

    def __init__(self, game, rng, leaving):
        self.game = game
        self.rng = rng
        self.leaving = leaving  # how many may still leave

    def phase(self, rate):
        """Let a share of those who are there miss the phase: half are silent, half are late."""
        game = self.game
        step = game.steps.pop(0)
        present = sorted(game.waiting)
        self.rng.shuffle(present)
        missing = min(round(rate * len(present)), self.leaving)
        if step == "advertise":
            # With fewer no client takes part.
            missing = min(missing, len(present) - 3)
        self.leaving -= missing
        late = present[: missing // 2]
        answers = {
            identity: getattr(game.clients[identity], step)(game.waiting[identity])
            for identity in present[missing:] + late
        }
        for identity in present[missing:]:
            game.server.receive(identity, answers[identity])
            if step == "mask":
                game.sent.add(identity)
            self.send_again(identity, answers)
        game.waiting = game.server.advance()
        for identity in late:
            self.refused(identity, answers[identity])

    def send_again(self, identity, answers):
        """The network carries a message twice, or one of another client."""
        if self.rng.random() < 0.2:
            self.refused(identity, answers[identity])
        if self.rng.random() < 0.2:
            self.refused(identity, answers[self.rng.choice(sorted(answers))])

    def refused(self, identity, answer):
        before = self.game.server.phase
        with pytest.raises(RefusedMessageError):
            self.game.server.receive(identity, answer)
        assert self.game.server.phase is before


def play(game, rng, rates, leaving):
    crowd = Crowd(game, rng, leaving)
    for rate in rates[: len(game.steps)]:
        crowd.phase(rate)
    assert game.server.phase is ServerPhase.DONE
    assert np.array_equal(game.server.total, game.expected())


@settings(deadline=None, max_examples=30)
@given(
    st.integers(3, 24),
    st.integers(1, 32),
    st.integers(1, 40),
    st.booleans(),
    st.lists(RATES, min_size=5, max_size=5),
    st.integers(0, 2**32),
)
def test_all_as_peers(clients, bits, count, active, rates, seed):
    threshold = clients // 2 + 1
    if active:
        threshold = 2 * clients // 3 + 1
    game = Round(clients, count=count, bits=bits, threshold=threshold, active=active)
    play(game, random.Random(seed), rates, clients - threshold)


@settings(deadline=None, max_examples=6)
@given(
    st.integers(60, 200),
    st.sampled_from([16, 24]),
    st.lists(RATES, min_size=4, max_size=4),
    st.integers(0, 2**32),
)
def test_few_peers_each(clients, bits, rates, seed):
    leaving = math.floor(0.3 * clients)
    parameters = graph_parameters(clients, RISKS, fewest=clients - leaving)
    game = Round(
        clients,
        count=3,
        bits=bits,
        threshold=parameters.threshold,
        peers=parameters.peers,
        active=False,
        graph=RISKS,
    )
    play(game, random.Random(seed), rates, leaving)


@pytest.mark.parametrize(
    ("clients", "active", "peers"), [(100, True, False), (100, False, False), (500, False, True)]
)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_large_rounds(clients, active, peers, rate):
    """A share of all leaves before it sends its values."""
    risks = None
    size = {"threshold": 2 * clients // 3 + 1}
    if peers:
        risks = RISKS
        parameters = graph_parameters(clients, RISKS)
        size = {"threshold": parameters.threshold, "peers": parameters.peers}
    game = Round(clients, count=2, bits=24, active=active, graph=risks, **size).until("mask")
    game.phase(sorted(game.waiting)[: round(rate * clients)])
    while game.steps:
        game.phase()
    assert np.array_equal(game.server.total, game.expected())


@pytest.mark.parametrize(
    ("step", "active"),
    [(step, True) for step in STEPS] + [(step, False) for step in STEPS if step != "agree"],
)
def test_one_too_few_at_any_phase_reveals_nothing(step, active):
    game = Round(9, active=active).until(step)
    with pytest.raises(RoundFailedError, match=r"expected that 7 clients or more .* got 6"):
        game.phase(sorted(game.waiting)[:3])
    assert game.server.total is None
    assert game.server.advance() == {}
    # Nobody was asked for a share: what the server has says nothing of any client.
    assert len(game.server._revealed) == (6 if step == "reveal" else 0)


def test_too_few_among_the_peers_of_one():
    """All but one peer of a client leave: its secret would be lost, so the round ends."""
    game = Round(40, peers=8, threshold=5, active=False, graph=GraphRisks()).until("mask")
    roster = game.server._roster
    gone = [roster.identities[seat] for seat in roster.peers(0)[1:]]
    with pytest.raises(RoundFailedError, match=r"5 clients or more sent their values, got [1-4]"):
        game.phase(gone)
    assert game.server.total is None
