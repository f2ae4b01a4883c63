"""A client as bytes between two steps: another process goes on where one stopped."""

import msgspec
import numpy as np
import pytest
from tests.federated.secagg.conftest import STEPS, Round

from handheld.errors import InputError
from handheld.federated.secagg import SecureAggregationClient, SigningKey
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.server import ServerPhase
from handheld.federated.secagg.snapshot import snapshot_from


def moved(game, client):
    """Return a client as another process has it."""
    return SecureAggregationClient.from_bytes(client.to_bytes(), client._identity, client._policy)


@pytest.mark.parametrize("active", [True, False])
def test_each_step_may_be_another_process(active):
    game = Round(5, threshold=4, active=active)
    gone = ()
    while game.steps:
        last = len(game.steps) == 1
        game.phase(gone)
        gone = ()
        if game.steps[:1] == ["mask"]:
            gone = (min(game.waiting),)
        if not last:
            for identity in game.waiting:
                game.clients[identity] = moved(game, game.clients[identity])
    assert game.server.phase is ServerPhase.DONE
    assert np.array_equal(game.server.total, game.expected())


def test_what_is_not_needed_any_more_is_left_out():
    game = Round(4)
    kept = []
    while len(game.steps) > 1:
        game.phase()
        kept.append(snapshot_from(next(iter(game.clients.values())).to_bytes()))
    advertised, shared, masked, agreed = kept
    assert advertised.values
    assert advertised.mask_key
    assert shared.seed
    for later in (masked, agreed):
        assert not later.values
        assert not later.mask_key
        assert not later.cipher_key
        assert not later.seed


@pytest.mark.parametrize("steps", [0, len(STEPS)])
def test_outside_of_a_round_there_is_nothing_to_keep(steps):
    game = Round(3)
    for _ in range(steps):
        game.phase()
    with pytest.raises(RefusedMessageError, match="not between two steps"):
        next(iter(game.clients.values())).to_bytes()


def test_a_client_that_refused_keeps_nothing():
    game = Round(3).until("share")
    client = next(iter(game.clients.values()))
    with pytest.raises(RefusedMessageError):
        client.share(b"")
    with pytest.raises(RefusedMessageError, match="not between two steps"):
        client.to_bytes()


def test_bytes_of_others_are_refused():
    game = Round(3).until("share")
    client = next(iter(game.clients.values()))
    content = client.to_bytes()
    with pytest.raises(InputError, match="of another client"):
        SecureAggregationClient.from_bytes(content, SigningKey(), client._policy)
    with pytest.raises(InputError, match="no client of a round"):
        SecureAggregationClient.from_bytes(content[:-1], client._identity, client._policy)
    newer = msgspec.structs.replace(snapshot_from(content), version=2)
    with pytest.raises(InputError, match="expected version 1, got 2"):
        SecureAggregationClient.from_bytes(newer.to_bytes(), client._identity, client._policy)
