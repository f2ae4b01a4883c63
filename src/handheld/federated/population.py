"""The population that a configuration's ``[data]`` and ``[model]`` describe."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.config import factory, find
from handheld.data import load
from handheld.data.dataset import Splits
from handheld.data.users import partitions
from handheld.data.users.letters import ALPHABET, one_each, plays, windows
from handheld.data.users.partitions import Partition
from handheld.errors import InputError
from handheld.federated.choices import result_of
from handheld.federated.learning import Examples, Users
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.trainable import cross_entropy
from handheld.networks.zoo.federated import make
from handheld.ranges import in_range, whole_in_range

_LOG = logging.getLogger(__name__)
# A label of 4e9 by mistake would ask for a layer that no memory holds.
_MOST_CLASSES = 1 << 24
# Files that were left out and are named one by one: the rest is counted.
_NAMED = 10
_LETTER_READERS = {"plays": plays, "files": one_each}


@dataclass(frozen=True)
class UserDataConfig:
    """Whose examples devices have.

    Attributes:
        path: file or folder, relative to the configuration's folder or else to ``HANDHELD_DATA``:
            pictures as ``data.load`` reads them, plays, or a folder with a ``.txt`` file for each
            user.
        factory: instead of it, ``package.module:function`` that returns :class:`Users` and
            :class:`Examples` to test on.
        users: how many, where examples are dealt out.
        split: ``evenly``, ``shards``, ``dirichlet`` (each has as many examples; Hsu et al.),
            ``dirichlet_shares`` (Yurochkin et al.) or ``quantity``; ``plays`` (each role is a user)
            or ``files``.
        size: height and width that pictures of files are brought to; needed where they differ.
        grey: whether pictures of files become grey, one channel.
        channels: "first" or "last", where the channels of an array's pictures are; empty: seen by
            their numbers.
        white: the number that is white in an array's pictures; 0: seen by their type and largest
            number.
        label_column: name of the labels' column in a saved data set; empty: found by its name.
        shards_per_user: 1 or more.
        alpha: of the Dirichlet distribution.
        skew: of how many examples users have.
        length: letters of a window, for plays and files.
        classes: how many outputs a network gets; 0: one more than the largest label of devices,
            which noise does not hide.
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
    shards_per_user: int = 2
    alpha: float = 0.5
    skew: float = 1.5
    length: int = 80
    classes: int = 0

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.factory):
            raise InputError("expected either a path or a factory")
        if self.size and len(self.size) != 2:
            raise InputError(f"size: expected height and width, got {list(self.size)}")
        for number, side in enumerate(self.size):
            whole_in_range(f"size[{number}]", side, low=1)
        whole_in_range("classes", self.classes, low=0, high=_MOST_CLASSES)
        for name in ("users", "shards_per_user", "length"):
            whole_in_range(name, getattr(self, name), low=1)
        in_range("white", self.white, low=0)
        in_range("alpha", self.alpha, low=0, low_open=True)
        in_range("skew", self.skew, low=0)

    def partition(self, labels: NDArray[np.int64], seed: int) -> Partition:
        """Return how (n,) examples with these labels are dealt out to users.

        Raises:
            InputError: a split that is none of examples.
        """
        # Functions, as only one of them is called.
        deal = {
            "evenly": lambda: partitions.evenly(len(labels), self.users, seed=seed),
            "shards": lambda: partitions.by_shards(
                labels, self.users, shards_per_user=self.shards_per_user, seed=seed
            ),
            "dirichlet": lambda: partitions.by_dirichlet(
                labels, self.users, alpha=self.alpha, seed=seed
            ),
            "dirichlet_shares": lambda: partitions.by_dirichlet_shares(
                labels, self.users, alpha=self.alpha, seed=seed
            ),
            "quantity": lambda: partitions.by_quantity(
                len(labels), self.users, skew=self.skew, seed=seed
            ),
        }
        if self.split not in deal:
            expected = ", ".join(deal)
            raise InputError(f"data.split: expected {expected}, plays or files, got {self.split!r}")
        return deal[self.split]()


@dataclass(frozen=True)
class NetworkConfig:
    """What devices learn.

    Attributes:
        network: a name of ``networks.zoo.federated``, or ``package.module:factory``, called with
            the shape of an input and the number of classes (of targets that are numbers, how many
            there are).
        loss: ``package.module:function`` of outputs and targets that returns (batch,) losses; cross
            entropy if left out.
        metrics: such functions, whose means over the test's examples are figures of rounds, by
            their names.
        freeze_statistics: whether normalising layers keep the means and variances that they have.
    """

    network: str = "two_layers"
    loss: str = ""
    metrics: tuple[str, ...] = ()
    freeze_statistics: bool = False

    def module(self, shape: tuple[int, ...], classes: int, *, folder: Path, seed: int) -> nn.Module:
        """Make the network for inputs of a shape, without the batch.

        Raises:
            InputError: no such network, or one of the user's that raises, or is no module.
        """
        if ":" not in self.network:
            return make(self.network, shape, classes, seed=seed)
        make_own = factory(self.network, folder)
        with torch.random.fork_rng(devices=[]):
            # As for ours: the same command begins with the same weights, or could not go on.
            torch.manual_seed(seed)
            module = result_of(make_own, "model.network", self.network, shape, classes)
        if not isinstance(module, nn.Module):
            got = type(module).__name__
            raise InputError(f"{self.network} gives a {got}, expected a torch module")
        return module


@dataclass(frozen=True, eq=False)
class _Population:
    """Devices with their examples, those to test on, and how many outputs a network needs."""

    users: Users
    test: Examples | None
    outputs: int


def learner_of(
    data: UserDataConfig, model: NetworkConfig, *, folder: Path, seed: int
) -> ModuleLearner:
    """Read the data and make the network.

    Args:
        data: whose examples devices have.
        model: what they learn.
        folder: of the configuration, in which files and functions are looked for.
        seed: of the run; the partition, the validation split and the first weights come from it.

    Raises:
        InputError: what makes no sense, or cannot be read.
    """
    if data.factory:
        population = _from_factory(data.factory, folder)
    elif data.split in _LETTER_READERS:
        population = _letters(data, folder)
    else:
        population = _pictures(data, folder, seed)
    # Read before the network is made: its shape comes of the examples.
    users = population.users
    shape = users.examples.inputs.shape[1:]
    if users.examples.targets.dtype.kind == "f" and data.classes:
        raise InputError("data.classes: targets that are numbers are of no classes: leave it out")
    outputs = data.classes or population.outputs
    module = model.module(shape, outputs, folder=folder, seed=seed)
    loss = cross_entropy
    if model.loss:
        loss = factory(model.loss, folder)
    metrics = {}
    for name in model.metrics:
        _, _, function_name = name.partition(":")
        metrics[function_name] = factory(name, folder)
    return ModuleLearner(
        module,
        users,
        population.test,
        loss=loss,
        metrics=metrics,
        freeze_statistics=model.freeze_statistics,
    )


def _from_factory(name: str, folder: Path) -> _Population:
    result = result_of(factory(name, folder), "data.factory", name)
    users = test = None
    if isinstance(result, tuple) and len(result) == 2:
        users, test = result
    if not isinstance(users, Users) or not (test is None or isinstance(test, Examples)):
        got = type(result).__name__
        raise InputError(
            f"data.factory: {name} gives {got}, expected Users and Examples to test on (or None)"
        )
    targets = users.examples.targets
    if targets.dtype.kind == "f":
        return _Population(users, test, math.prod(targets.shape[1:]))
    # -1, which asks for nothing, is no class.
    label = int(targets.max(initial=0))
    if label >= _MOST_CLASSES:
        raise InputError(
            f"data.factory: {name} gives the label {label:,}, for which a network would need"
            " as many outputs: number classes from 0 without gaps (np.unique with return_inverse)"
        )
    return _Population(users, test, label + 1)


def _letters(data: UserDataConfig, folder: Path) -> _Population:
    read = _LETTER_READERS[data.split]
    lines = read(find(data.path, folder))
    texts = windows(lines, length=data.length)
    users = Users(Examples(texts.inputs, texts.targets), texts.partition)
    # One output more than letters: for those that the alphabet does not have.
    return _Population(users, Examples(texts.test_inputs, texts.test_targets), len(ALPHABET) + 1)


def _pictures(data: UserDataConfig, folder: Path, seed: int) -> _Population:
    size = None
    if data.size:
        height, width = data.size
        size = (height, width)
    splits = load(
        find(data.path, folder),
        size=size,
        seed=seed,
        grey=data.grey,
        channels=data.channels or None,
        white=data.white or None,
        label_column=data.label_column or None,
    )
    _warn(data.path, splits)
    if splits.train.is_text:
        raise InputError(
            f"{data.path} holds texts with labels: expected pictures, or another split"
        )
    # Devices validate nothing: those examples are learned from as well.
    labels = np.concatenate([splits.train.labels, splits.valid.labels])
    train = _channels_first(splits.train.inputs)
    valid = _channels_first(splits.valid.inputs)
    examples = Examples(np.concatenate([train, valid]), labels)
    users = Users(examples, data.partition(labels, seed))
    test_inputs = np.ascontiguousarray(_channels_first(splits.test.inputs))
    test = Examples(test_inputs, splits.test.labels)
    return _Population(users, test, len(splits.classes))


def _channels_first(pictures: object) -> NDArray[np.generic]:
    """Return (n, channels, height, width) pictures, as torch's layers take them."""
    return np.moveaxis(np.asarray(pictures), -1, 1)


def _warn(path: str, splits: Splits) -> None:
    """Log what is odd about pictures, and what was left out."""
    for note in splits.notes:
        _LOG.warning("%s: %s", path, note)
    for left_out in splits.skipped[:_NAMED]:
        _LOG.warning("%s left out: %s", left_out.name, left_out.reason)
    if len(splits.skipped) > _NAMED:
        _LOG.warning("%s: %d left out in all", path, len(splits.skipped))
