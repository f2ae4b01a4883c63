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
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handheld.config import find, from_table
from handheld.errors import InputError
from handheld.federated import choices
from handheld.federated.choices import TableChoice
from handheld.federated.learning import ClientWork, PopulationLearner
from handheld.federated.population import NetworkConfig, UserDataConfig, learner_of
from handheld.federated.simulator import Devices, Plan
from handheld.untrusted import require_file

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
# Tables of the first level; [[stages]] is a list of them.
_TABLES = (
    "data",
    "model",
    "learner",
    "algorithm",
    "robust",
    "work",
    "devices",
    "stages",
    "download",
)
_ENTRIES = sorted(("out", "target_epsilon", *_TABLES, *PLAIN_ENTRIES))


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
        named = self.data is not None and self.data.path
        return (find(named, self.folder),) if named else ()

    def learner(self) -> PopulationLearner:
        """Read the data and make the network. Raises :class:`InputError`."""
        if self.data is not None:
            return learner_of(self.data, self.model, folder=self.folder, seed=self.plan.seed)
        assert self.own_learner is not None, "read() asks for data or a learner"
        return self.own_learner


def read(path: str | os.PathLike[str]) -> FederatedConfig:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    table = _table(path)
    folder = Path(path).resolve().parent
    has_learner = "learner" in table
    return FederatedConfig(
        out=_folder(table.get("out", "run")),
        plan=_plan(table, folder),
        data=None if has_learner else from_table(UserDataConfig, table.get("data", {}), "data"),
        model=from_table(NetworkConfig, table.get("model", {}), "model"),
        folder=folder,
        own_learner=_optional(choices.LEARNER, table, "learner", folder),
        target_epsilon=_target(table.get("target_epsilon")),
    )


def _table(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the entries of a file, of which all are known."""
    name = os.fspath(path)
    try:
        # A pipe or a device under that name would never end.
        require_file(path)
        table = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read as a configuration: {error}") from error
    unknown = sorted(table.keys() - _ENTRIES)
    if unknown:
        raise InputError(f"{name}: no entry {unknown[0]!r}; expected {', '.join(_ENTRIES)}")
    if "learner" in table and ("data" in table or "model" in table):
        raise InputError("learner: has its own data and model: leave [data] and [model] out")
    return table


def _plan(table: dict[str, Any], folder: Path) -> Plan:
    algorithm = table.get("algorithm", {"name": "fedavg"})
    tables = table.get("stages", [])
    if not isinstance(tables, list):
        raise InputError(f"stages: expected tables, got {tables!r}")
    stages = [choices.named(choices.STAGE, stage, "stages", folder=folder) for stage in tables]
    plain = {name: table[name] for name in PLAIN_ENTRIES if name in table}
    plan: Plan = from_table(
        Plan,
        plain,
        "",
        algorithm=choices.named(choices.ALGORITHM, algorithm, "algorithm", folder=folder),
        work=from_table(ClientWork, table.get("work", {}), "work"),
        devices=from_table(Devices, table.get("devices", {}), "devices"),
        stages=tuple(stages),
        download=_optional(choices.ENCODER, table, "download", folder),
        robust=_optional(choices.ROBUST_MEAN, table, "robust", folder),
    )
    return plan


def _optional(choice: TableChoice, table: dict[str, Any], entry: str, folder: Path) -> Any:
    """Return what a table within the configuration names; None without such a table."""
    if entry not in table:
        return None
    return choices.named(choice, table[entry], entry, folder=folder)


def _folder(value: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise InputError(f"out: expected the name of a folder, got {value!r}")
    return Path(value)


def _target(value: Any) -> float | None:
    if value is None:
        return None
    # TOML's true and false are whole numbers to Python.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not value > 0:
        raise InputError(f"target_epsilon: expected a number above 0, got {value!r}")
    return float(value)
