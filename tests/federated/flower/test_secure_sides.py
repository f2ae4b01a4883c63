"""Secure aggregation of an app, without Flower: each step may be answered by another process."""

import os
import stat

import numpy as np
import pytest
from msgspec.structs import replace
from tests.federated.flower.parties import CLIENTS, LENGTH, MODEL, SECURE, SecureApp, trained

from handheld.errors import InputError
from handheld.federated.device import ClientDemands, ClientFolder
from handheld.federated.flower.client_side import ClientSide
from handheld.federated.flower.messages import StepOffer
from handheld.federated.flower.plan import UpdatePlan
from handheld.federated.flower.round_folder import RoundFolder
from handheld.federated.flower.secure_client import SecureClient
from handheld.federated.flower.secure_server import default_threshold
from handheld.federated.secagg import RefusedMessageError, RoundFailedError, messages
from handheld.federated.stages import Clip

STEP = 2 * LENGTH / (1 << 16)  # of the grid, about: rounding is within one step
START = np.array([0, 0, 0, 0, 0, 0, 1, 1])
STEPS = ("share", "mask", "agree", "reveal")


def whole(app):
    """Go through all steps."""
    app.begin()
    for _ in STEPS:
        app.step()


def test_the_server_learns_the_mean_alone(tmp_path):
    app = SecureApp(tmp_path)
    whole(app)
    # Clients go by 0.1, 0.2, 0.3 and 0.4.
    assert np.allclose(app.model() - START, 0.25, atol=4 * STEP)
    assert app.round.rejected == {}
    assert list(tmp_path.glob("*/rounds/*")) == [], "secrets are left behind"


@pytest.mark.parametrize("when", STEPS)
def test_one_leaves_in_the_middle(tmp_path, when):
    app = SecureApp(tmp_path)
    app.begin()
    for step in STEPS:
        app.step(gone=(2,) if step == when else ())
    # Whose values came before it left counts.
    expected = 0.25
    if when in ("share", "mask"):
        expected = (0.1 + 0.3 + 0.4) / 3
    assert np.allclose(app.model() - START, expected, atol=4 * STEP)


def test_too_few_are_left(tmp_path):
    app = SecureApp(tmp_path)
    app.begin()
    with pytest.raises(RoundFailedError, match="3 clients or more"):
        app.step(gone=(1, 2))
    assert app.round.is_over


def test_a_step_is_taken_once(tmp_path):
    """Else a server that asks twice at once gets both secrets of a client."""
    app = SecureApp(tmp_path)
    app.begin()
    app.step()
    app.step()
    app.step()
    offer = app.offers[1]
    app.clients[1].go_on(offer)
    with pytest.raises(RefusedMessageError, match="no part in the round now"):
        app.clients[1].go_on(offer)


def test_two_stories_of_who_survived(tmp_path):
    app = SecureApp(tmp_path)
    app.begin()
    app.step()
    app.step()
    others = messages.Survivors(seats=[0, 1, 2]).to_bytes()
    told = app.offers[1]
    app.clients[1].go_on(told)
    # The other story comes after the first was signed, for the step that is over.
    with pytest.raises(RefusedMessageError, match="of reveal"):
        app.clients[1].go_on(replace(told, content=others))
    # That was the end: what a client refuses it does not take up again.
    with pytest.raises(RefusedMessageError, match="no part in the round now"):
        app.clients[1].go_on(told)


def test_who_never_began_has_no_part(tmp_path):
    client = SecureClient(SECURE, tmp_path)
    with pytest.raises(RefusedMessageError, match="no part in the round now"):
        client.go_on(StepOffer(round=bytes(32), step="mask", content=b""))


def test_a_round_comes_once(tmp_path):
    app = SecureApp(tmp_path)
    app.keys(1)
    with pytest.raises(RefusedMessageError, match="this round has been before"):
        app.keys(1)


@pytest.mark.parametrize(
    ("demands", "reason"),
    [
        (ClientDemands(least_threshold=4), "a threshold of 4 or more, got 3"),
        (ClientDemands(least_clients=5), "5 clients or more, got 4"),
        (ClientDemands(is_known=lambda identity: False), "is not enrolled"),
    ],
)
def test_what_a_client_demands(tmp_path, demands, reason):
    app = SecureApp(tmp_path, demands=demands)
    with pytest.raises(RefusedMessageError, match=reason):
        whole(app)


def test_a_plain_round_is_refused(tmp_path):
    app = SecureApp(tmp_path)
    side = ClientSide.of(SECURE, replace(app.offer, terms=None), MODEL)
    with pytest.raises(InputError, match="got a plain one"):
        app.clients[1].begin(side, trained(1))


@pytest.mark.parametrize("change", ["model", "seed", "memory"])
def test_all_get_the_same_model_and_plan(tmp_path, change):
    app = SecureApp(tmp_path)
    offer = app.offer
    model = MODEL
    if change == "model":
        model = {**MODEL, "bias": MODEL["bias"] + 1}
    elif change == "seed":
        offer = replace(offer, seed=2)
    else:
        side = ClientSide.of(SECURE, offer, model)
        offer = replace(offer, memory=side.offer.memory + b"\0")
    reasons = r"another model or plan|no state"
    with pytest.raises((RefusedMessageError, InputError), match=reasons):
        app.clients[1].begin(ClientSide.of(SECURE, offer, model), trained(1))


def test_a_node_does_not_speak_for_another(tmp_path):
    app = SecureApp(tmp_path)
    keys = app.keys(1)
    app.round.receive(1, keys.to_bytes())
    app.round.receive(2, keys.to_bytes())
    assert "already" in app.round.rejected[2]
    for node in (3, 4):
        app.round.receive(node, app.keys(node).to_bytes())
    assert sorted(app.round.advance()) == [1, 3, 4]


def test_what_is_no_answer_is_left_out(tmp_path):
    app = SecureApp(tmp_path)
    app.round.receive(1, b"no answer")
    assert "expected SecureAnswer" in app.round.rejected[1]


def test_identities_stay_and_are_the_owners_alone(tmp_path):
    first = ClientFolder(tmp_path / "1").identity.public
    app = SecureApp(tmp_path)
    assert app.keys(1).identity == first
    kept = list((tmp_path / "1" / "rounds").iterdir())
    assert len(kept) == 1
    if os.name == "posix":
        assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600


def test_old_rounds_are_forgotten(tmp_path):
    folder = RoundFolder(tmp_path)
    for number in range(20):
        folder.put(bytes([number]), b"secret")
        os.utime(tmp_path / f"{number:02x}.round", (number, number))
    assert sorted(path.stem for path in tmp_path.iterdir()) == [
        f"{number:02x}" for number in range(12, 20)
    ]


@pytest.mark.parametrize(
    ("plan", "demands", "reason"),
    [
        (UpdatePlan((Clip(1.0),)), ClientDemands(), "WholeNumbers"),
        (SECURE, ClientDemands(local_epsilon=1.0), "local_epsilon"),
    ],
)
def test_clients_that_make_no_sense(tmp_path, plan, demands, reason):
    with pytest.raises(InputError, match=reason):
        SecureClient(plan, tmp_path, demands)


@pytest.mark.parametrize(("clients", "active", "semi"), [(3, 3, 2), (4, 3, 3), (100, 67, 51)])
def test_the_fewest_that_must_stay(clients, active, semi):
    assert default_threshold(clients, is_active=True) == active
    assert default_threshold(clients, is_active=False) == semi
    assert CLIENTS == 4
