"""Own classes that return what their protocol does not say: one line names the method."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from handheld.errors import TrainingError
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning import Learned
from handheld.federated.simulator import Plan, simulate
from handheld.federated.stages import Compressed, PlainStage, Structured
from handheld.federated.updates import Largest, Subsample, with_feedback

ONES = np.ones(2, np.float32)


@dataclass
class Pair:
    """Three devices that all learn (1, 1) of a model of two numbers, but for ``answers``."""

    answers: Any = None
    figures: Any = None
    counts: Any = None
    first: Any = None
    sides: Any = ((2,),)
    at_once = 1

    @property
    def examples(self):
        return np.full(3, 4) if self.counts is None else self.counts

    @property
    def shapes(self):
        return self.sides

    def start(self):
        return np.zeros(2, np.float32) if self.first is None else self.first

    def learn(self, task, users, states):
        return [Learned(ONES, 4, 1, 0.5)] if self.answers is None else self.answers

    def evaluate(self, state):
        return {"loss": 1.0} if self.figures is None else self.figures


class Lazy(Pair):
    def learn(self, task, users, states):
        return (Learned(ONES, 4.0, 1.0, 0.5) for _ in users)


@dataclass(frozen=True)
class Applying(FedAvg):
    """Returns, instead of a state, what ``make`` makes of it."""

    make: Any = None

    def apply(self, state, total):
        return self.make(super().apply(state, total), state)


@dataclass(frozen=True)
class Beginning(FedAvg):
    def init(self, weights):
        return weights


@dataclass(frozen=True)
class Keeping(FedAvg):
    corrects = True

    def keep(self, change, distance, state, device_state):
        return np.float32(1)


@dataclass(frozen=True)
class Stage(PlainStage):
    """Returns what it is told to from one of its methods."""

    method: str = ""
    make: Any = None

    def start(self):
        return self.make({}) if self.method == "start" else {}

    def after(self, facts, memory):
        return self.make(facts) if self.method == "after" else facts

    def on_update(self, update, facts, memory, seeds):
        return self.make(update) if self.method == "on_update" else update

    def on_sum(self, total, facts, memory, seeds):
        return self.make(total) if self.method == "on_sum" else (total, memory)


@dataclass(frozen=True)
class Encoder:
    encoded: Any = b""
    decoded: Any = None
    unbiased = False

    def encode(self, x, seed):
        return self.encoded

    def decode(self, content, count, seed):
        return self.decoded


@dataclass(frozen=True)
class All:
    def subspace(self, shapes, seed):
        return self

    def coordinates(self, x):
        return x

    def expand(self, coordinates):
        return coordinates[:1]


class Mean:
    def mean(self, changes):
        return changes.mean(axis=0)


def run(learner=None, **values):
    return simulate(Plan(rounds=2, cohort=3, **values), learner or Pair())


def nothing(*_):
    return None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            {"algorithm": Applying(make=nothing)},
            "Applying.apply gives None, expected ServerState",
        ),
        (
            # One number would be added to both weights.
            {"algorithm": Applying(make=lambda state, _: replace(state, weights=ONES[:1]))},
            r"Applying.apply gives float32 \[1\], expected floats \[2\]",
        ),
        (
            {"algorithm": Applying(make=lambda state, _: replace(state, weights=np.ones(2)))},
            r"apply gives float64 \[2\], expected float32 \[2\]: weights.astype",
        ),
        (
            # Such a run had no end.
            {"algorithm": Applying(make=lambda state, before: replace(before, weights=ONES))},
            r"apply gives a state of round 0, expected 1: return state.after\(weights\)",
        ),
        (
            {"algorithm": Applying(make=lambda state, _: replace(state, kept={"a": [1]}))},
            "apply keeps list as 'a', expected an array of numbers by a name",
        ),
        (
            {"algorithm": Applying(make=lambda s, _: replace(s, kept={"a": np.array([None])}))},
            r"apply keeps object \[1\] as 'a'",
        ),
        ({"algorithm": Beginning()}, r"init gives float32 \[2\], expected ServerState"),
        ({"algorithm": Keeping()}, r"Keeping.keep gives float32, expected floats \[2\]"),
        ({"robust": Mean()}, r"Mean.mean gives float32 \[1\], expected Total"),
        ({"stages": (Stage("start", nothing),)}, "start gives None, expected arrays by name"),
        ({"stages": (Stage("start", lambda _: {"a": 1}),)}, "start keeps int as 'a', expected an"),
        ({"stages": (Stage("after", nothing),)}, "after gives None, expected UpdateFacts"),
        ({"stages": (Stage("on_update", nothing),)}, "on_update gives None, expected Update"),
        (
            {"stages": (Stage("on_update", lambda update: update.with_values(ONES[:1])),)},
            r"on_update gives float32 \[1\], expected floats \[2\]",
        ),
        (
            {"stages": (Stage("on_update", lambda update: update.with_values([1.0, 1.0])),)},
            "on_update gives list, expected ndarray",
        ),
        ({"stages": (Stage("on_sum", lambda total: total),)}, "on_sum gives Total, expected tuple"),
        ({"stages": (Stage("on_sum", lambda total: (total,)),)}, "on_sum gives 1 values, expected"),
        (
            {"stages": (Stage("on_sum", lambda total: (replace(total, change=ONES[:1]), {})),)},
            r"on_sum gives float32 \[1\], expected floats \[2\]",
        ),
        ({"stages": (Compressed(Encoder(None)),)}, "Encoder.encode gives None, expected bytes"),
        (
            {"stages": (Compressed(Encoder(b"", ONES[:1])),)},
            r"Encoder.decode gives float32 \[1\], expected floats \[2\]",
        ),
        (
            {"stages": (Compressed(Largest(0.5, Encoder(ONES))),)},
            r"encode gives float32 \[2\]",
        ),
        (
            {"stages": (Compressed(Subsample(1.0, Encoder())),)},
            "decode gives None",
        ),
        ({"stages": (Structured(All()),)}, r"Structured.decode gives float32 \[1\], expected"),
        ({"download": Encoder(None)}, "Encoder.encode gives None, expected bytes"),
        ({"download": Encoder(b"", ONES[:1])}, r"Encoder.decode gives float32 \[1\], expected f"),
    ],
)
def test_the_method_that_returns_something_else_is_named(values, why):
    with pytest.raises(TrainingError, match=why):
        run(**values)


@pytest.mark.parametrize(
    ("learner", "why"),
    [
        (Pair(counts=[4, 4, 4]), r"Pair.examples gives list, expected an array \(n,\) of whole"),
        (Pair(counts=np.ones(3)), r"Pair.examples gives float64 \[3\], expected an array"),
        (Pair(counts=np.ones((3, 1), int)), r"Pair.examples gives int64 \[3, 1\]"),
        (
            Pair(counts=np.array([4, -1, 4])),
            "Pair.examples gives -1, expected numbers of 0",
        ),
        (Pair(sides=2), "Pair.shapes gives int, expected a sequence"),
        (Pair(sides=(2,)), "Pair.shapes gives int, expected tuple"),
        (Pair(first=[0.0, 0.0]), r"Pair.start gives list, expected floats \[2\]"),
        (Pair(first=ONES[:1]), r"Pair.start gives float32 \[1\], expected floats \[2\]"),
        (Pair(first=ONES * np.nan), "Pair.start gives weights that are not finite"),
        (Pair(answers=5), "Pair.learn gives int, expected a list of Learned"),
        (Pair(answers=[]), "Pair.learn gives 0 answers of 1 devices"),
        (Pair(answers=[{}]), "Pair.learn gives dict, expected Learned"),
        (Pair(figures=[]), "Pair.evaluate gives list, expected figures by name"),
        (Pair(figures={"loss": "1"}), "Pair.evaluate gives str as 'loss', expected a number"),
        (Pair(figures={"loss": ONES}), r"Pair.evaluate gives float32 \[2\] as 'loss'"),
        (Pair(figures={1: 1.0}), "Pair.evaluate gives float as 1, expected a number by a name"),
        (Pair(answers=[Learned([1.0, 1.0], 4, 1, 0.5)]), "expected an update .* got a list"),
        (Pair(answers=[Learned(np.ones(2), 4, 1, 0.5)]), r"of float32, got float64 \[2\]"),
        (Pair(answers=[Learned(ONES, "4", 1, 0.5)]), "6 had no weight above 0"),
        (Pair(answers=[Learned(ONES, 4, 1, None)]), "6 had a loss that is no finite number"),
    ],
)
def test_a_learner_that_returns_something_else_is_named(learner, why):
    with pytest.raises(TrainingError, match=why):
        run(learner)


def test_numbers_of_numpy_are_figures_and_are_kept(tmp_path):
    # A mean of float32 is a float32, which JSON does not take: the whole round was lost.
    learner = Pair(figures={"loss": np.float32(0.5), "rank": np.array(2)})
    simulate(Plan(rounds=2, cohort=3), learner, out=tmp_path)
    with np.load(tmp_path / "state.npz") as state:
        rows = json.loads(state["about"].tobytes())["rows"]
    assert [(row["test_loss"], row["test_rank"]) for row in rows] == [(0.5, 2.0), (0.5, 2.0)]


def test_what_returned_something_else_leaves_the_rounds_before(tmp_path):
    def second(state, before):
        return replace(state, kept={"a": 1} if state.round == 2 else {})

    with pytest.raises(TrainingError, match="keeps int as 'a'"):
        simulate(Plan(rounds=3, cohort=3, algorithm=Applying(make=second)), Pair())
    assert run().state.weights.tolist() == [2.0, 2.0]


def test_other_precisions_and_lazy_answers_are_taken():
    assert run(Pair(first=np.zeros(2))).state.weights.dtype == np.float32
    assert run(Lazy()).state.weights.tolist() == [2.0, 2.0]


def test_feedback_is_of_as_many_numbers_as_were_encoded():
    with pytest.raises(TrainingError, match=r"decode gives float32 \[1\], expected floats \[2\]"):
        with_feedback(Encoder(b"", ONES[:1]), ONES, ONES, 0)
