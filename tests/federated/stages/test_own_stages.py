"""Stages of a user's own are held to what they say of updates."""

from dataclasses import dataclass

import numpy as np
import pytest

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import FedAvg
from handheld.federated.stages import (
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    PlainStage,
    StageChain,
    StageSeeds,
    Update,
    WholeNumbers,
)
from handheld.federated.updates import Whole

SEEDS = StageSeeds(1, 2)


@dataclass(frozen=True)
class Scaled(PlainStage):
    """Updates ``factor`` times as long, which it does not tell."""

    factor: float

    def after(self, facts, memory):
        return facts

    def on_update(self, update, facts, memory, seeds):
        return update.with_values(update.values * np.float32(self.factor))


@dataclass(frozen=True)
class Unit(PlainStage):
    """x / |x|, which zeros have not."""

    def after(self, facts, memory):
        return facts

    def on_update(self, update, facts, memory, seeds):
        with np.errstate(invalid="ignore"):
            return update.with_values(update.values / np.linalg.norm(update.values))


@dataclass(frozen=True)
class Masked(PlainStage):
    """Adds a mask to whole numbers, as secure aggregation does."""

    def after(self, facts, memory):
        return facts.require("masked", modular=True)

    def on_update(self, update, facts, memory, seeds):
        return update.with_values(update.values + np.uint32(1 << 31))


def travelled(*stages, change=(3, 4)):
    chain = StageChain(stages, FedAvg(), ((2,),), equal=True)
    memory = chain.start()
    update = Update.of(np.array(change, np.float32))
    return chain.on_update(update, chain.facts(memory), memory, SEEDS).values


@pytest.mark.parametrize(
    "stages",
    [
        (Clip(1.0), CentralNoise(1.0), Scaled(2)),
        (Clip(1.0), Scaled(1.001), CentralNoise(1.0)),
        (Clip(1.0), Scaled(2), LocalNoise(1.0)),
        (Clip(1.0), Scaled(2), CentralNoise(1.0), WholeNumbers(3)),
        (Clip(1.0), Scaled(2), Compressed(Whole())),
        (Clip(1.0), Scaled(2), Clip(1.0), CentralNoise(1.0)),
    ],
    ids=str,
)
def test_a_stage_that_makes_updates_longer_than_it_says_is_named(stages):
    with pytest.raises(TrainingError, match="Scaled: an update is longer behind it than the 1 "):
        travelled(*stages)


def test_stages_that_keep_their_word_pass():
    assert travelled(Clip(1.0), CentralNoise(1.0), Scaled(0.5)) == pytest.approx(
        [0.3, 0.4], rel=1e-5
    )
    assert travelled(Scaled(2), Clip(1.0), CentralNoise(1.0)) == pytest.approx([0.6, 0.8], rel=1e-5)
    assert travelled(Scaled(2)) == pytest.approx([6, 8])
    # Behind its own noise an update is of any length.
    assert np.isfinite(travelled(Clip(1.0), LocalNoise(9.0), Scaled(2))).all()
    # What a mask hides nobody can measure.
    assert travelled(Clip(1.0), CentralNoise(1.0), WholeNumbers(3), Masked()).dtype == np.uint32


@pytest.mark.parametrize(
    "stages",
    [(Unit(),), (Unit(), Clip(1.0)), (Clip(1.0), Unit(), CentralNoise(1.0)), (Scaled(np.nan),)],
    ids=str,
)
def test_what_a_stage_makes_not_finite_is_not_to_be_taken(stages):
    with pytest.raises(InputError, match=r"(Unit|Scaled) made an update that is not finite"):
        travelled(*stages, change=(0, 0))


def test_numbers_whose_squares_overflow_are_finite():
    assert travelled(Scaled(1), change=(3e38, 0)) == pytest.approx([3e38, 0])


@pytest.mark.parametrize(
    ("stages", "deviation"),
    [
        ((Unit(), Clip(1.0), CentralNoise(1.0)), 0.0),
        ((Unit(), Clip(1.0), LocalNoise(2.0)), 2.0),
        ((Clip(1.0), Unit(), CentralNoise(1.0)), 0.0),
    ],
    ids=str,
)
def test_a_device_that_has_nothing_to_tell_sends_zeros_and_its_noise(stages, deviation):
    chain = StageChain(stages, FedAvg(), ((5000,),), equal=True)
    memory = chain.start()
    update = chain.on_nothing(chain.facts(memory), memory, SEEDS)
    assert update.values.shape == (5000,)
    assert np.std(update.values) == pytest.approx(deviation, rel=0.05)
