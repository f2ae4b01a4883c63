"""Tasks as a server's configuration names them: ``handheld.federated.tasks:training``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handheld.config import from_table
from handheld.errors import InputError
from handheld.federated import choices
from handheld.federated.learning.learner import ClientWork
from handheld.federated.learning.vectors import ModuleLayout
from handheld.federated.population import NetworkConfig
from handheld.federated.stages import WholeNumbers
from handheld.federated.tasks.evaluation import EvaluationTask
from handheld.federated.tasks.plan import DevicePlan
from handheld.federated.tasks.training import TrainingTask
from handheld.ranges import MOST_SEED, in_range, whole_in_range


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of a task.

    Attributes:
        name: by which devices know it.
        shape: of an input, each side 1 or more.
        classes: outputs of the network, 1 or more.
        model: the network; devices must have the same.
        algorithm: as ``handheld federated simulate`` reads it.
        work: how much devices learn.
        stages: on the way of an update; whole numbers make it a secure one.
        robust: a mean that broken devices cannot move far.
        uniform: whether each device counts alike; it does wherever sums are secure.
        clients: devices that are expected to answer in a round, where noise is promised, 0 or
            more.
        population: devices in all, 1 or more, where noise is promised.
        delta: chance that the promise fails, in (0, 1).
        max_weight: what a device counts at most, in medians of its round, 1 or more.
        seed: of the first weights, and of what devices and the server draw alike.
    """

    name: str
    shape: tuple[int, ...]
    classes: int
    model: NetworkConfig = field(default_factory=NetworkConfig)
    algorithm: Mapping[str, Any] = field(default_factory=lambda: {"name": "fedavg"})
    work: ClientWork = field(default_factory=ClientWork)
    stages: tuple[Mapping[str, Any], ...] = ()
    robust: Mapping[str, Any] | None = None
    uniform: bool = False
    clients: float = 0.0
    population: int | None = None
    delta: float | None = None
    max_weight: float = 100.0
    seed: int = 0

    def __post_init__(self) -> None:
        for number, side in enumerate(self.shape):
            whole_in_range(f"shape[{number}]", side, low=1)
        whole_in_range("classes", self.classes, low=1)
        in_range("clients", self.clients, low=0)
        if self.population is not None:
            whole_in_range("population", self.population, low=1)
        if self.delta is not None:
            in_range("delta", self.delta, low=0, high=1, low_open=True, high_open=True)
        in_range("max_weight", self.max_weight, low=1, high=math.inf)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)


def training(**options: Any) -> TrainingTask:
    """Return the training task that options describe, which are those of :class:`TrainingOptions`.

    Raises :class:`InputError` that names the entry which is wrong.
    """
    said = from_table(TrainingOptions, options, "options")
    folder = Path()  # the user's own modules are those that can be imported
    module = said.model.module(said.shape, said.classes, folder=folder, seed=said.seed)
    layout = ModuleLayout.of(module, fixed=said.model.freeze_statistics)
    stages = _stages(said.stages, folder)
    is_whole = any(isinstance(stage, WholeNumbers) for stage in stages)
    robust = None
    if said.robust is not None:
        robust = choices.named(choices.ROBUST_MEAN, said.robust, "options.robust", folder=folder)
    first_statistics = layout.statistics.of(module)
    plan = DevicePlan(
        shapes=layout.weights.arrays,
        statistics=len(first_statistics),
        algorithm=choices.named(
            choices.ALGORITHM, said.algorithm, "options.algorithm", folder=folder
        ),
        work=said.work,
        stages=stages,
        # Sums of whole numbers and robust means know no weights.
        equal=said.uniform or is_whole or robust is not None,
        clients=said.clients,
        seed=said.seed,
    )
    if plan.algorithm.corrects:
        raise InputError("options.algorithm: devices of a federation keep no state of their own")
    return TrainingTask(
        name=said.name,
        plan=plan,
        weights=layout.weights.of(module),
        first_statistics=first_statistics,
        robust=robust,
        max_weight=said.max_weight,
        population=said.population,
        delta=said.delta,
    )


def evaluation(**options: Any) -> EvaluationTask:
    """Return the task that evaluates the model of a training task with the same options.

    Its ``name`` is its own. Raises :class:`InputError` as :func:`training` does.
    """
    trained = training(**options)
    return EvaluationTask(name=trained.name, plan=trained.plan)


def _stages(tables: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Any, ...]:
    return tuple(
        choices.named(choices.STAGE, table, f"options.stages[{number}]", folder=folder)
        for number, table in enumerate(tables)
    )
