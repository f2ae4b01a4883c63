"""The longest that one device adds to a sum is within the bound that noise is scaled to, whatever
stages there are.
"""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, Total
from handheld.federated.learning.subspaces import LowRank, RandomMask
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    PlainStage,
    StageChain,
    StageSeeds,
    Structured,
    TreeNoise,
    Update,
    WholeNumbers,
)
from handheld.federated.updates import Coded, Eden, Largest, Stochastic, Subsample, Whole

SHAPES = ((20, 30), (30,))
COUNT = 630
ROUNDING = 1e-6  # float32

ENCODERS = st.recursive(
    st.sampled_from(
        [
            Whole(),
            Eden(1),
            Eden(4),
            Stochastic(2),
            Stochastic(16, rotate=False),
            Coded(Stochastic(256)),
        ]
    ),
    lambda then: st.one_of(
        st.builds(Subsample, st.sampled_from([0.01, 0.3, 1.0]), then),
        st.builds(Largest, st.sampled_from([0.01, 0.5, 1.0]), then),
        st.builds(Coded, then),
    ),
    max_leaves=3,
)
LENGTHS = st.sampled_from([1e-6, 0.3, 1.0, 7.0])
STAGES = st.one_of(
    st.builds(Clip, LENGTHS),
    st.builds(AdaptiveClip, LENGTHS, mark=st.sampled_from([None, 0.05, 1.0])),
    st.builds(CentralNoise, st.sampled_from([0.5, 1.0])),
    st.builds(TreeNoise, st.sampled_from([0.5, 1.0])),
    st.builds(LocalNoise, st.sampled_from([0.1, 1.0])),
    st.builds(Compressed, ENCODERS),
    st.builds(Structured, st.sampled_from([LowRank(2), RandomMask(0.2)]), ENCODERS),
    st.builds(WholeNumbers, st.just(3), st.sampled_from([2, 3, 4, 8, 16])),
)
ANY = st.lists(STAGES, min_size=1, max_size=6).map(tuple)

SHORTENING = st.recursive(
    st.just(Whole()),
    lambda then: st.one_of(
        st.builds(Subsample, st.sampled_from([0.01, 0.3, 1.0]), then),
        st.builds(Largest, st.sampled_from([0.01, 0.5, 1.0]), then),
        st.builds(Coded, then),
    ),
    max_leaves=3,
)  # encoders that say how much longer an update may become
CLIPS = st.one_of(st.builds(Clip, LENGTHS), st.builds(AdaptiveClip, LENGTHS))
NOISES = st.sampled_from([CentralNoise(1.0), TreeNoise(1.0)])
BEHIND = st.one_of(
    st.builds(Clip, LENGTHS),
    st.builds(Compressed, SHORTENING),
    st.builds(Structured, st.sampled_from([LowRank(2), RandomMask(0.2)]), SHORTENING),
    st.just(CentralNoise(0.5)),
)
LAST = st.one_of(
    st.just(()),
    st.builds(WholeNumbers, st.just(3), st.sampled_from([2, 3, 8])).map(lambda one: (one,)),
)
NOISY = st.builds(
    lambda before, clip, noise, behind, last: (*before, clip, noise, *behind, *last),
    st.lists(STAGES, max_size=1),
    CLIPS,
    NOISES,
    st.lists(BEHIND, max_size=2),
    LAST,
)


def update(kind, scale, seed):
    rng = np.random.default_rng(seed)
    if kind == "peaked":
        x = np.zeros(COUNT)
        x[rng.integers(COUNT)] = 1
    elif kind == "few":
        x = np.where(rng.random(COUNT) < 0.01, rng.normal(size=COUNT), 0)
    elif kind == "alike":
        x = np.ones(COUNT)
    else:
        x = rng.normal(size=COUNT)
    return (scale * x).astype(np.float32)


UPDATES = st.builds(
    update,
    st.sampled_from(["peaked", "few", "alike", "gaussian"]),
    st.sampled_from([0.0, 1e-9, 0.01, 1.0, 1e6, 1e18]),
    st.integers(0, 10_000),
)


def admitted(stages):
    try:
        return StageChain(stages, FedAvg(), SHAPES, equal=True, clients=10)
    except InputError:
        return None


def added(stages, x, seed):
    """Return how long that is which noise on the sum must hide, and the bound that it is scaled to.

    The sum goes through the stages behind the noise, as far as the first noise on the sum; noise of
    those behind it is taken away by sending the same sum without the device.
    """
    memory = stages.start()
    facts = stages.facts(memory)
    noises = [
        number
        for number, stage in enumerate(stages.stages)
        if isinstance(stage, CentralNoise | TreeNoise)
    ]
    seeds = StageSeeds(seed, seed + 1, seed + 2)
    sent = stages.on_update(Update.of(x), facts, memory, seeds)
    sums = []
    for values in (sent.values, np.zeros_like(sent.values)):
        whole = values.dtype == np.uint32
        total = Total(values if whole else values.astype(float), 1.0, 1)
        for number in reversed(range(noises[0] + 1, len(stages.stages))):
            if not isinstance(stages.stages[number], CentralNoise | TreeNoise):
                total, _ = stages.stages[number].on_sum(total, facts[number], memory[number], seeds)
        sums.append(total.change.astype(float))
    return float(np.linalg.norm(sums[0] - sums[1])), facts[-1].bound


@settings(max_examples=300, deadline=None)
@given(st.one_of(NOISY, ANY), st.lists(UPDATES, min_size=1, max_size=4), st.integers(0, 10_000))
@example((Clip(1.0), CentralNoise(1.0), WholeNumbers(3, 2)), [update("alike", 1.0, 0)], 3)
@example((Clip(1.0), CentralNoise(1.0), Compressed(Eden(1))), [update("gaussian", 1.0, 0)], 0)
@example((Clip(1.0), TreeNoise(1.0), Compressed(Subsample(0.01))), [update("gaussian", 1.0, 0)], 0)
@example(
    (Clip(1.0), CentralNoise(1.0), Structured(LowRank(2), Eden(1))), [update("gaussian", 1.0, 0)], 0
)
def test_what_one_device_adds_is_within_the_bound(order, updates, seed):
    stages = admitted(order)
    if stages is None or not any(isinstance(stage, CentralNoise | TreeNoise) for stage in order):
        return
    for number, x in enumerate(updates):
        try:
            length, bound = added(stages, x, seed + number)
        except InputError:
            continue  # an update that an encoder refuses is not added
        assert length <= bound * (1 + ROUNDING)


NOISE_LAST = [
    ((Clip(2.0), CentralNoise(1.0)), 2.0),
    ((Clip(2.0), CentralNoise(1.0), Clip(0.5)), 0.5),
    ((Clip(2.0), TreeNoise(1.0), Compressed(Subsample(0.1))), 20.0),
    ((Clip(2.0), CentralNoise(1.0), Compressed(Largest(0.1))), 2.0),
    ((Clip(2.0), CentralNoise(1.0), Compressed(Coded(Whole()))), 2.0),
    ((Clip(2.0), CentralNoise(1.0), Structured(RandomMask(0.5))), 2.0),
    ((Clip(2.0), CentralNoise(1.0), WholeNumbers(3, 2)), 2 * 2.34),
    ((AdaptiveClip(2.0, mark=1.0), CentralNoise(1.0)), 2 * 1.118),
]


@pytest.mark.parametrize(("order", "bound"), NOISE_LAST, ids=lambda value: str(value)[:60])
def test_noise_has_the_deviation_of_the_last_bound(order, bound):
    """Adaptive clipping's marks are the last of its numbers; noise falls on them as on
    all others.
    """
    stages = StageChain(order, FedAvg(), SHAPES, equal=True, clients=10)
    assert stages.facts(stages.start())[-1].bound == pytest.approx(bound, rel=0.01)
    memory = stages.start()
    update = stages.on_update(
        Update.of(np.zeros(COUNT, np.float32)), stages.facts(memory), memory, StageSeeds(0, 0)
    )
    noise = []
    for seed in range(20):
        whole = np.zeros_like(update.values)
        total = Total(whole if whole.dtype == np.uint32 else whole.astype(float), 3.0, 3)
        noise.append(stages.on_sum(total, memory, StageSeeds(0, seed))[0].change)
    assert np.std(noise) == pytest.approx(bound, rel=0.03)


def test_devices_do_not_get_the_seed_of_the_tree():
    stages = StageChain((AdaptiveClip(), CentralNoise(1.0)), FedAvg(), SHAPES, equal=True)
    assert "length" in stages.public(stages.start())[0]
    stages = StageChain((Clip(1.0), TreeNoise(1.0)), FedAvg(), SHAPES, equal=True)
    assert stages.public(stages.start()) == ({}, {})


class Peek(PlainStage):
    """A stage of one's own that keeps what the sum is."""

    def after(self, facts, memory):
        return facts

    def start(self):
        return {"length": np.zeros(1)}

    def on_sum(self, total, facts, memory, seeds):
        return total, {"length": np.array([np.linalg.norm(total.change)])}


def test_a_stage_that_reads_sums_before_they_have_noise_is_refused():
    with pytest.raises(InputError, match="Peek after it works on sums before they have noise"):
        StageChain((Clip(1.0), CentralNoise(1.0), Peek()), FedAvg(), [(5,)], True)
    StageChain(
        (Clip(1.0), Peek(), CentralNoise(1.0)), FedAvg(), [(5,)], True
    )  # it reads what has noise
