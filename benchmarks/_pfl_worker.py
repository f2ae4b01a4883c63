"""pfl's simulator in an interpreter of its own: the trivial step over NumPy alone, the real one by
its own federated averaging.

Speaks JSON on its command line, and answers in a file: ``_simulators_task.Job``.
"""

from typing import Any

import numpy as np
from _simulators_task import BATCH, RATE, Floats, Job, Watch, batches, first, flat, learn, network
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam.base import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.base import Model
from pfl.stats import MappedVectorStatistics

NEVER = 1 << 30


class Rounds(TrainingProcessCallback):
    """Notes when rounds end, and which one it is: users' orders of examples depend on it."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.number = watch, 0

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: Any, *, central_iteration: int
    ) -> Any:
        self.watch.round_ends()
        self.number = central_iteration + 1
        return False, Metrics()


class Weights(Model):
    """A model that is a vector."""

    def __init__(self, weights: Floats) -> None:
        self.weights = weights

    def apply_model_update(self, statistics: MappedVectorStatistics) -> tuple[Model, Metrics]:
        self.weights = self.weights + statistics["weights"]
        return self, Metrics()


class Trivial(FederatedAveraging):
    """Federated averaging with the trivial step."""

    def simulate_one_user(
        self, model: Weights, user_dataset: Dataset, central_context: Any
    ) -> tuple[Any, Metrics]:
        change = learn("trivial", model.weights, 0, 0) - model.weights
        return MappedVectorStatistics({"weights": change}, weight=1), Metrics()


def main() -> None:
    job = Job.told()
    watch = Watch(job.started)
    rounds = Rounds(watch)
    if job.step == "trivial":
        model, algorithm = Weights(first(job.step, job.parameters)), Trivial()
        users = federated(job.population, lambda _: Dataset((np.zeros(1),)))
    else:
        model, algorithm = real(), FederatedAveraging()
        users = federated(job.population, lambda user: dataset(rounds.number, user))
    watch.imports_end()
    model = algorithm.run(
        NNAlgorithmParams(
            central_num_iterations=job.rounds,
            evaluation_frequency=NEVER,
            train_cohort_size=job.cohort,
            val_cohort_size=0,
        ),
        SimulatedBackend(training_data=users, val_data=users),
        model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=RATE, local_batch_size=BATCH
        ),
        callbacks=[rounds],
        send_metrics_to_platform=False,
    )
    job.answer(watch, model.weights if job.step == "trivial" else flat(network()))


def real() -> Any:
    import torch
    from pfl.model.pytorch import PyTorchModel

    module = network()
    module.loss = lambda inputs, targets: torch.nn.functional.cross_entropy(module(inputs), targets)
    module.metrics = lambda inputs, targets: {}
    return PyTorchModel(module, torch.optim.SGD, torch.optim.SGD(module.parameters(), lr=1.0))


def federated(users: int, make: Any) -> FederatedDataset:
    return FederatedDataset(make, get_user_sampler("minimize_reuse", list(range(users))))


def dataset(number: int, user: int) -> Dataset:
    """Return a user's examples in the order of a round."""
    inputs, targets = (np.concatenate(parts) for parts in zip(*batches(number, user), strict=True))
    import torch

    return Dataset((torch.from_numpy(inputs), torch.from_numpy(targets)))


if __name__ == "__main__":
    main()
