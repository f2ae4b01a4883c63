"""Where the large network comes from: a name of ours, a factory, a checkpoint, or a file."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.compress.chance import is_no_guess
from handheld.config import factory
from handheld.errors import InputError, MissingDependencyError
from handheld.networks.structure.layers import last_linear
from handheld.ranges import in_range, whole_in_range
from handheld.reports import percent
from handheld.training import load_state

_SUM_TOLERANCE = 1e-3  # of probabilities in float16, which add up to 1 no better


@dataclass(frozen=True)
class TeacherSource:
    """The large network of a family.

    Attributes:
        network: a name of this package's networks, or ``package.module:factory``; the factory is
            called with channels, height, width and classes by those names, as far as it takes
            them.
        width: channels of the first layer of a network of this package.
        checkpoint: weights to begin with: safetensors, or a state dictionary that holds tensors
            only. A last layer for other classes is replaced, so that the rest is transferred to
            the new data.
        trained: the checkpoint is the teacher as it should be; it is not trained along.
        file: a ``.tflite`` or ``.onnx`` model that is only read, whose answers the large network
            and all members learn from.
        mean: of the pictures, in [0, 1], as that file was trained, one number or one for each
            channel; where it is not given, what the file's card says, or else that of the data.
        std: likewise, above 0. A file that takes values in [0, 255] has mean 0 and std 1/255.
        classes: of the file's values those that are the data's classes, in the order of the
            data's: numbers from 0, or names where the file's card has labels; empty: all of them,
            or, where the card has the data's names, those.
        isolated: that file is a stranger's: it runs in a process of its own even where its latency
            is taken, which then has a pipe in it. Otherwise an ``.onnx`` file, for which no rule
            vouches, runs apart everywhere but there, and a ``.tflite`` file where
            :meth:`handheld.engine.Model.open` finds doubts.
    """

    network: str = "residual"
    width: int = 32
    checkpoint: str | None = None
    trained: bool = False
    file: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    classes: tuple[int | str, ...] = ()
    isolated: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.network, str):
            raise InputError(f"network: expected a name, got {self.network!r}")
        whole_in_range("width", self.width, low=1)
        self._require_norm()
        if self.trained and self.checkpoint is None:
            raise InputError(
                "trained = true needs a checkpoint: a network with fresh weights can teach nothing"
            )
        if (self.mean or self.classes or self.isolated) and self.file is None:
            raise InputError(
                "mean, std, classes and isolated are those of a teacher's file; no file is given"
            )

    def _require_norm(self) -> None:
        """See that mean and std are both there or neither, and in their ranges."""
        for number, mean in enumerate(self.mean):
            in_range(f"mean[{number}]", mean, low=0, high=1)
        for number, std in enumerate(self.std):
            in_range(f"std[{number}]", std, low=0, low_open=True)
        # one of them alone would be completed by that of other data
        if bool(self.mean) != bool(self.std):
            raise InputError(
                f"expected both mean and std, got mean {list(self.mean)}, std {list(self.std)}"
            )

    @classmethod
    def of(cls, model: "nn.Module | TeacherSource") -> "TeacherSource":
        """Return where a teacher comes from; a module that a person made goes by its class."""
        if isinstance(model, TeacherSource):
            return model
        return cls(network=type(model).__qualname__)

    @property
    def record(self) -> dict[str, Any]:
        """What a family depends on, by name.

        What was not said is left out, so that its folder outlives new options.
        """
        values = asdict(self)
        # In which process a file runs changes nothing of what it answers.
        del values["isolated"]
        return {name: value for name, value in values.items() if value != ()}


class TeacherWarning(UserWarning):
    """A teacher is hardly better than a guess, or answers better with another mean and std."""


def guess_notes(name: str, right: int, labels: NDArray[np.int64]) -> list[str]:
    """Say that a teacher answers hardly more than a guess, if that is so.

    Args:
        name: of its file or network.
        right: number of examples that it answers right.
        labels: (examples,) of all of them.
    """
    if is_no_guess(right, labels):
        return []
    share = percent(right / len(labels), 1)
    return [
        f"the teacher {name} answers {share} of {len(labels)} validation examples right, "
        "hardly more than a guess: members will learn that from it"
    ]


def warn(notes: Sequence[str]) -> None:
    """Warn of each note, as a :class:`TeacherWarning`."""
    for note in notes:
        warnings.warn(note, TeacherWarning, stacklevel=3)


def refuse_probabilities(logits: torch.Tensor) -> None:
    """See that a network gives logits, (n, classes). Raises :class:`InputError` for a softmax's."""
    sums = logits.float().sum(dim=1)
    # where nearly all networks that give logits end
    if not (logits >= 0).all():
        return
    if torch.allclose(sums, torch.ones_like(sums), atol=_SUM_TOLERANCE):
        raise InputError(
            "the network gives probabilities, which are 0 or more and add up to 1: "
            "expected logits; leave out its last softmax"
        )


def factory_network(name: str, folder: Path, arguments: Mapping[str, int], seed: int) -> nn.Module:
    """Return the network that a person's factory makes, with fresh weights.

    Args:
        name: ``package.module:factory``.
        folder: that the module is also looked for in.
        arguments: by name, of which the factory is given those that it takes.
        seed: of the weights.

    Raises:
        InputError: there is no such factory, or it gives no torch module.
    """
    make = factory(name, folder)
    parameters = inspect.signature(make).parameters
    chosen = {key: value for key, value in arguments.items() if key in parameters}
    # the caller's random numbers go on as if none had been drawn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make(**chosen)
    if not isinstance(network, nn.Module):
        raise InputError(f"{name} gives a {type(network).__name__}, expected a torch module")
    return network


def load_weights(network: nn.Module, path: Path, *, transfer: bool = False) -> None:
    """Fill a network with the weights of a file.

    Args:
        network: filled in place.
        path: ``.safetensors``, or what ``torch.save`` made of a state dictionary; nothing in it is
            run.
        transfer: leave the last linear layer fresh if the file's has another shape.

    Raises:
        InputError: the file cannot be read, or is not of this network.
        MissingDependencyError: safetensors is not installed.
    """
    weights = _read(path)
    fresh = network.state_dict()
    if transfer:
        _keep_head(network, fresh, weights)
    # in both, so that what the file has too much is named as well as what it lacks
    for name in (*fresh, *weights):
        shapes = [_shape_text(state, name) for state in (weights, fresh)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{path} does not fit the network: {name} is {shapes[0]} in the file, "
                f"{shapes[1]} in the network"
            )
    network.load_state_dict(weights)


def _keep_head(
    network: nn.Module, fresh: Mapping[str, torch.Tensor], weights: dict[str, torch.Tensor]
) -> None:
    """Put the fresh values of the last layer among the weights of a file for other classes."""
    head = last_linear(network)
    (owner,) = (name for name, layer in network.named_modules() if layer is head)
    for name, value in fresh.items():
        is_of_head = name.rpartition(".")[0] == owner
        if is_of_head and (name not in weights or weights[name].shape != value.shape):
            weights[name] = value


def _shape_text(state: Mapping[str, torch.Tensor], name: str) -> str:
    if name not in state:
        return "none"
    return str(list(state[name].shape))


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"no checkpoint {path}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    # a state dictionary alone: a checkpoint of a whole training holds one among other things
    state = load_state(path)
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: expected a state dictionary of tensors by name")
    return state


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingDependencyError("safetensors", "torch", "reading a checkpoint") from error
    try:
        return load_file(path)
    except Exception as error:  # its own class is private to its native part
        raise InputError(f"{path} is no safetensors file: {error}") from error
