"""A federated run from a TOML file.

Example::

    out = "runs/fashion"
    rounds = 100
    cohort = 10

    [data]
    path = "images/fashion_mnist.npz"    # relative to this file, or else to HANDHELD_DATA
    users = 100
    split = "shards"                     # evenly, shards, dirichlet, dirichlet_shares, quantity;
                                         # plays, files: by who wrote it

    [model]
    network = "convolutional"            # or "package.module:factory"

    [algorithm]
    name = "fedavg"

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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from handheld.config import factory, find, from_table
from handheld.data import load, partitions
from handheld.data.letters import ALPHABET, one_each, plays, windows
from handheld.errors import InputError
from handheld.federated import algorithms, stages, updates
from handheld.federated.learning import Examples, Users, Work, structured
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.networks import make
from handheld.federated.simulator import Devices, Plan

ALGORITHMS = {
    each.__name__.lower(): each
    for each in (
        algorithms.FedAvg, algorithms.FedSGD, algorithms.FedProx, algorithms.FedAvgM, algorithms.FedAdam, algorithms.FedYogi,
        algorithms.Scaffold,
    )
}  # fmt: skip
ROBUST = {"trimmed_mean": algorithms.TrimmedMean, "median": algorithms.Median, "krum": algorithms.Krum}
STAGES = {
    "clip": stages.Clip, "adaptive_clip": stages.AdaptiveClip, "central_noise": stages.CentralNoise,
    "local_noise": stages.LocalNoise, "tree_noise": stages.TreeNoise, "compressed": stages.Compressed,
    "structured": stages.Structured, "whole_numbers": stages.WholeNumbers,
}  # fmt: skip
ENCODERS = {
    "eden": updates.Eden, "stochastic": updates.Stochastic, "subsample": updates.Subsample, "largest": updates.Largest,
    "coded": updates.Coded, "whole": updates.Whole,
}  # fmt: skip
STRUCTURES = {"random_mask": structured.RandomMask, "low_rank": structured.LowRank}
_INNER: Mapping[str, Mapping[str, type[Any]]] = {"encoder": ENCODERS, "then": ENCODERS, "structure": STRUCTURES}
_PLAIN = (
    "rounds", "cohort", "uniform", "heaviest", "buffer", "sampling", "delta", "feedback",
    "judge_every", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Whose examples devices have.

    Attributes:
        path: file or folder, relative to the configuration's folder or else to ``HANDHELD_DATA``: pictures as ``data.load``
            reads them, plays, or a folder with a ``.txt`` file for each user.
        factory: instead of it, ``package.module:function`` that returns :class:`Users` and :class:`Examples` to test on.
        users: how many, where examples are dealt out.
        split: ``evenly``, ``shards``, ``dirichlet`` (each has as many examples; Hsu et al.),
            ``dirichlet_shares`` (Yurochkin et al.) or ``quantity``; ``plays`` (each role is a user)
            or ``files``.
        each: shards of a user.
        alpha: of the Dirichlet distribution.
        skew: of how many examples users have.
        length: letters of a window, for plays and files.
    """

    path: str = ""
    factory: str = ""
    users: int = 100
    split: str = "evenly"
    each: int = 2
    alpha: float = 0.5
    skew: float = 1.5
    length: int = 80

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.factory):
            raise InputError("data: expected either a path or a factory")


@dataclass(frozen=True)
class Model:
    """What devices learn.

    Attributes:
        network: a name of ``federated.networks``, or ``package.module:factory``, called with the shape of an input and the
            number of classes.
    """

    network: str = "two_layers"


@dataclass(frozen=True)
class Config:
    """A run to be made: the arguments of ``simulate``.

    Attributes:
        out: folder of the run.
        plan: of the run.
        data: whose examples devices have.
        model: what they learn.
        folder: of the configuration, in which files and functions are looked for.
        target_epsilon: what noise is to promise after all rounds, instead of the multiplier that
            the plan's noise has; see ``Plan.for_epsilon``, which needs to know how many devices
            there are.
    """

    out: Path
    plan: Plan
    data: Source
    model: Model
    folder: Path
    target_epsilon: float | None = None

    def learner(self) -> ModuleLearner:
        """Read the data and make the network. Raises :class:`InputError`."""
        if self.data.factory:
            users, test = factory(self.data.factory, self.folder)()
            classes = int(users.examples.targets.max()) + 1
        elif self.data.split in ("plays", "files"):
            users, test = self._letters()
            classes = len(ALPHABET) + 1
        else:
            users, test, classes = self._pictures()
        return ModuleLearner(self._network(users.examples.inputs.shape[1:], classes), users, test)

    def _network(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        if ":" not in self.model.network:
            return make(self.model.network, shape, classes, seed=self.plan.seed)
        found = factory(self.model.network, self.folder)(shape, classes)
        if not isinstance(found, nn.Module):
            raise InputError(f"{self.model.network} gives a {type(found).__name__}, expected a torch module")
        return found

    def _letters(self) -> tuple[Users, Examples]:
        read = plays if self.data.split == "plays" else one_each
        found = windows(read(find(self.data.path, self.folder)), length=self.data.length)
        users = Users(Examples(found.inputs, found.targets), found.partition)
        return users, Examples(found.test_inputs, found.test_targets)

    def _pictures(self) -> tuple[Users, Examples, int]:
        given, seed, count = self.data, self.plan.seed, self.data.users
        splits = load(find(given.path, self.folder), seed=seed)
        if splits.train.is_text:
            raise InputError(f"{given.path} holds texts with labels: expected pictures, or another split")
        labels = np.concatenate([splits.train.labels, splits.valid.labels])  # devices validate nothing
        deal = {
            "evenly": lambda: partitions.evenly(len(labels), count, seed=seed),
            "shards": lambda: partitions.by_shards(labels, count, each=given.each, seed=seed),
            "dirichlet": lambda: partitions.by_dirichlet(labels, count, alpha=given.alpha, seed=seed),
            "dirichlet_shares": lambda: partitions.by_dirichlet_shares(labels, count, alpha=given.alpha, seed=seed),
            "quantity": lambda: partitions.by_quantity(len(labels), count, skew=given.skew, seed=seed),
        }
        if given.split not in deal:
            raise InputError(f"data.split: expected {', '.join(deal)}, plays or files, got {given.split!r}")
        train, valid, test = (np.moveaxis(np.asarray(part.inputs), -1, 1) for part in (splits.train, splits.valid, splits.test))
        users = Users(Examples(np.concatenate([train, valid]), labels), deal[given.split]())
        return users, Examples(np.ascontiguousarray(test), splits.test.labels), len(splits.classes)


def read(path: str | os.PathLike[str]) -> Config:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    try:
        table = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as a configuration: {error}") from error
    known = {"out", "data", "model", "algorithm", "robust", "work", "devices", "stages", "download", "target_epsilon", *_PLAIN}
    if unknown := table.keys() - known:
        raise InputError(f"{os.fspath(path)}: no entry {sorted(unknown)[0]!r}; expected {', '.join(sorted(known))}")
    values: dict[str, Any] = {name: table[name] for name in _PLAIN if name in table}
    values["algorithm"] = _named(ALGORITHMS, table.get("algorithm", {"name": "fedavg"}), "algorithm")
    values["work"] = from_table(Work, table.get("work", {}), "work")
    values["devices"] = from_table(Devices, table.get("devices", {}), "devices")
    values["stages"] = tuple(_named(STAGES, each, "stages") for each in _list(table.get("stages", [])))
    if "download" in table:
        values["download"] = _named(ENCODERS, table["download"], "download")
    if "robust" in table:
        values["robust"] = _named(ROBUST, table["robust"], "robust")
    return Config(
        Path(str(table.get("out", "run"))),
        from_table(Plan, {name: values.pop(name) for name in _PLAIN if name in values}, "", **values),
        from_table(Source, table.get("data", {}), "data"),
        from_table(Model, table.get("model", {}), "model"),
        Path(path).resolve().parent,
        _target(table.get("target_epsilon")),
    )


def _target(value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise InputError(f"target_epsilon: expected a number above 0, got {value!r}")
    return None if value is None else float(value)


def _named(kinds: Mapping[str, type[Any]], table: Any, where: str) -> Any:
    """Build what a table names, such as ``{name = "eden", bits = 2}``; encoders and structures in it are tables likewise."""
    if not isinstance(table, dict) or table.get("name") not in kinds:
        raise InputError(f"{where}: expected a table with a name of {', '.join(kinds)}, got {table!r}")
    kind = kinds[table["name"]]
    inner = {key: _named(_INNER[key], value, f"{where}.{key}") for key, value in table.items() if key in _INNER}
    return from_table(kind, {key: value for key, value in table.items() if key != "name" and key not in inner}, where, **inner)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"stages: expected tables, got {value!r}")
    return value
