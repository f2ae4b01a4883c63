"""A federated run from a TOML file.

Example::

    out = "runs/fashion"
    rounds = 100
    cohort = 10

    [data]
    path = "images/fashion_mnist.npz"    # relative to this file, or else to HANDHELD_DATA
    users = 100
    split = "shards"      # evenly, shards, dirichlet, dirichlet_shares, quantity;
                          # plays, files: by who wrote it

    [model]
    network = "convolutional"            # or "package.module:factory"

    [algorithm]
    name = "fedavg"                      # or "package.module:Class", with its fields beside it;
                                         # so for stages and encoders

    [work]
    epochs = 5
    batch = 10
    rate = 0.05

    [[stages]]
    name = "compressed"
    encoder = { name = "eden", bits = 2 }
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from handheld.config import find, from_table, read_toml
from handheld.errors import InputError
from handheld.federated import choices
from handheld.federated.choices import TableChoice
from handheld.federated.learning import ClientWork, PopulationLearner
from handheld.federated.population import NetworkConfig, UserDataConfig, learner_of
from handheld.federated.privacy import require_target
from handheld.federated.simulator import Devices, Plan

# Entries of the first level that are fields of the plan as they are.
PLAIN_ENTRIES = (
    "rounds",
    "cohort",
    "uniform",
    "max_weight",
    "buffer_size",
    "sampling",
    "delta",
    "error_feedback",
    "eval_every",
    "seed",
)


@dataclass(frozen=True)
class _RunFile:
    """What a file says beside the plan's plain entries, before its names are looked up."""

    out: str = "run"
    target_epsilon: float | None = None
    data: UserDataConfig | None = None
    model: NetworkConfig | None = None
    learner: Mapping[str, Any] | None = None
    algorithm: Mapping[str, Any] = field(default_factory=lambda: {"name": "fedavg"})
    robust: Mapping[str, Any] | None = None
    work: ClientWork = field(default_factory=ClientWork)
    devices: Devices = field(default_factory=Devices)
    stages: tuple[Mapping[str, Any], ...] = ()
    download: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.out:
            raise InputError(f"out: expected the name of a folder, got {self.out!r}")
        if self.target_epsilon is not None:
            require_target(self.target_epsilon)
        if self.learner is None and self.data is None:
            raise InputError("entry 'data' is missing: expected whose examples devices have")
        if self.learner is not None and (self.data or self.model):
            raise InputError("learner: has its own data and model: leave [data] and [model] out")


@dataclass(frozen=True)
class FederatedConfig:
    """A run to be made: the arguments of ``simulate``.

    Attributes:
        out: folder of the run.
        plan: of the run.
        data: whose examples devices have; None with a learner of the user's.
        model: what devices learn.
        folder: of the configuration, in which files and functions are looked for.
        own_learner: the user's, instead of data and model.
        target_epsilon: what noise is to promise after all rounds, instead of the multiplier that
            the plan's noise has; see ``Plan.for_epsilon``, which needs to know how many devices
            there are.
    """

    out: Path
    plan: Plan
    data: UserDataConfig | None
    model: NetworkConfig
    folder: Path
    own_learner: PopulationLearner | None = None
    target_epsilon: float | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file or folder of the data, where the configuration names one."""
        if self.data is None or not self.data.path:
            return ()
        return (find(self.data.path, self.folder),)

    def learner(self) -> PopulationLearner:
        """Read the data and make the network. Raises :class:`InputError`."""
        if self.data is not None:
            return learner_of(self.data, self.model, folder=self.folder, seed=self.plan.seed)
        assert self.own_learner is not None, "read() asks for data or a learner"
        return self.own_learner


def read(path: str | os.PathLike[str]) -> FederatedConfig:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    names = [field.name for field in fields(_RunFile)]
    table = read_toml(path, known=[*names, *PLAIN_ENTRIES])
    # Taken out first: what is left is to be the fields of ``_RunFile``, and nothing else.
    plain = {name: table.pop(name) for name in PLAIN_ENTRIES if name in table}
    said = from_table(_RunFile, table, "")
    # Resolved, so that a run finds its files though the working folder changes.
    folder = Path(path).resolve().parent
    return FederatedConfig(
        out=Path(said.out),
        plan=_plan(said, plain, folder),
        data=said.data,
        model=said.model or NetworkConfig(),
        folder=folder,
        own_learner=_optional(choices.LEARNER, said.learner, "learner", folder),
        target_epsilon=said.target_epsilon,
    )


def _plan(said: _RunFile, plain: Mapping[str, Any], folder: Path) -> Plan:
    stages = []
    for number, table in enumerate(said.stages):
        stage = choices.named(choices.STAGE, table, f"stages[{number}]", folder=folder)
        stages.append(stage)
    return from_table(
        Plan,
        plain,
        "",
        algorithm=choices.named(choices.ALGORITHM, said.algorithm, "algorithm", folder=folder),
        work=said.work,
        devices=said.devices,
        stages=tuple(stages),
        download=_optional(choices.ENCODER, said.download, "download", folder),
        robust=_optional(choices.ROBUST_MEAN, said.robust, "robust", folder),
    )


def _optional(
    choice: TableChoice, table: Mapping[str, Any] | None, entry: str, folder: Path
) -> Any:
    """Return what a table within the configuration names; None without such a table."""
    if table is None:
        return None
    return choices.named(choice, table, entry, folder=folder)
