"""A round of an app, without Flower: what clients send is what the server's rules are about."""

import numpy as np
import pytest
from msgspec.structs import replace
from tests.federated.flower.parties import MODEL, SECURE, trained

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, FedAvgM, Median, Scaffold
from handheld.federated.flower.client_side import ClientSide
from handheld.federated.flower.messages import train_offer_from
from handheld.federated.flower.plan import UpdatePlan
from handheld.federated.flower.server_side import ServerSide
from handheld.federated.stages import AdaptiveClip, Clip, Compressed, LocalNoise
from handheld.federated.updates import Eden, Largest

NOISY = UpdatePlan((Clip(1.0), LocalNoise(0.5)), uniform=True, clients=3)


def closed(server, answers):
    """Return the (8,) numbers of the model after a round of some answers."""
    reading = server.reading()
    for node, answer in enumerate(answers):
        reading.add(node, answer)
    arrays = server.close(reading.sums(keep=server._robust is not None))
    return np.concatenate([array.reshape(-1) for array in arrays.values()]), reading


def answered(plan, server, models, model=MODEL):
    """Return what clients answer who made these of a model."""
    offer = train_offer_from(server.begin(model).to_bytes())
    return [ClientSide.of(plan, offer, model).plain_answer(made)[0] for made in models]


def test_clients_count_by_their_examples():
    server = ServerSide(FedAvg(), UpdatePlan())
    answers = answered(UpdatePlan(), server, [trained(1, 3), trained(5, 1)])
    numbers, _ = closed(server, answers)
    assert numbers.tolist() == [2, 2, 2, 2, 2, 2, 3, 3]


def test_a_claim_of_many_examples_is_limited():
    server = ServerSide(FedAvg(), UpdatePlan(), max_weight=1.0)
    answers = answered(UpdatePlan(), server, [trained(0, 1), trained(0, 1), trained(3, 1e9)])
    numbers, _ = closed(server, answers)
    assert numbers[0] == 1


def test_momentum_goes_on_from_round_to_round():
    server = ServerSide(FedAvgM(momentum=0.5), UpdatePlan())
    closed(server, answered(UpdatePlan(), server, [trained(1)]))
    again = ServerSide(FedAvgM(momentum=0.5), UpdatePlan(), state=server.state)
    numbers, _ = closed(again, answered(UpdatePlan(), again, [trained(1)]))
    # One and a half: this round's change, and half of the last one.
    assert numbers[0] == 1.5
    assert again.state.server.round == 2


def test_a_mean_that_one_client_cannot_move():
    server = ServerSide(FedAvg(), UpdatePlan(), robust=Median())
    made = [trained(1), trained(2), trained(1e6)]
    numbers, _ = closed(server, answered(UpdatePlan(), server, made))
    assert numbers[0] == 2


def test_lengths_follow_what_clients_are_told():
    plan = UpdatePlan((AdaptiveClip(1.0),), uniform=True, clients=2)
    server = ServerSide(FedAvg(), plan)
    # Each change is sqrt(8) long, and clipped to 1.
    numbers, _ = closed(server, answered(plan, server, [trained(1), trained(1)]))
    assert np.allclose(numbers[0], 1 / np.sqrt(8), rtol=1e-4)
    before = server.figures()["clip_length"]
    server.begin(MODEL)
    assert server.figures()["clip_length"] > before


def test_few_bytes_are_decoded():
    plan = UpdatePlan((Compressed(Eden(8)),))
    server = ServerSide(FedAvg(), plan, seed=3)
    answers = answered(plan, server, [trained(1), trained(3)])
    numbers, _ = closed(server, answers)
    assert np.allclose(numbers[:6], 2, atol=0.1)


def test_what_an_update_left_out_goes_with_the_next():
    plan = UpdatePlan((Compressed(Largest(0.25)),))
    server = ServerSide(FedAvg(), plan)
    offer = server.begin(MODEL)
    side = ClientSide.of(plan, offer, MODEL, error_feedback=True)
    made = trained(1)
    made.arrays["weight"][0, 0] = 9
    _, owed = side.plain_answer(made, np.zeros(8, np.float32))
    # Two of eight numbers travelled; six stay.
    assert np.count_nonzero(owed) >= 6
    assert owed[0] == pytest.approx(0, abs=0.1)


def test_answers_that_are_none_are_left_out():
    server = ServerSide(FedAvg(), UpdatePlan())
    answers = answered(UpdatePlan(), server, [trained(1), trained(2)])
    numbers, reading = closed(server, [answers[0], b"", answers[1][:-1]])
    assert numbers[0] == 1
    assert sorted(reading.rejected) == [1, 2]


def test_a_client_answers_once():
    server = ServerSide(FedAvg(), UpdatePlan())
    first, second = answered(UpdatePlan(), server, [trained(1), trained(9)])
    reading = server.reading()
    reading.add(5, first)
    reading.add(5, second)
    assert reading.sums().answered == 1
    assert reading.rejected == {5: "it has answered already"}


def test_nobody_answers():
    server = ServerSide(FedAvg(), UpdatePlan())
    server.begin(MODEL)
    assert server.close(server.reading().sums()) is None


def test_who_has_no_data_sends_noise_as_all_do():
    server = ServerSide(FedAvg(), NOISY)
    offer = server.begin(MODEL)
    side = ClientSide.of(NOISY, offer, MODEL)
    content, _ = side.plain_answer(None)
    other, _ = side.plain_answer(trained(1, examples=77))
    assert abs(len(content) - len(other)) <= 8  # the number's own bytes
    assert content != side.plain_answer(None)[0], "noise is drawn anew"
    with pytest.raises(InputError, match="nothing was trained"):
        ClientSide.of(UpdatePlan(), ServerSide(FedAvg(), UpdatePlan()).begin(MODEL), MODEL)._answer(
            None, None, 1
        )


def test_where_all_count_alike_examples_are_not_told():
    server = ServerSide(FedAvg(), UpdatePlan(uniform=True))
    plan = UpdatePlan(uniform=True)
    answers = answered(plan, server, [trained(1, 77)])
    reading = server.reading()
    reading.add(1, answers[0])
    ((answer, _),) = reading._answers.values()
    assert answer.weight == 1


def test_another_plan_is_refused():
    server = ServerSide(FedAvg(), UpdatePlan((Clip(2.0),)))
    offer = server.begin(MODEL)
    with pytest.raises(InputError, match="another plan for updates than this client"):
        ClientSide.of(UpdatePlan((Clip(1.0),)), offer, MODEL)


def test_memory_of_other_stages_is_refused():
    server = ServerSide(FedAvg(), UpdatePlan())
    clipped = ServerSide(FedAvg(), UpdatePlan((Clip(1.0),))).begin(MODEL)
    offer = replace(server.begin(MODEL), memory=clipped.memory)
    with pytest.raises(InputError, match="expected memory of 0 stages, got 1"):
        ClientSide.of(UpdatePlan(), offer, MODEL)


@pytest.mark.parametrize("content", [b"", b"\x90", b"\xc1", b"\x91\x02"])
def test_offers_that_are_none(content):
    with pytest.raises(InputError, match="TrainOffer"):
        train_offer_from(content)


@pytest.mark.parametrize(
    ("algorithm", "plan", "robust", "reason"),
    [
        (Scaffold(), UpdatePlan(), None, "Scaffold"),
        (FedAvg(), NOISY, Median(), "robust mean"),
        (FedAvg(), SECURE, Median(), "robust mean"),
    ],
)
def test_servers_that_make_no_sense(algorithm, plan, robust, reason):
    with pytest.raises(InputError, match=reason):
        ServerSide(algorithm, plan, robust=robust)
