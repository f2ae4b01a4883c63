import math

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.algorithms import Adder, FedAvg, Scaffold, Total
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    StageChain,
    StageSeeds,
    TreeNoise,
    Update,
    WholeNumbers,
)
from handheld.federated.updates import Eden, Stochastic, Subsample

COUNT = 400
SHAPES = ((COUNT,),)


def updates(clients=20, length=0.5, seed=0):
    found = np.random.default_rng(seed).normal(size=(clients, COUNT)).astype(np.float32)
    return found * np.float32(length) / np.linalg.norm(found, axis=1, keepdims=True)


def through(stages, given, memory=None, round_=0):
    """Send updates through stages; return the sum that comes out, what is kept, and bytes."""
    memory = memory or stages.start()
    facts, adder, size = stages.facts(memory), Adder(), 0
    for client, x in enumerate(given):
        update = stages.on_update(
            Update.of(x), facts, memory, StageSeeds(round_, 1000 * round_ + client)
        )
        adder.add(update.values)
        size += update.size
    total, memory = stages.on_sum(adder.total, memory, StageSeeds(round_, 7 + round_))
    return total, memory, size


def alike(*stages):
    return StageChain(stages, FedAvg(), SHAPES, equal=True)


def test_without_stages_the_sum_is_that_of_the_updates():
    total, _, size = through(alike(), updates())
    assert total.change == pytest.approx(updates().sum(axis=0), abs=1e-5)
    assert size == 20 * 4 * COUNT


def test_clipping_bounds_the_length_and_keeps_the_direction():
    x = updates(1, length=3.0)
    short, same = (through(alike(Clip(length)), x)[0].change for length in (1.5, 3.001))
    assert np.linalg.norm(short) == pytest.approx(1.5, rel=1e-5)
    assert short == pytest.approx(x[0] / 2, abs=1e-5)
    assert (same == x[0]).all()


@pytest.mark.parametrize("start", [0.01, 50.0])
def test_adaptive_clipping_finds_the_length_of_half_of_the_updates(start):
    lengths = np.linspace(0.2, 2.0, 40, dtype=np.float32)[:, None]
    given, stages = updates(40, 1.0) * lengths, alike(AdaptiveClip(length=start))
    memory = stages.start()
    for number in range(120):
        total, memory, size = through(stages, given, memory, number)
    assert float(memory[0]["length"]) == pytest.approx(1.1, rel=0.1)
    assert total.change.shape == (COUNT,)
    assert size == 40 * 4 * (COUNT + 1)


def test_noise_has_the_size_that_was_asked():
    for stages, spread in (
        (alike(Clip(2.0), CentralNoise(0.5)), 1.0),
        (alike(Clip(2.0), LocalNoise(0.5)), 1.0 * math.sqrt(20)),
        (alike(AdaptiveClip(2.0), CentralNoise(0.5)), math.hypot(1, 0.1)),
    ):
        total, _, _ = through(stages, updates())
        assert np.std(total.change - updates().sum(axis=0)) == pytest.approx(spread, rel=0.12)


def test_noise_differs_from_round_to_round_and_device_to_device():
    stages = alike(Clip(1.0), LocalNoise(1.0))
    one, other = (through(stages, updates(2), round_=number)[0].change for number in (0, 1))
    assert np.corrcoef(one, other)[0, 1] < 0.2


def test_noise_of_a_tree_adds_up_to_that_of_its_nodes():
    stages = alike(Clip(1.0), TreeNoise(1.0))
    memory, sums = stages.start(), [np.zeros(COUNT)]
    for number in range(8):
        total, memory, _ = through(stages, updates(3), memory, number)
        sums.append(sums[-1] + total.change - updates(3).sum(axis=0))
    nodes = [np.var(each) for each in sums]
    assert nodes == pytest.approx([number.bit_count() for number in range(9)], rel=0.3)


def test_whole_numbers_add_up_to_the_updates():
    stages = alike(Clip(1.0), CentralNoise(0.0), WholeNumbers(20, bits=16))
    total, _, size = through(stages, updates())
    assert total.change == pytest.approx(updates().sum(axis=0), abs=1e-2)
    assert size == 20 * -(-512 * 21 // 8) or size < 20 * 4 * 1024
    again, _, _ = through(stages, updates()[::-1])
    assert total.change == pytest.approx(again.change, abs=1e-2)


def test_more_clients_than_whole_numbers_were_made_for_are_refused():
    with pytest.raises(InputError, match="5 clients at most, 6 answered"):
        through(alike(Clip(1.0), WholeNumbers(5)), updates(6))


@pytest.mark.parametrize(
    ("stages", "why"),
    [
        ((CentralNoise(1.0),), "clip before"),
        ((LocalNoise(1.0),), "clip before"),
        ((Clip(1.0), Compressed(Eden(2)), CentralNoise(1.0)), "clip before"),
        ((Clip(1.0), LocalNoise(0.1), WholeNumbers(9)), "clip before"),
        ((WholeNumbers(9),), "clip before"),
        ((AdaptiveClip(), TreeNoise(1.0)), "changes from round to round"),
        (
            (Clip(1.0), CentralNoise(1.0), Compressed(Eden(1))),
            "CentralNoise: Compressed after it makes updates of any length",
        ),
        (
            (Clip(1.0), CentralNoise(1.0), Compressed(Stochastic(2))),
            "CentralNoise: Compressed after it",
        ),
        ((Clip(1.0), TreeNoise(1.0), Compressed(Eden(1))), "TreeNoise: Compressed after it"),
        (
            (Clip(1.0), CentralNoise(1.0), Compressed(Subsample(0.1, Eden(2)))),
            "CentralNoise: Compressed after it",
        ),
        ((CentralNoise(1.0), Clip(1.0)), "clip before"),
        (
            (Clip(1.0), CentralNoise(1.0), AdaptiveClip()),
            "AdaptiveClip after it would read from the sum without noise",
        ),
        (
            (Clip(1.0), TreeNoise(1.0), AdaptiveClip()),
            "AdaptiveClip after it would read from the sum without noise",
        ),
        ((Clip(1.0), WholeNumbers(9), Compressed(Eden(2))), "only add up"),
        ((Clip(1.0), WholeNumbers(9), Clip(1.0)), "only add up"),
    ],
)
def test_orders_that_make_no_sense_are_refused(stages, why):
    with pytest.raises(InputError, match=why):
        alike(*stages)


@pytest.mark.parametrize(
    "stage", [CentralNoise(1.0), LocalNoise(1.0), TreeNoise(1.0), WholeNumbers(9), AdaptiveClip()]
)
def test_what_promises_something_of_each_device_needs_them_alike(stage):
    with pytest.raises(InputError, match="weigh uniformly"):
        StageChain((Clip(1.0), stage), FedAvg(), SHAPES)
    with pytest.raises(InputError, match="send more than an update"):
        StageChain((Clip(1.0), stage), Scaffold(), SHAPES, equal=True)


def test_compressing_may_come_before_a_bound():
    total, _, size = through(alike(Compressed(Eden(8)), Clip(1.0), CentralNoise(0.0)), updates())
    assert total.change == pytest.approx(updates().sum(axis=0), abs=0.02)
    assert size < 20 * 1.4 * 1024


@pytest.mark.parametrize(
    "make",
    [
        lambda: Clip(0),
        lambda: Clip(math.nan),
        lambda: AdaptiveClip(quantile=2),
        lambda: AdaptiveClip(length=-1),
        lambda: CentralNoise(-1),
        lambda: LocalNoise(math.inf),
        lambda: TreeNoise(-0.1),
        lambda: WholeNumbers(1 << 20, 16),
    ],
)
def test_values_outside_their_range(make):
    with pytest.raises(InputError, match=r"expected|32 are there"):
        make()


def test_adding_up_is_that_of_totals_in_any_order_but_for_rounding():
    given, weights = updates(30), np.random.default_rng(1).uniform(1, 9, 30)
    order = np.random.default_rng(2).permutation(30)
    sums = []
    for places in (range(30), order):
        adder = Adder()
        for place in places:
            adder.add(given[place], float(weights[place]), given[place])
        sums.append(adder.total)
    parts = [Total.of(x, float(w), x) for x, w in zip(given, weights, strict=True)]
    whole = sum(parts[1:], start=parts[0])
    for each in sums:
        assert each.change == pytest.approx(whole.change, rel=1e-12)
        assert each.extra == pytest.approx(whole.extra, rel=1e-12)
        assert (each.clients, each.weight) == (30, pytest.approx(whole.weight))
    with pytest.raises(InputError, match=r"^weight: expected a number in \(0, inf\), got 0.0"):
        adder.add(given[0], 0.0)
