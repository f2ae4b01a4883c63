"""Models as they are: what of them is trained, what travels, and what stays as it is."""

import functools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_learners import Steady, points
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from handheld.data.users.partitions import evenly, from_indices
from handheld.errors import HandheldError, InputError
from handheld.federated.algorithms import FedAdam, Median
from handheld.federated.learning import ClientWork, Examples, Users
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.subspaces import RandomMask
from handheld.federated.report import write_run
from handheld.federated.simulator import Plan, StoppedRunError, simulate
from handheld.federated.simulator import rounds as simulating
from handheld.federated.stages import (
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    Structured,
    TreeNoise,
)
from handheld.federated.updates import Eden

WORK = ClientWork(epochs=2, batch=8, rate=0.1)
PLAN = Plan(rounds=3, cohort=6, work=WORK)
NOISY = replace(PLAN, uniform=True, stages=(Clip(1.0), CentralNoise(1.0)))


class Causal(nn.Module):
    """Two linear layers, the first frozen, between constants: a mean, a deviation and a mask of
    -inf.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(0.5))
        self.register_buffer("std", torch.full((5,), 2.0))
        self.register_buffer(
            "mask",
            torch.tensor([[0.0, -math.inf, -math.inf], [0.0, 0.0, -math.inf], [0.0, 0.0, 0.0]]),
        )
        self.first = nn.Linear(5, 3).requires_grad_(False)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        x = torch.tanh(self.first((x - self.mean) / self.std))
        weights = torch.softmax(x.new_zeros(3, 3) + self.mask, dim=-1)
        return self.head(x @ weights.T)


class Cumulative(nn.Module):
    def __init__(self, momentum=None):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU(), nn.Linear(8, 3)
        )

    def forward(self, x):
        return self.layers(x)


def learner(module, at_once=0, **options):
    users, test = points()
    torch.manual_seed(3)
    return ModuleLearner(module(), users, test, at_once=at_once, **options)


def normed(momentum=0.1):
    return functools.partial(Cumulative, momentum)


CAUSAL_PLANS = {
    "plain": PLAN,
    "noise": NOISY,
    "eden": replace(PLAN, stages=(Compressed(Eden(1)),)),
    "adam": replace(PLAN, algorithm=FedAdam(rate=0.1), stages=(Compressed(Eden(1)),)),
    "subspace": replace(PLAN, stages=(Structured(RandomMask(0.5)),)),
}


@pytest.mark.parametrize("at_once", [0, 1, 4])
@pytest.mark.parametrize("name", CAUSAL_PLANS)
def test_frozen_weights_and_constants_never_move(name, at_once, tmp_path):
    made = learner(Causal, at_once)
    before = {key: value.clone() for key, value in made.fresh().state_dict().items()}
    run = simulate(CAUSAL_PLANS[name], made)
    assert [row["answered"] for row in run.rows] == [6] * 3
    assert len(run.state.weights) == 3 * 3 + 3
    assert np.abs(run.state.weights - made.start()).max() > 0
    pytest.importorskip("dp_accounting")
    write_run(tmp_path, CAUSAL_PLANS[name], made, run)
    after = load_file(tmp_path / "model.safetensors")
    assert after.keys() == before.keys()
    for key in before:
        assert torch.equal(after[key], before[key]) == (not key.startswith("head")), key


def test_frozen_weights_and_constants_do_not_travel():
    run = simulate(PLAN, learner(Causal))
    assert (run.rows[0]["bytes_up"], run.rows[0]["bytes_down"]) == (6 * 4 * 12, 6 * 4 * 12)


def test_a_frozen_layer_makes_no_difference_between_side_by_side_and_one_by_one():
    assert learner(Causal).at_once > 1
    one, many = (simulate(PLAN, learner(Causal, at_once)).state.weights for at_once in (1, 6))
    assert many == pytest.approx(one, abs=1e-5)


def test_statistics_are_the_mean_over_devices_by_their_examples_reference():
    """One round of full batches: each device's running mean is 0.9 of the old one and 0.1 of its
    inputs' mean.
    """
    users, _ = points()
    made = ModuleLearner(nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3)), users)
    run = simulate(
        Plan(rounds=1, cohort=12, algorithm=FedAdam(rate=0.5), work=ClientWork(batch=None)), made
    )
    sizes = users.partition.sizes
    inputs = [
        users.examples.inputs[users.partition.of(user)].astype(np.float64) for user in range(12)
    ]
    many = [number for number in range(12) if sizes[number] > 1]
    means = {user: 0.1 * inputs[user].mean(axis=0) for user in many}
    variances = {user: 0.9 + 0.1 * inputs[user].var(axis=0, ddof=1) for user in many}
    zeros, ones = np.zeros(5), np.ones(5)  # a single example leaves the first ones
    mean = sum(sizes[u] * means.get(u, zeros) for u in range(12)) / sizes.sum()
    variance = sum(sizes[u] * variances.get(u, ones) for u in range(12)) / sizes.sum()
    assert run.state.statistics[:5] == pytest.approx(mean, rel=1e-5)
    assert run.state.statistics[5:10] == pytest.approx(variance, rel=1e-5)
    assert run.state.statistics[10] == pytest.approx(sizes[many].sum() / sizes.sum())


def test_statistics_count_four_bytes_each_and_no_stage_sees_them():
    made = learner(normed())
    run = simulate(replace(PLAN, rounds=1, stages=(Compressed(Eden(1)),)), made)
    weights, statistics = len(made.start()), len(made.statistics())
    assert (weights, statistics) == (5 * 8 + 8 + 16 + 8 * 3 + 3, 17)
    encoded = len(Eden(1).encode(np.ones(weights, np.float32), 0))
    assert run.rows[0]["bytes_up"] == 6 * (encoded + 4 * statistics)
    assert run.rows[0]["bytes_down"] == 6 * 4 * (weights + statistics)


@pytest.mark.parametrize("seed", range(3))
def test_batch_normalisation_under_one_bit_stays_valid_and_learns(seed):
    plan = Plan(rounds=15, cohort=6, work=WORK, seed=seed)
    plain = simulate(plan, learner(normed()))
    small = simulate(replace(plan, stages=(Compressed(Eden(1)),)), learner(normed()))
    assert all(math.isfinite(row["test_loss"]) for row in small.rows)
    assert sum(row["rejected"] for row in small.rows) == 0
    assert small.state.statistics[8:16].min() > 0
    assert small.rows[-1]["test_accuracy"] > plain.rows[-1]["test_accuracy"] - 0.05


@pytest.mark.parametrize("noise", [CentralNoise(1.0), LocalNoise(1.0), TreeNoise(1.0)])
def test_statistics_beside_a_promise_are_refused(noise):
    plan = replace(NOISY, stages=(Clip(1.0), noise))
    with pytest.raises(InputError, match=r"17 statistics .* GroupNorm .* freeze_statistics"):
        simulate(plan, learner(normed()))
    frozen = learner(normed(), freeze_statistics=True)
    run = simulate(plan, frozen)
    assert len(run.state.statistics) == 0
    fresh = frozen.fresh()
    assert torch.equal(frozen.module.layers[1].running_var, fresh.layers[1].running_var)
    assert int(frozen.module.layers[1].num_batches_tracked) == 0


def test_a_layer_that_its_owner_keeps_in_evaluation_mode_stays_so():
    class Kept(Cumulative):
        def train(self, mode=True):
            super().train(mode)
            self.layers[1].eval()
            return self

    made = learner(functools.partial(Kept, 0.1))
    assert len(made.statistics()) == 0
    simulate(NOISY, made)
    assert int(made.module.layers[1].num_batches_tracked) == 0


class Averages(nn.Module):
    """A user's own statistics, in a buffer that no class of torch's tells of, and a counter."""

    def __init__(self):
        super().__init__()
        self.register_buffer("average", torch.zeros(5))
        self.register_buffer("batches", torch.tensor(0))
        self.register_buffer("scale", torch.ones(5))
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        if self.training:
            self.average = 0.5 * self.average + 0.5 * x.mean(dim=0).detach()
            self.batches += 1
        return self.head((x - self.average) * self.scale)


def test_a_users_own_statistics_are_found():
    made = learner(Averages)
    assert made.at_once == 1
    assert len(made.statistics()) == 6
    with pytest.raises(InputError, match="6 statistics"):
        simulate(NOISY, made)


@pytest.mark.parametrize("momentum", [None, 0.1])
def test_any_number_of_workers_gives_the_same_statistics(momentum):
    one, two = (simulate(PLAN, learner(normed(momentum)), workers=workers) for workers in (1, 2))
    assert (one.state.weights == two.state.weights).all()
    assert (one.state.statistics == two.state.statistics).all()
    again = learner(normed(momentum))
    simulate(PLAN, again)
    assert (simulate(PLAN, again).state.weights == one.state.weights).all()


@pytest.mark.parametrize("module", [normed(None), normed(0.1), Averages, Causal])
def test_a_run_that_was_killed_gives_the_same_file(module, tmp_path, monkeypatch):
    monkeypatch.setattr(simulating, "_SAVE_SECONDS", -1)

    def stop(done, rounds, row):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(PLAN, learner(module), out=tmp_path / "killed", progress=stop)
    files = []
    for name in ("killed", "whole"):
        made = learner(module)
        run = simulate(PLAN, made, out=tmp_path / name)
        write_run(tmp_path / name, PLAN, made, run)
        files.append((tmp_path / name / "model.safetensors").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("robust", [Median(), None])
def test_one_broken_device_does_not_set_the_statistics_of_a_robust_mean(robust):
    users, _ = points()
    rng = np.random.default_rng(0)
    inputs = users.examples.inputs.copy()
    inputs[users.partition.of(3)] = 1e6 * rng.normal(size=(len(users.partition.of(3)), 5))
    made = ModuleLearner(
        nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3)),
        Users(Examples(inputs, users.examples.targets), users.partition),
    )
    run = simulate(Plan(rounds=1, cohort=12, work=WORK, robust=robust), made)
    largest = run.state.statistics[5:10].max()
    assert (largest < 100) == (robust is not None)
    assert run.state.statistics[5:10].min() > 0


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.back = nn.Linear(4, 5, bias=False)
        self.back.weight = self.table.weight

    def forward(self, x):
        return self.back(self.table(x))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.uint16])
def test_tied_weights_are_there_once_and_whole_inputs_of_any_type_are_taken(dtype, tmp_path):
    x = (np.arange(60) % 5).astype(dtype)
    users = Users(Examples(x, (x + 1) % 5), evenly(60, 6, seed=0))
    changes = []
    for at_once in (1, 6):
        torch.manual_seed(0)
        made = ModuleLearner(Tied(), users, users.examples, at_once=at_once)
        assert len(made.start()) == 20
        run = simulate(PLAN, made)
        changes.append(run.state.weights)
    assert changes[0] == pytest.approx(changes[1], abs=1e-5)
    served = made.fresh()
    made.layout.load(served, run.state.weights, run.state.statistics)
    assert torch.equal(served.back.weight, served.table.weight)


@pytest.mark.parametrize(
    "norm", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm]
)
def test_parametrised_layers_learn(norm):
    made = learner(lambda: nn.Sequential(norm(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 3)))
    assert simulate(replace(PLAN, rounds=15), made).rows[-1]["test_accuracy"] > 0.9


# What goes into a loss and comes out of it


def by_mean(outputs, targets):
    return functional.cross_entropy(outputs, targets)


def by_columns(outputs, targets):
    return (outputs - functional.one_hot(targets, 3)) ** 2


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (
            functional.cross_entropy,
            r"cross_entropy gives one number for \d examples.*reduction='none'",
        ),
        (nn.CrossEntropyLoss(), r"CrossEntropyLoss gives one number .*reduction='none'"),
        (by_mean, r"by_mean gives one number .*reduction='none'"),
        (by_columns, r"by_columns gives \[4, 3\] for 4 examples, expected \[4\]"),
    ],
)
def test_a_loss_that_is_not_one_number_for_each_example_is_refused_before_the_first_round(
    loss, why, at_once
):
    made = learner(functools.partial(nn.Linear, 5, 3), at_once, loss=loss)
    seen = []
    with pytest.raises(InputError, match=why):
        simulate(PLAN, made, progress=lambda *told: seen.append(told))
    assert not seen


def test_a_loss_without_reduction_is_the_default_one():
    loss = functools.partial(functional.cross_entropy, reduction="none")
    one, other = (
        simulate(PLAN, learner(functools.partial(nn.Linear, 5, 3), **options))
        for options in ({}, {"loss": loss})
    )
    assert (one.state.weights == other.state.weights).all()
    assert one.rows == other.rows


@pytest.mark.parametrize("at_once", [1, 6])
@pytest.mark.parametrize("inputs", [np.float64, np.float16])
@pytest.mark.parametrize("labels", [np.uint8, np.int16, np.int32, np.uint64])
def test_numbers_and_labels_of_other_types_are_converted(inputs, labels, at_once):
    users, test = points()
    whole = [
        Examples(e.inputs.astype(np.float16).astype(np.float32), e.targets)
        for e in (users.examples, test)
    ]
    other = [Examples(e.inputs.astype(inputs), e.targets.astype(labels)) for e in whole]
    runs = []
    for train, tested in (whole, other):
        torch.manual_seed(0)
        runs.append(
            simulate(
                PLAN,
                ModuleLearner(
                    nn.Linear(5, 3), Users(train, users.partition), tested, at_once=at_once
                ),
            )
        )
    assert (runs[0].state.weights == runs[1].state.weights).all()
    assert runs[0].rows == runs[1].rows


def with_examples(inputs=None, targets=None, module=None, **options):
    users, test = points()
    given = Examples(
        users.examples.inputs if inputs is None else inputs,
        users.examples.targets if targets is None else targets,
    )
    torch.manual_seed(0)
    return ModuleLearner(module or nn.Linear(5, 3), Users(given, users.partition), test, **options)


LABELS = points()[0].examples.targets


@pytest.mark.parametrize("at_once", [0, 1])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"targets": LABELS + 1},
            r"example \d+ has the label 3, but .* 3 classes: expected 0 to 2, or -1",
        ),
        ({"targets": LABELS - 2}, r"has the label -2"),
        (
            {"inputs": np.ones((300, 5), np.int64)},
            r"raises on inputs \[4, 5\] of int64 \(stored as int64\): RuntimeError",
        ),
        ({"inputs": np.ones((300, 5), np.int16)}, "store measurements as float32"),
        (
            {"inputs": np.ones(300, np.uint8), "module": nn.Embedding(5, 3)},
            "store numbers of words as int64",
        ),
        ({"inputs": np.ones((300, 6), np.float32)}, r"raises on inputs \[4, 6\] of float32"),
        (
            {"targets": np.ones((300, 2), np.float32)},
            r"loss cross_entropy raises on outputs \[4, 3\] and targets \[4, 2\]",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused_in_one_line(options, why, at_once):
    with pytest.raises(InputError, match=why) as raised:
        simulate(PLAN, with_examples(**options, at_once=at_once))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Examples(np.array(["a"]), np.zeros(1, int)), "inputs hold <U1, expected numbers"),
        (lambda: Examples(np.ones(1, complex), np.zeros(1, int)), "inputs hold complex128"),
        (lambda: Examples(np.array([1e300]), np.zeros(1, int)), "more than float32 does"),
        (lambda: learner(lambda: nn.LazyLinear(3)), "has no shape yet"),
        (
            lambda: learner(lambda: nn.Linear(5, 3).requires_grad_(False)),
            "parameters that may be trained",
        ),
        (
            lambda: ModuleLearner(
                nn.Linear(5, 3), points()[0], Examples(np.zeros((0, 5)), np.zeros(0, int))
            ),
            "test holds no",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_what_no_model_can_take(make, why):
    with pytest.raises(InputError, match=why):
        make()


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x):
        return functional.dropout(self.layers(x), 0.2, self.training)


class Branching(Dropping):
    def forward(self, x):
        return self.layers(x) if x.sum().item() > 0 else self.layers(-x)


class Centring(Dropping):
    """Looks at the whole batch, padding too."""

    def forward(self, x):
        return self.layers(x - x.mean(dim=0))


@pytest.mark.parametrize("module", [Dropping, Branching, Centring])
def test_what_cannot_go_side_by_side_learns_one_by_one(module):
    assert learner(lambda: Dropping().layers).at_once > 1
    made = learner(module)
    assert made.at_once == 1
    assert simulate(PLAN, made).rows[-1]["rejected"] == 0
    with pytest.raises(InputError, match=r"cannot learn side by side .* leave at_once out"):
        simulate(PLAN, learner(module, 4))


def test_the_callers_random_numbers_stay_as_they_were():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    users, test = points()
    simulate(PLAN, ModuleLearner(nn.Sequential(nn.Linear(5, 3), nn.Dropout()), users, test))
    simulate(PLAN, ModuleLearner(Dropping(), users, test))
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), before)


# What goes wrong


class Own(nn.modules.batchnorm._BatchNorm):
    def _check_input_dim(self, x):
        pass


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_device_that_raises_is_named_and_the_run_goes_on(at_once):
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(7, 3)

        def forward(self, x):
            return self.table(x)

    x = np.arange(60) % 7
    x[50] = 9  # device 5 holds a word that the table does not
    users = Users(Examples(x, x % 3), by_user_in_order(60, 6))
    run = simulate(replace(PLAN, cohort=6), ModuleLearner(Picky(), users, at_once=at_once))
    assert [(row["answered"], row["rejected"], row["rejected_raised"]) for row in run.rows] == [
        (5, 1, 1)
    ] * 3
    assert list(run.rejected) == [5]
    assert "Picky.forward raises IndexError: " in run.rejected[5]


def by_user_in_order(count, users):
    return from_indices(np.array_split(np.arange(count), users))


def test_a_batch_of_one_in_a_users_own_layer_is_one_rejected_device():
    rng = np.random.default_rng(0)
    examples = Examples(rng.normal(size=(41, 5)).astype(np.float32), rng.integers(3, size=41))
    users = Users(examples, by_user_in_order(41, 5))  # the first device has 9: 8 and a batch of one
    run = simulate(
        Plan(rounds=2, cohort=5, work=WORK),
        ModuleLearner(nn.Sequential(Own(5), nn.Linear(5, 3)), users),
    )
    assert [(row["answered"], row["rejected"]) for row in run.rows] == [(4, 1)] * 2
    assert "more than 1 value per channel" in run.rejected[0]


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_a_huge_rate_ends_the_run_and_says_why(rate, at_once, tmp_path):
    plan = Plan(rounds=20, cohort=4, work=ClientWork(epochs=2, batch=8, rate=rate))
    seen = []
    made = learner(lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), at_once)
    with pytest.raises(HandheldError) as raised:
        simulate(plan, made, out=tmp_path, progress=lambda done, rounds, row: seen.append(done))
    assert "finite" in str(raised.value)
    assert len(seen) < 4
    assert (tmp_path / "state.npz").exists() == bool(seen)


def test_three_rounds_in_vain_end_a_run_and_are_counted_by_reason():
    def loss(outputs, targets):
        return outputs.sum(dim=1) * math.nan

    made = ModuleLearner(nn.Linear(5, 3), points()[0], loss=loss)
    with pytest.raises(
        StoppedRunError, match=r"rounds 1 to 3: not one update was taken; 18 were not finite"
    ) as raised:
        simulate(Plan(rounds=9, cohort=6, work=WORK), made)
    assert [row["rejected_not_finite"] for row in raised.value.run.rows] == [6] * 3
    with pytest.raises(StoppedRunError, match="rounds 1 to 2"):
        simulate(Plan(rounds=2, cohort=6, work=WORK), made)


def test_further_metrics_and_users_own_examples():
    def second(outputs, targets):
        return (outputs.topk(2, dim=1).indices == targets[:, None]).any(dim=1).float()

    made = learner(functools.partial(nn.Linear, 5, 3), metrics={"top_2": second})
    run = simulate(replace(PLAN, rounds=8), made)
    assert run.rows[-1]["test_accuracy"] <= run.rows[-1]["test_top_2"] <= 1
    each = made.evaluate_users(run.state)
    assert each.users.tolist() == np.flatnonzero(made.examples).tolist()
    with torch.no_grad():
        served = made.fresh()
        made.layout.load(served, run.state.weights)
        rows = made.users.partition.of(2)
        outputs = served(torch.from_numpy(made.users.examples.inputs[rows])).argmax(dim=1).numpy()
    right = float((outputs == made.users.examples.targets[rows]).mean())
    assert each.figures["accuracy"][each.users.tolist().index(2)] == pytest.approx(right)
    spread = each.spread("accuracy")
    assert spread["mean"] == pytest.approx(np.mean(each.figures["accuracy"]))
    assert spread["p10"] <= spread["median"] <= spread["p90"]
    with pytest.raises(InputError, match=r"metric .* gives one number"):
        simulate(
            PLAN, learner(functools.partial(nn.Linear, 5, 3), metrics={"all": lambda o, t: o.sum()})
        )


@dataclass
class Keeping(Steady):
    """Devices that all learn the same, and answer statistics of their own."""

    own: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))

    def statistics(self):
        return np.zeros(self.own.shape[1])

    def learn(self, task, users, own):
        learned = super().learn(task, users, own)
        return [
            replace(one, statistics=self.own[user])
            for one, user in zip(learned, users, strict=True)
        ]


@settings(max_examples=40, deadline=None)
@given(
    own=arrays(
        np.float64,
        st.tuples(st.integers(1, 9), st.integers(1, 4)),
        elements=st.floats(0, 1e6, width=32),
    ),
    sizes=st.lists(st.integers(1, 50), min_size=9, max_size=9),
    at_once=st.integers(1, 4),
    encoded=st.booleans(),
)
def test_averaged_statistics_are_the_weighted_mean_and_stay_within_those_of_devices(
    own, sizes, at_once, encoded
):
    users = len(own)
    made = Keeping(users=users, at_once=at_once, sizes=dict(enumerate(sizes)), own=own)
    stages = (Compressed(Eden(1)),) if encoded else ()
    run = simulate(Plan(rounds=2, cohort=users, stages=stages, max_weight=1e9), made)
    expected = np.average(own, axis=0, weights=sizes[:users])
    assert run.state.statistics == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (run.state.statistics >= own.min(axis=0) * (1 - 1e-12)).all()
    assert (run.state.statistics <= own.max(axis=0) * (1 + 1e-12)).all()
    assert run.rows[0]["bytes_down"] == users * 4 * (made.size + own.shape[1])
