"""Apps of Flower's with our mods and strategies, in one process."""

import numpy as np
import pytest
from tests.federated.flower.flower_app import (
    EXAMPLES,
    START,
    LocalGrid,
    SameTraining,
    apps,
    change,
    client_app,
    everybody,
    flat,
    folder_in,
    model,
)

from handheld.errors import InputError
from handheld.federated.algorithms import (
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    Krum,
    Median,
    TrimmedMean,
)
from handheld.federated.flower import (
    FederationStrategy,
    SecureAggregationStrategy,
    SecureAggregationWorkflow,
    UpdatePlan,
    compression_mod,
    secure_aggregation_mod,
    update_mod,
)
from handheld.federated.flower.messages import RECORD
from handheld.federated.simulator import Plan, simulate
from handheld.federated.stages import AdaptiveClip, Clip, Compressed, LocalNoise, WholeNumbers
from handheld.federated.updates import Eden, Largest, Subsample

ROUNDS = 3
LENGTH = 4.0
SECURE = UpdatePlan((Clip(LENGTH), WholeNumbers(4, 16)), uniform=True)
STEP = 2 * LENGTH / (1 << 16)


def trained(strategy, grid, rounds=ROUNDS):
    """Return the (8,) weights that a strategy comes to."""
    run = strategy.start(grid, model(), num_rounds=rounds)
    return flat({name: array.numpy() for name, array in run.arrays.items()})


def simulated(algorithm, plan, robust=None, rounds=ROUNDS):
    """Return the weights that our simulator comes to."""
    simulation = Plan(
        rounds=rounds,
        cohort=4,
        algorithm=algorithm,
        stages=plan.stages,
        uniform=plan.uniform,
        robust=robust,
    )
    return simulate(simulation, SameTraining()).state.weights


@pytest.mark.parametrize(
    ("algorithm", "plan", "robust"),
    [
        (FedAvg(), UpdatePlan(), None),
        (FedAvgM(), UpdatePlan(), None),
        (FedAdam(), UpdatePlan(), None),
        (FedYogi(), UpdatePlan(), None),
        (FedAvg(), UpdatePlan((Clip(0.5),)), None),
        (FedAvg(), UpdatePlan((AdaptiveClip(0.5),), uniform=True, clients=4), None),
        (FedAvg(), UpdatePlan((Compressed(Largest(0.25)),)), None),
        (FedAvg(), UpdatePlan(), TrimmedMean(0.25)),
        (FedAvg(), UpdatePlan(), Median()),
        (FedAvg(), UpdatePlan(), Krum(0)),
    ],
)
def test_reference_of_our_simulator(algorithm, plan, robust):
    strategy = FederationStrategy(algorithm, plan, robust=robust, **everybody())
    weights = trained(strategy, LocalGrid(apps([update_mod(plan)])))
    assert np.allclose(weights, simulated(algorithm, plan, robust), atol=1e-6)
    assert strategy.state.server.round == ROUNDS


def test_reference_of_flowers_own_mean():
    from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

    ours = trained(FederationStrategy(**everybody()), LocalGrid(apps([update_mod(UpdatePlan())])))
    theirs = trained(FlowerFedAvg(**everybody()), LocalGrid(apps([])))
    assert np.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("encoder", [Eden(4), Subsample(0.5)])
def test_updates_travel_in_few_bytes(encoder):
    plan = UpdatePlan((Compressed(encoder),))
    grid = LocalGrid(apps([compression_mod(encoder)]))
    trained(FederationStrategy(FedAvg(), plan, **everybody()), grid, rounds=1)
    for _, _, reply in grid.carried:
        assert set(reply.content) == {RECORD, "metrics"}, "no arrays travel"


def test_what_updates_left_out_is_owed():
    plan = UpdatePlan((Compressed(Largest(0.13)),))  # one number of eight
    errors = {}
    for feedback in (False, True):
        mod = compression_mod(Largest(0.13), error_feedback=feedback)
        strategy = FederationStrategy(FedAvg(), plan, **everybody())
        weights = trained(strategy, LocalGrid(apps([mod])), rounds=20)
        best = trained(
            FederationStrategy(**everybody()), LocalGrid(apps([update_mod(UpdatePlan())])), 20
        )
        errors[feedback] = np.abs(weights - best).max()
    assert errors[True] != errors[False]


def test_metrics_are_averaged_and_figures_told():
    plan = UpdatePlan((Clip(0.5),))
    strategy = FederationStrategy(FedAvg(), plan, **everybody())
    run = strategy.start(LocalGrid(apps([update_mod(plan)])), model(), num_rounds=1)
    metrics = run.train_metrics_clientapp[1]
    expected = float(np.average(np.arange(4), weights=EXAMPLES))
    assert metrics["loss"] == pytest.approx(expected)
    assert metrics["answered"] == 4
    assert metrics["rejected"] == 0
    assert metrics["clip_length"] == 0.5


def test_apps_evaluate_as_before():
    plan = UpdatePlan()
    strategy = FederationStrategy(min_available_nodes=4, min_train_nodes=4)
    run = strategy.start(LocalGrid(apps([update_mod(plan)])), model(), num_rounds=1)
    assert run.evaluate_metrics_clientapp[1]["accuracy"] == 0.5


def test_clients_get_the_pull_of_fedprox():
    seen = []

    def watch(message, context, call_next):
        seen.append(message.content["config"]["proximal-mu"])
        return call_next(message, context)

    strategy = FederationStrategy(FedProx(mu=0.25), UpdatePlan(), **everybody())
    trained(strategy, LocalGrid(apps([update_mod(UpdatePlan()), watch])), rounds=1)
    assert seen == [0.25] * 4


def test_beside_noise_nothing_travels():
    plan = UpdatePlan((Clip(1.0), LocalNoise(0.01)), uniform=True, clients=4)
    grid = LocalGrid(apps([update_mod(plan)]))
    weights = trained(FederationStrategy(FedAvg(), plan, **everybody()), grid, rounds=1)
    assert all(set(reply.content) == {RECORD} for _, _, reply in grid.carried)
    bare = UpdatePlan((Clip(1.0),), uniform=True)
    assert np.allclose(weights, simulated(FedAvg(), bare, rounds=1), atol=0.1)


def test_who_fails_sends_noise_where_that_must_not_show():
    plan = UpdatePlan((Clip(1.0), LocalNoise(0.01)), uniform=True, clients=4)

    def failing(message, context, call_next):
        raise RuntimeError("no data")

    mods = [update_mod(plan)]
    grid = LocalGrid([*apps(mods, 3), client_app([*mods, failing])])
    run = FederationStrategy(FedAvg(), plan, **everybody()).start(grid, model(), num_rounds=1)
    assert run.train_metrics_clientapp[1]["answered"] == 4


def test_a_client_without_the_mod_is_left_out():
    grid = LocalGrid([*apps([update_mod(UpdatePlan())], 3), client_app([])])
    # What it does not know it must not stumble over: its app sees one record more.
    strategy = FederationStrategy(**everybody())
    grid.apps[3] = lambda message, context: _plain_answer(message)
    run = strategy.start(grid, model(), num_rounds=1)
    assert run.train_metrics_clientapp[1]["answered"] == 3
    assert run.train_metrics_clientapp[1]["rejected"] == 1


def _plain_answer(message):
    from flwr.app import Message, MetricRecord, RecordDict

    content = {"arrays": model(), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=message)


def test_another_server_is_refused():
    """A client that promised noise does not send its update plainly, whatever the server says."""
    from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

    plan = UpdatePlan((Clip(1.0), LocalNoise(1.0)), uniform=True, clients=4)
    grid = LocalGrid(apps([update_mod(plan)]))
    FlowerFedAvg(**everybody()).start(grid, model(), num_rounds=1)
    reasons = [reply.error.reason for _, _, reply in grid.carried]
    assert len(reasons) == 4
    assert all("expected a strategy of handheld" in reason for reason in reasons)
    other = FederationStrategy(FedAvg(), UpdatePlan((Clip(1.0),)), **everybody())
    other.start(grid, model(), num_rounds=1)
    assert "another plan" in grid.carried[-1][2].error.reason


def test_a_client_that_leaves():
    grid = LocalGrid(apps([update_mod(UpdatePlan())]), gone=lambda number, calls: number == 3)
    weights = trained(FederationStrategy(**everybody()), grid, rounds=1)
    changes = np.stack([change(number, flat(START)) for number in range(3)])
    expected = flat(START) + np.average(changes, axis=0, weights=EXAMPLES[:3])
    assert np.allclose(weights, expected, atol=1e-6)


def test_reference_of_a_secure_sum(tmp_path):
    mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
    grid = LocalGrid(apps([mod]))
    weights = trained(SecureAggregationStrategy(FedAvg(), SECURE, **everybody()), grid)
    bare = UpdatePlan((Clip(LENGTH),), uniform=True)
    assert np.allclose(weights, simulated(FedAvg(), bare), atol=ROUNDS * 4 * STEP)
    assert all(set(reply.content) == {RECORD} for _, _, reply in grid.carried)
    # Training, and four steps more (one empty call is that of evaluation).
    assert grid.calls == ROUNDS * 6
    identities = [path.read_text() for path in sorted(tmp_path.glob("*/identity.key"))]
    assert len(set(identities)) == 4


@pytest.mark.parametrize("phase", [0, 1, 2, 3, 4])
def test_who_leaves_a_secure_round_in_the_middle(tmp_path, phase):
    mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
    grid = LocalGrid(apps([mod]), gone=lambda number, calls: number == 1 and calls == phase)
    weights = trained(SecureAggregationStrategy(FedAvg(), SECURE, **everybody()), grid, rounds=1)
    counted = [0, 2, 3]
    if phase > 2:
        counted = [0, 1, 2, 3]
    changes = [change(number, flat(START)) for number in counted]
    assert np.allclose(weights, flat(START) + np.mean(changes, axis=0), atol=4 * STEP)


def test_too_few_leave_the_model_as_it_is(tmp_path):
    mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
    grid = LocalGrid(apps([mod]), gone=lambda number, calls: number > 1 and calls == 2)
    strategy = SecureAggregationStrategy(FedAvg(), SECURE, **everybody())
    run = strategy.start(grid, model(), num_rounds=2)
    # The first round came to nothing, the second is one of all.
    assert list(run.train_metrics_clientapp) == [2]
    changes = [change(number, flat(START)) for number in range(4)]
    weights = flat({name: array.numpy() for name, array in run.arrays.items()})
    assert np.allclose(weights, flat(START) + np.mean(changes, axis=0), atol=4 * STEP)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"is_active": False}, "all are told the same"),
        ({"threshold": 2}, "a threshold of 3 or more of 4"),
    ],
)
def test_a_server_that_breaks_the_protocol(tmp_path, options, reason):
    mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
    grid = LocalGrid(apps([mod]))
    strategy = SecureAggregationStrategy(FedAvg(), SECURE, **options, **everybody())
    run = strategy.start(grid, model(), num_rounds=1)
    assert run.train_metrics_clientapp == {}
    refused = [reply.error.reason for _, _, reply in grid.carried if reply.has_error()]
    assert len(refused) == 4
    assert all(reason in text for text in refused)


def test_a_server_that_asks_a_step_twice(tmp_path):
    mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
    grid = LocalGrid(apps([mod]))
    trained(SecureAggregationStrategy(FedAvg(), SECURE, **everybody()), grid, rounds=1)
    for number, message, _ in grid.carried:
        reply = grid.apps[number](message, grid.contexts[number])
        assert reply.has_error()


@pytest.mark.parametrize("secure", [False, True])
def test_an_app_that_fails_says_why(tmp_path, secure):
    from flwr.app import Error, Message

    def failing(message, context, call_next):
        return Message(Error(code=0, reason="no data here"), reply_to=message)

    mod = update_mod(UpdatePlan())
    strategy = FederationStrategy(**everybody())
    if secure:
        mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
        strategy = SecureAggregationStrategy(FedAvg(), SECURE, **everybody())
    grid = LocalGrid([*apps([mod], 3), client_app([mod, failing])])
    run = strategy.start(grid, model(), num_rounds=1)
    assert run.train_metrics_clientapp[1]["answered"] == 3
    reasons = [reply.error.reason for _, _, reply in grid.carried if reply.has_error()]
    assert reasons == ["no data here"]


def test_flowers_older_interface(tmp_path):
    from flwr.app import ConfigRecord, Context, RecordDict
    from flwr.server import LegacyContext
    from flwr.server.client_manager import SimpleClientManager
    from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key

    mod = secure_aggregation_mod(SECURE, folder_in(tmp_path))
    grid = LocalGrid([_older_app(mod)] * 4)
    state = RecordDict()
    state[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
    state[MAIN_PARAMS_RECORD] = _numbered(flat(START))
    context = LegacyContext(
        Context(run_id=1, node_id=1, node_config={}, state=state, run_config={}),
        strategy=_everybody(grid.get_node_ids()),
        client_manager=SimpleClientManager(),
    )
    SecureAggregationWorkflow(SECURE)(grid, context)
    (weights,) = context.state.array_records[MAIN_PARAMS_RECORD].to_numpy_ndarrays()
    changes = [change(number, flat(START)) for number in range(4)]
    assert np.allclose(weights, flat(START) + np.mean(changes, axis=0), atol=4 * STEP)


def _numbered(weights):
    from flwr.app import ArrayRecord

    return ArrayRecord([weights])


def _older_app(mod):
    from flwr.client import NumPyClient
    from flwr.clientapp import ClientApp

    class Client(NumPyClient):
        def __init__(self, number):
            self.number = number

        def fit(self, parameters, config):
            (weights,) = parameters
            return [weights + change(self.number, weights)], int(EXAMPLES[self.number]), {}

    def client_fn(context):
        return Client(context.node_config["partition-id"]).to_client()

    return ClientApp(client_fn=client_fn, mods=[mod])


def _everybody(nodes):
    from flwr.common import FitIns
    from flwr.server.strategy import FedAvg as OlderFedAvg

    class Proxy:
        def __init__(self, node):
            self.node_id = node
            self.cid = str(node)

    class Everybody(OlderFedAvg):
        def configure_fit(self, server_round, parameters, client_manager):
            return [(Proxy(node), FitIns(parameters, {})) for node in nodes]

    return Everybody()


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: update_mod(SECURE), "secure_aggregation_mod"),
        (lambda: update_mod(UpdatePlan(), error_feedback=True), "only compress"),
        (lambda: secure_aggregation_mod(UpdatePlan(), str), "WholeNumbers"),
        (lambda: SecureAggregationStrategy(FedAvg(), UpdatePlan()), "WholeNumbers"),
        (lambda: SecureAggregationStrategy(FedAvg(), SECURE, threshold=1), "threshold"),
        (lambda: SecureAggregationStrategy(FedAvg(), SECURE, phase_seconds=0), "phase_seconds"),
    ],
)
def test_what_makes_no_sense(made, reason):
    with pytest.raises(InputError, match=reason):
        made()


def test_more_clients_than_the_plan_adds_up(tmp_path):
    plan = UpdatePlan((Clip(LENGTH), WholeNumbers(3, 16)), uniform=True)
    grid = LocalGrid(apps([secure_aggregation_mod(plan, folder_in(tmp_path))]))
    strategy = SecureAggregationStrategy(FedAvg(), plan, **everybody())
    run = strategy.start(grid, model(), num_rounds=1)
    assert run.train_metrics_clientapp == {}
    assert grid.carried == []
