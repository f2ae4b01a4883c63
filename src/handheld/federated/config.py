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
    name = "fedavg"                      # or "package.module:Class", with its fields beside it; so for stages and encoders

    [work]
    epochs = 5
    batch = 10
    rate = 0.05

    [[stages]]
    name = "compressed"
    encoder = { name = "eden", bits = 2 }
"""

import inspect
import logging
import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from handheld.config import factory, find, from_table
from handheld.data import load
from handheld.data.users import partitions
from handheld.data.users.letters import ALPHABET, one_each, plays, windows
from handheld.errors import HandheldError, InputError
from handheld.federated import algorithms, stages, updates
from handheld.federated.learning import Examples, Learner, Users, Work, structured
from handheld.federated.learning.descent import cross_entropy
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.networks import make
from handheld.federated.own_code import said
from handheld.federated.simulator import Devices, Plan
from handheld.untrusted import require_file

ALGORITHMS = {
    each.__name__.lower(): each
    for each in (
        algorithms.FedAvg, algorithms.FedSGD, algorithms.FedProx, algorithms.FedAvgM, algorithms.FedAdam, algorithms.FedYogi,
        algorithms.Scaffold,
    )
}  # fmt: skip
ROBUST = {
    "trimmed_mean": algorithms.TrimmedMean,
    "median": algorithms.Median,
    "krum": algorithms.Krum,
}
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


@dataclass(frozen=True)
class _Choice:
    """What a table may name: classes by name, or one of the user's own with these attributes."""

    classes: Mapping[str, type[Any]]
    needed: tuple[str, ...]


_ALGORITHM = _Choice(ALGORITHMS, ("corrects", "init", "adjust", "keep", "apply"))
_ROBUST = _Choice(ROBUST, ("mean",))
_STAGE = _Choice(STAGES, ("start", "after", "on_update", "on_sum"))
_ENCODER = _Choice(ENCODERS, ("unbiased", "encode", "decode"))
_STRUCTURE = _Choice(STRUCTURES, ("subspace",))
_LEARNER = _Choice({}, ("examples", "shapes", "at_once", "start", "learn", "evaluate"))
_INNER = {"encoder": _ENCODER, "then": _ENCODER, "structure": _STRUCTURE}
_MOST_CLASSES = 1 << 24  # outputs of a network
_NAMED = 10  # files that were left out and are named one by one
_LOG = logging.getLogger(__name__)
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
        size: height and width that pictures of files are brought to; needed where they differ.
        grey: whether pictures of files become grey, one channel.
        channels: "first" or "last", where the channels of an array's pictures are; empty: seen by their numbers.
        white: the number that is white in an array's pictures; 0: seen by their type and largest number.
        label_column: name of the labels' column in a saved data set; empty: found by its name.
        each: shards of a user, 1 or more.
        alpha: of the Dirichlet distribution.
        skew: of how many examples users have.
        length: letters of a window, for plays and files.
    """

    path: str = ""
    factory: str = ""
    users: int = 100
    split: str = "evenly"
    size: tuple[int, ...] = ()
    grey: bool = False
    channels: str = ""
    white: float = 0.0
    label_column: str = ""
    each: int = 2
    alpha: float = 0.5
    skew: float = 1.5
    length: int = 80

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.factory):
            raise InputError("data: expected either a path or a factory")
        if self.size and (len(self.size) != 2 or min(self.size) < 1):
            raise InputError(
                f"data.size: expected height and width of 1 or more, got {list(self.size)}"
            )
        if self.users < 1 or self.each < 1 or self.length < 1:
            raise InputError(
                f"data: expected users, each and length of 1 or more, got {self.users}, {self.each} and {self.length}"
            )


@dataclass(frozen=True)
class Model:
    """What devices learn.

    Attributes:
        network: a name of ``federated.networks``, or ``package.module:factory``, called with the shape of an input and the
            number of classes (of targets that are numbers, how many there are).
        loss: ``package.module:function`` of outputs and targets that returns (batch,) losses; cross entropy if left out.
        metrics: such functions, whose means over the test's examples are figures of rounds, by their names.
        freeze_statistics: whether normalising layers keep the means and variances that they have.
    """

    network: str = "two_layers"
    loss: str = ""
    metrics: tuple[str, ...] = ()
    freeze_statistics: bool = False


@dataclass(frozen=True)
class Config:
    """A run to be made: the arguments of ``simulate``.

    Attributes:
        out: folder of the run.
        plan: of the run.
        data: whose examples devices have; None with a learner of the user's.
        model: what devices learn.
        folder: of the configuration, in which files and functions are looked for.
        made: the user's own learner, instead of data and model.
        target_epsilon: what noise is to promise after all rounds, instead of the multiplier that
            the plan's noise has; see ``Plan.for_epsilon``, which needs to know how many devices
            there are.
    """

    out: Path
    plan: Plan
    data: Source | None
    model: Model
    folder: Path
    made: Learner | None = None
    target_epsilon: float | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file or folder of the data, where the configuration names one."""
        named = self.data is not None and self.data.path
        return (find(named, self.folder),) if named else ()

    def learner(self) -> Learner:
        """Read the data and make the network. Raises :class:`InputError`."""
        if self.data is None:
            assert self.made is not None, "read() asks for data or a learner"
            return self.made
        if self.data.factory:
            users, test = self._from_factory(self.data.factory)
            targets = users.examples.targets
            whole = targets.dtype.kind != "f"
            classes = int(targets.max(initial=0)) + 1 if whole else math.prod(targets.shape[1:])
            if classes > _MOST_CLASSES:
                raise InputError(
                    f"data.factory: {self.data.factory} gives the label {classes - 1:,}, for which a network would need"
                    " as many outputs: number classes from 0 without gaps (np.unique with return_inverse)"
                )
        elif self.data.split in ("plays", "files"):
            users, test = self._letters(self.data)
            classes = len(ALPHABET) + 1
        else:
            users, test, classes = self._pictures(self.data)
        metrics = {
            name.partition(":")[2]: factory(name, self.folder) for name in self.model.metrics
        }
        return ModuleLearner(
            self._network(users.examples.inputs.shape[1:], classes),
            users,
            test,
            loss=factory(self.model.loss, self.folder) if self.model.loss else cross_entropy,
            metrics=metrics,
            freeze_statistics=self.model.freeze_statistics,
        )

    def _from_factory(self, name: str) -> tuple[Users, Examples | None]:
        made = _made(factory(name, self.folder), "data.factory", name)
        if isinstance(made, tuple) and len(made) == 2:
            users, test = made
            if isinstance(users, Users) and (test is None or isinstance(test, Examples)):
                return users, test
        raise InputError(
            f"data.factory: {name} gives {type(made).__name__}, expected Users and Examples to test on (or None)"
        )

    def _network(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        if ":" not in self.model.network:
            return make(self.model.network, shape, classes, seed=self.plan.seed)
        make_own = factory(self.model.network, self.folder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(
                self.plan.seed
            )  # as for ours: the same command begins with the same weights, or cannot go on
            found = _made(make_own, "model.network", self.model.network, shape, classes)
        if not isinstance(found, nn.Module):
            raise InputError(
                f"{self.model.network} gives a {type(found).__name__}, expected a torch module"
            )
        return found

    def _letters(self, data: Source) -> tuple[Users, Examples]:
        read = plays if data.split == "plays" else one_each
        found = windows(read(find(data.path, self.folder)), length=data.length)
        users = Users(Examples(found.inputs, found.targets), found.partition)
        return users, Examples(found.test_inputs, found.test_targets)

    def _pictures(self, given: Source) -> tuple[Users, Examples, int]:
        seed, count = self.plan.seed, given.users
        size = (given.size[0], given.size[1]) if given.size else None
        splits = load(
            find(given.path, self.folder),
            size=size,
            seed=seed,
            grey=given.grey,
            channels=given.channels or None,
            white=given.white or None,
            label_column=given.label_column or None,
        )
        for note in splits.notes:
            _LOG.warning("%s: %s", given.path, note)
        for left_out in splits.skipped[:_NAMED]:
            _LOG.warning("%s left out: %s", left_out.name, left_out.reason)
        if len(splits.skipped) > _NAMED:
            _LOG.warning("%s: %d left out in all", given.path, len(splits.skipped))
        if splits.train.is_text:
            raise InputError(
                f"{given.path} holds texts with labels: expected pictures, or another split"
            )
        labels = np.concatenate(
            [splits.train.labels, splits.valid.labels]
        )  # devices validate nothing
        deal = {
            "evenly": lambda: partitions.evenly(len(labels), count, seed=seed),
            "shards": lambda: partitions.by_shards(labels, count, each=given.each, seed=seed),
            "dirichlet": lambda: partitions.by_dirichlet(
                labels, count, alpha=given.alpha, seed=seed
            ),
            "dirichlet_shares": lambda: partitions.by_dirichlet_shares(
                labels, count, alpha=given.alpha, seed=seed
            ),
            "quantity": lambda: partitions.by_quantity(
                len(labels), count, skew=given.skew, seed=seed
            ),
        }
        if given.split not in deal:
            raise InputError(
                f"data.split: expected {', '.join(deal)}, plays or files, got {given.split!r}"
            )
        train, valid, test = (
            np.moveaxis(np.asarray(part.inputs), -1, 1)
            for part in (splits.train, splits.valid, splits.test)
        )
        users = Users(Examples(np.concatenate([train, valid]), labels), deal[given.split]())
        return users, Examples(np.ascontiguousarray(test), splits.test.labels), len(splits.classes)


def read(path: str | os.PathLike[str]) -> Config:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    try:
        require_file(path)
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as a configuration: {error}") from error
    known = {
        "out", "data", "model", "learner", "algorithm", "robust", "work", "devices", "stages", "download",
        "target_epsilon", *_PLAIN,
    }  # fmt: skip
    if unknown := table.keys() - known:
        raise InputError(
            f"{os.fspath(path)}: no entry {sorted(unknown)[0]!r}; expected {', '.join(sorted(known))}"
        )
    if "learner" in table and (table.keys() & {"data", "model"}):
        raise InputError("learner: has its own data and model: leave [data] and [model] out")
    folder = Path(path).resolve().parent
    named = partial(_named, folder=folder)
    values: dict[str, Any] = {name: table[name] for name in _PLAIN if name in table}
    values["algorithm"] = named(_ALGORITHM, table.get("algorithm", {"name": "fedavg"}), "algorithm")
    values["work"] = from_table(Work, table.get("work", {}), "work")
    values["devices"] = from_table(Devices, table.get("devices", {}), "devices")
    values["stages"] = tuple(
        named(_STAGE, stage, "stages") for stage in _list(table.get("stages", []))
    )
    if "download" in table:
        values["download"] = named(_ENCODER, table["download"], "download")
    if "robust" in table:
        values["robust"] = named(_ROBUST, table["robust"], "robust")
    learner = named(_LEARNER, table["learner"], "learner") if "learner" in table else None
    return Config(
        _folder(table.get("out", "run")),
        from_table(
            Plan, {name: values.pop(name) for name in _PLAIN if name in values}, "", **values
        ),
        None if learner is not None else from_table(Source, table.get("data", {}), "data"),
        from_table(Model, table.get("model", {}), "model"),
        folder,
        learner,
        _target(table.get("target_epsilon")),
    )


def _folder(value: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise InputError(f"out: expected the name of a folder, got {value!r}")
    return Path(value)


def _target(value: Any) -> float | None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not value > 0
    ):
        raise InputError(f"target_epsilon: expected a number above 0, got {value!r}")
    return None if value is None else float(value)


def _named(choice: _Choice, table: Any, where: str, *, folder: Path) -> Any:
    """Build what a table names, such as ``{name = "eden", bits = 2}``; encoders and structures in it are tables likewise."""
    name = str(table.get("name")) if isinstance(table, dict) else ""
    of_user = ":" in name
    if not of_user and name not in choice.classes:
        names = ", ".join([*choice.classes, "package.module:Class"])
        raise InputError(f"{where}: expected a table with a name of {names}, got {table!r}")
    made = factory(name, folder) if of_user else choice.classes[name]
    inner = {
        key: _named(_INNER[key], value, f"{where}.{key}", folder=folder)
        for key, value in table.items()
        if key in _INNER
    }
    plain = {key: value for key, value in table.items() if key != "name" and key not in inner}
    if isinstance(made, type) and _is_made_from_fields(made):
        value = _made(partial(from_table, made, plain, where, **inner), where, name)
    else:
        value = _made(partial(_called, made, {**plain, **inner}, f"{where}: {name}"), where, name)
    if missing := [attribute for attribute in choice.needed if not hasattr(value, attribute)]:
        raise InputError(
            f"{where}: {name} has no {missing[0]!r}; expected {', '.join(choice.needed)}"
        )
    return value


def _made(make: Callable[..., Any], where: str, name: str, *values: Any) -> Any:
    """Return what a user's class or function makes. Raises :class:`InputError` with its name where it raises."""
    try:
        return make(*values)
    except (HandheldError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{where}: {name} raises {said(error)}") from error


def _is_made_from_fields(made: type[Any]) -> bool:
    """Whether a class's ``__init__`` is its dataclass's: a subclass may have written one."""
    if not is_dataclass(made):
        return False
    owner = next(one for one in made.__mro__ if "__init__" in vars(one))
    return "__dataclass_fields__" in vars(owner)


def _called(made: Callable[..., Any], values: Mapping[str, Any], where: str) -> Any:
    try:
        inspect.signature(made).bind(**values)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from error
    return made(**values)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"stages: expected tables, got {value!r}")
    return value
