"""What an app's client and server agree on: which arrays are an update, and the way it goes."""

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.flower.plan import ArrayLayout, UpdatePlan
from handheld.federated.stages import CentralNoise, Clip, Compressed, LocalNoise, WholeNumbers
from handheld.federated.updates import Eden, Subsample

MODEL = {
    "weight": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "running_mean": np.array([5.0], np.float32),
    "bias": np.array(6.0, np.float16),
    "batches": np.array(7),
}


def test_arrays_lie_one_after_another():
    layout = UpdatePlan().layout(MODEL)
    assert layout.weights == ("weight", "bias")
    assert layout.statistics == ("running_mean",)
    assert layout.weights_of(MODEL).tolist() == [1, 2, 3, 4, 6]
    assert layout.statistics_of(MODEL).tolist() == [5]
    assert layout.statistics_count == 1


def test_types_and_counters_stay():
    layout = UpdatePlan().layout(MODEL)
    arrays = layout.arrays_of(np.arange(5, dtype=np.float32), np.array([9.0]), MODEL)
    assert list(arrays) == list(MODEL)
    assert {name: array.dtype for name, array in arrays.items()} == {
        name: array.dtype for name, array in MODEL.items()
    }
    assert arrays["weight"].tolist() == [[0, 1], [2, 3]]
    assert arrays["bias"] == 4
    assert arrays["running_mean"].tolist() == [9]
    assert arrays["batches"] == 7


def test_another_model_is_refused():
    layout = UpdatePlan().layout(MODEL)
    with pytest.raises(InputError, match=r"weight: expected an array \[2, 2\], got \[4\]"):
        layout.weights_of({**MODEL, "weight": np.zeros(4)})
    with pytest.raises(InputError, match="expected arrays"):
        layout.weights_of(dict(reversed(MODEL.items())))
    with pytest.raises(InputError, match="floating point"):
        ArrayLayout.of({"batches": MODEL["batches"]})


@pytest.mark.parametrize(
    "plan",
    [
        UpdatePlan((Clip(1.0), CentralNoise(1.0)), uniform=True, clients=10),
        UpdatePlan((Clip(1.0), LocalNoise(1.0)), uniform=True, clients=10),
        UpdatePlan((Clip(1.0), WholeNumbers(10)), uniform=True),
    ],
)
def test_statistics_do_not_travel_beside_what_is_hidden(plan):
    with pytest.raises(InputError, match="running_mean"):
        plan.layout(MODEL)


def test_plans_are_told_apart_and_stay_the_same():
    plans = [
        UpdatePlan(),
        UpdatePlan((Clip(1.0),)),
        UpdatePlan((Clip(1.0000001),)),
        UpdatePlan((Compressed(Eden(2)),)),
        UpdatePlan((Compressed(Subsample(0.5)),)),
        UpdatePlan(uniform=True),
        UpdatePlan(clients=3),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert UpdatePlan((Clip(1.0),)).digest == UpdatePlan((Clip(1.0),)).digest


@pytest.mark.parametrize("encoder", [Subsample(0.5), Eden(2)])
def test_sums_to_which_few_add_are_refused_under_masks(encoder):
    with pytest.raises(InputError, match="Compressed may leave numbers out"):
        UpdatePlan((Compressed(encoder), Clip(1.0), WholeNumbers(10)), uniform=True)


def test_noise_needs_a_number_of_clients():
    with pytest.raises(InputError, match="clients: expected a number"):
        UpdatePlan((Clip(1.0), CentralNoise(1.0)), uniform=True)
