"""A client's half of a round: the same in a simulation and on a device, and as bytes."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, Scaffold, ServerState
from handheld.federated.client import (
    ClientAnswer,
    ClientRound,
    RejectedUpdateError,
    fresh_number,
    secret_seeds,
    seeds,
)
from handheld.federated.client.messages import answer_bytes, answer_from
from handheld.federated.learning import ClientTask, ClientWork, Learned
from handheld.federated.simulator.jobs import ClientJob
from handheld.federated.stages import (
    Clip,
    Compressed,
    LocalNoise,
    StageChain,
    Upload,
    WholeNumbers,
)
from handheld.federated.updates import Eden, Largest

COUNT = 64


def learned(seed=0, **changes):
    change = np.random.default_rng(seed).normal(size=COUNT).astype(np.float32)
    return Learned(**({"change": change, "weight": 3.0, "distance": 1.0, "loss": 0.5} | changes))


def round_of(*stages, algorithm=None, feedback=False, equal=True):
    algorithm = algorithm or FedAvg()
    state = algorithm.init(np.zeros(COUNT, np.float32))
    chain = StageChain(stages, algorithm, ((COUNT,),), equal=equal, clients=4)
    task = ClientTask(state, algorithm, ClientWork(), seed=5)
    return ClientRound(task, chain, chain.public(chain.start()), feedback)


class Given:
    """Devices whose answers are given."""

    at_once = 3
    shapes = ((COUNT,),)

    def __init__(self, answers):
        self.answers = answers
        self.examples = np.full(len(answers), 3)

    def learn(self, task, users, states):
        return [self.answers[user] for user in users]


@pytest.mark.parametrize(
    ("stages", "algorithm", "feedback"),
    [
        ((), FedAvg(), False),
        ((Compressed(Eden(2)),), FedAvg(), False),
        ((Compressed(Largest(0.2)),), FedAvg(), True),
        ((), Scaffold(population=4), False),
        ((Clip(1.0), LocalNoise(0.5)), FedAvg(), False),
        ((Clip(1.0), WholeNumbers(8)), FedAvg(), False),
    ],
    ids=str,
)
def test_a_simulation_adds_up_what_clients_answer(stages, algorithm, feedback):
    round_ = round_of(*stages, algorithm=algorithm, feedback=feedback)
    answers = [learned(seed) for seed in range(4)]
    job = ClientJob(round_.task, round_.memory, range(4), {}, error_feedback=feedback)
    result = job.run(Given(answers), round_.stages)
    own = np.zeros(COUNT, np.float32) if algorithm.corrects or feedback else None
    total, size = 0, 0
    for user, one in enumerate(answers):
        mine = seeds(round_.task, user)
        answer = round_.answer(one, own, mine)
        total = total + round_.arrived(answer.upload, mine).values.astype(np.float64)
        size += answer.size
        if own is not None:
            assert result.states[user].tolist() == answer.kept.tolist()
    assert result.total.change.astype(float).tolist() == pytest.approx(total.tolist(), rel=1e-12)
    assert result.size == size


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"error": "no memory"}, "raised"),
        ({"weight": 0.0}, "no_examples"),
        ({"weight": -1.0}, "weight"),
        ({"loss": float("nan")}, "loss"),
        ({"change": np.full(COUNT, np.nan, np.float32)}, "not_finite"),
        ({"change": np.zeros(COUNT - 1, np.float32)}, "shape"),
        ({"change": np.zeros(COUNT)}, "shape"),
        ({"statistics": np.zeros(2)}, "shape"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_no_answer(changes, reason):
    round_ = round_of()
    with pytest.raises(RejectedUpdateError) as error:
        round_.answer(learned(**changes), None, seeds(round_.task, 0))
    assert error.value.reason == reason


def test_who_has_nothing_to_tell_sends_what_looks_like_any_other():
    round_ = round_of(Clip(1.0), LocalNoise(1.0), Compressed(Eden(4)))
    mine = secret_seeds(round_.task, 9)
    nothing = round_.nothing(mine)
    assert nothing.size == round_.answer(learned(), None, mine).size
    values = round_.arrived(nothing.upload, mine).values
    assert np.std(values) == pytest.approx(1.0, rel=0.4)


def test_secret_seeds_share_what_the_server_needs_and_nothing_else():
    task = round_of().task
    known, secret, other = seeds(task, 7), secret_seeds(task, 7), secret_seeds(task, 7)
    assert secret.common == known.common
    assert secret.subspace == known.subspace
    assert secret.shared == known.shared
    assert len({known.private, secret.private, other.private}) == 3
    # The same after a stage's number went in.
    assert secret.of_stage(2).shared == known.of_stage(2).shared
    assert secret.of_stage(2).private not in (known.of_stage(2).private, secret.private)


def test_numbers_of_devices_are_fresh():
    assert len({fresh_number() for _ in range(100)}) == 100


def test_a_server_decodes_what_a_device_encoded_by_secret_seeds():
    round_ = round_of(Compressed(Eden(4)))
    upload = round_.answer(learned(), None, secret_seeds(round_.task, 11)).upload
    arrived = round_.arrived(upload, seeds(round_.task, 11)).values
    assert np.linalg.norm(arrived - learned().change) < 0.2 * np.linalg.norm(learned().change)


def test_an_answer_as_bytes():
    answer = ClientAnswer(
        Upload(b"update", 6), 3.0, 0.25, np.ones(2, np.float32), np.array([1.5, -2.0])
    )
    content = answer_bytes(answer, 17)
    back, number = answer_from(content, statistics=2, extra=2)
    assert number == 17
    assert (back.upload.content, back.weight, back.loss) == (b"update", 3.0, 0.25)
    assert back.extra.tolist() == [1, 1]
    assert back.statistics.tolist() == [1.5, -2.0]
    # The form of version 1, byte by byte.
    assert content[:2].hex() == "9701"


def test_whole_numbers_do_not_travel_plainly():
    round_ = round_of(Clip(1.0), WholeNumbers(8))
    answer = round_.answer(learned(), None, seeds(round_.task, 0))
    with pytest.raises(InputError, match="secure aggregation"):
        answer_bytes(answer, 1)


def wrong(**changes):
    fields = {
        "version": 1, "number": 1, "content": b"", "weight": 1.0, "loss": 0.0, "extra": b"",
        "statistics": b"",
    }  # fmt: skip
    return msgspec.msgpack.encode(list((fields | changes).values()))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        wrong(version=2),
        wrong(number=-1),
        wrong(number=1 << 31),
        wrong(weight=0.0),
        wrong(weight=float("inf")),
        wrong(weight=float("nan")),
        wrong(loss=float("inf")),
        wrong(extra=b"1234"),
        wrong(statistics=b"1234"),
        wrong(content="text"),
        wrong()[:-1],
        wrong() + b"\x00",
        b"\x98" + wrong()[1:] + b"\x00",
        b"\x91" * 2000,
    ],
    ids=lambda content: content[:12].hex(),
)
def test_bytes_that_are_no_answer_are_refused(content):
    with pytest.raises(InputError, match="answer"):
        answer_from(content, statistics=0, extra=0)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_refused(content):
    try:
        answer, number = answer_from(content, statistics=0, extra=0)
    except InputError:
        return
    assert answer.weight > 0
    assert 0 <= number < 1 << 31


def test_numbers_that_are_not_finite_are_refused():
    nan = np.full(1, np.nan, "<f4").tobytes()
    with pytest.raises(InputError, match="statistics: expected finite"):
        answer_from(wrong(statistics=nan), statistics=1, extra=0)
    with pytest.raises(InputError, match="extra: expected finite"):
        answer_from(wrong(extra=nan), statistics=0, extra=1)


def test_a_state_is_not_needed_to_answer():
    assert round_of().task.state.round == ServerState(np.zeros(1, np.float32)).round
