"""Numbers of the room are held to their ranges: what is no number, or no whole one, is named."""

from dataclasses import fields

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated import privacy
from handheld.federated.algorithms import (
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    Krum,
    Scaffold,
    TrimmedMean,
)
from handheld.federated.device import ExampleStore, LearningBudget, Personalisation
from handheld.federated.learning import ClientWork
from handheld.federated.simulator import Devices, Plan
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    LocalNoise,
    TreeNoise,
    WholeNumbers,
)
from handheld.federated.updates import Eden, Largest, Modular, Stochastic, Subsample

# Classes, what they need besides, and fields that are no numbers, or where infinity is one.
WHOLE = [
    (ClientWork, {}, ("batch", "steps")),
    (Krum, {"byzantine": 1}, ("byzantine", "kept")),
    (Scaffold, {}, ("population",)),
    (Personalisation, {}, ("folds",)),
    (Eden, {}, ("bits",)),
    (Stochastic, {}, ("levels",)),
    (Modular, {"clip": 1.0, "clients": 3}, ("clients", "bits")),
    (WholeNumbers, {"clients": 3}, ("clients", "bits")),
    (Plan, {}, ("rounds", "cohort", "eval_every", "seed", "buffer_size")),
]
REAL = [
    (ClientWork, {}, ("epochs", "rate", "decay")),
    (FedAvg, {}, ("rate",)),
    (FedAvgM, {}, ("momentum",)),
    (FedProx, {}, ("mu",)),
    (FedAdam, {}, ("beta1", "beta2", "tau")),
    (FedYogi, {}, ("beta1", "beta2", "tau")),
    (TrimmedMean, {}, ("beta",)),
    (Personalisation, {}, ("significance",)),
    (LearningBudget, {}, ("keep",)),
    (Largest, {"share": 0.5}, ("share",)),
    (Subsample, {"share": 0.5}, ("share",)),
    (Clip, {"length": 1.0}, ("length",)),
    (AdaptiveClip, {}, ("length", "quantile", "rate", "mark")),
    (CentralNoise, {"multiplier": 1.0}, ("multiplier",)),
    (TreeNoise, {"multiplier": 1.0}, ("multiplier",)),
    (LocalNoise, {"multiplier": 1.0}, ("multiplier",)),
    (Modular, {"clip": 1.0, "clients": 3}, ("clip", "spread")),
    (Plan, {}, ("delta",)),
    (Devices, {}, [field.name for field in fields(Devices) if field.name != "deadline"]),
]


def cases(table):
    rows = []
    for made, needed, names in table:
        label = made.__name__
        rows += [pytest.param(made, needed, name, id=f"{label}.{name}") for name in names]
    return rows


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, "3", True, [1]], ids=repr)
@pytest.mark.parametrize(("made", "needed", "name"), [*cases(WHOLE), *cases(REAL)])
def test_what_is_no_number_of_the_range_is_named(made, needed, name, value):
    with pytest.raises(InputError, match=name):
        made(**{**needed, name: value})


@pytest.mark.parametrize(("made", "needed", "name"), cases(WHOLE))
def test_counts_are_whole_numbers_numpys_too(made, needed, name):
    with pytest.raises(InputError, match=f"{name}: expected a whole number"):
        made(**{**needed, name: 2.5})
    assert getattr(made(**{**needed, name: np.int64(3)}), name) == 3


def test_whole_numbers_of_numpy_count_as_pythons():
    x = np.linspace(-1, 1, 50, dtype=np.float32)
    assert Stochastic(np.int64(16)).encode(x, 0) == Stochastic(16).encode(x, 0)
    assert Modular(1.0, np.int64(5), np.int64(6)).width == Modular(1.0, 5, 6).width
    assert privacy.tree(1.0, np.int64(8), 1e-3) == privacy.tree(1.0, 8, 1e-3)


def test_a_seed_is_one_that_torch_takes():
    assert Plan(seed=2**63 - 1).seed == 2**63 - 1
    with pytest.raises(InputError, match="seed"):
        Plan(seed=2**63)


@pytest.mark.parametrize("value", [np.nan, 0, -1, "3", True])
@pytest.mark.parametrize("name", ["max_examples", "megabytes", "days", "classes"])
def test_limits_of_a_store_are_named(name, value, tmp_path):
    with pytest.raises(InputError, match=name):
        ExampleStore(tmp_path / "s.sqlite", **{name: value})


@pytest.mark.parametrize("name", ["max_examples", "classes"])
def test_counts_of_a_store_are_whole(name, tmp_path):
    with pytest.raises(InputError, match=name):
        ExampleStore(tmp_path / "s.sqlite", **{name: 1.5})


@pytest.mark.parametrize("limit", ["days", "megabytes"])
def test_a_store_may_keep_examples_of_any_age_or_size(limit, tmp_path):
    store = ExampleStore(tmp_path / "s.sqlite", max_examples=np.int64(2), **{limit: np.inf})
    for label in range(3):
        store.add(np.zeros(2, np.float32), label)
    assert len(store) == 2
