"""Where the large network comes from: a name of ours, a factory of the user's, a checkpoint, or a file that is only read."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves

from handheld.compress.training.features import last_linear
from handheld.config import factory
from handheld.errors import InputError, MissingDependencyError
from handheld.networks.structure import shape_of, trace, without_unread
from handheld.networks.zoo.pictures import PictureShape, make
from handheld.training import load_state


@dataclass(frozen=True)
class Teacher:
    """The large network of a family.

    Attributes:
        network: a name of this package's networks, or ``package.module:factory``; the factory is called with channels, height,
            width and classes by those names, as far as it takes them.
        width: channels of the first layer of a network of this package.
        checkpoint: weights to begin with: safetensors, or a state dictionary that holds tensors only. A last layer for other
            classes is replaced, so that the rest is transferred to the new data.
        trained: the checkpoint is the teacher as it should be; it is not trained along.
        file: a ``.tflite`` or ``.onnx`` model that is only read, whose answers the large network and all members learn from.
        mean: of the pictures, in 0 to 1, as that file was trained, one number or one for each channel; where it is not given,
            what the file's card says, or else that of the data.
        std: likewise. A file that takes values of 0 to 255 has mean 0 and std 1/255.
        classes: of the file's values those that are the data's classes, in the order of the data's: numbers from 0, or names
            where the file's card has labels; empty: all of them, or, where the card has the data's names, those.
        isolated: that file is a stranger's: it runs in a process of its own even where its latency is taken, which then has a
            pipe in it. Otherwise an ``.onnx`` file, for which no rule vouches, runs apart everywhere but there, and a
            ``.tflite`` file where :meth:`handheld.engine.Model.open` finds doubts.
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
        if self.trained and self.checkpoint is None:
            raise InputError(
                "trained = true needs a checkpoint: a network with fresh weights can teach nothing"
            )
        if bool(self.mean) != bool(self.std) or not all(value > 0 for value in self.std):
            raise InputError(
                f"expected both mean and std, and std above 0, got mean {list(self.mean)}, std {list(self.std)}"
            )
        if (self.mean or self.classes or self.isolated) and self.file is None:
            raise InputError(
                "mean, std, classes and isolated are those of a teacher's file; no file is given"
            )

    @property
    def record(self) -> dict[str, Any]:
        """What a family depends on, by name: what was not said is left out, so that its folder outlives new options."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value != () and name != "isolated"
        }


def build(
    teacher: Teacher, shape: PictureShape, classes: int, *, seed: int, folder: Path
) -> nn.Module:
    """Return the large network with its first weights. Paths are relative to ``folder``; raises :class:`InputError`."""
    if ":" in teacher.network:
        network = _made_by(factory(teacher.network, folder), teacher.network, shape, classes, seed)
    else:
        network = make(teacher.network, shape, classes, teacher.width, seed=seed)
    if teacher.checkpoint is not None:
        load_weights(network, folder / teacher.checkpoint, transfer=not teacher.trained)
    return check(network, shape, classes)


def check(network: nn.Module, shape: PictureShape, classes: int) -> nn.Module:
    """Return a network that takes the pictures and gives a logit for each class. Raises :class:`InputError` otherwise.

    It may give them among others, in any structure: see :func:`logits_in`.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{name} of the network holds values that are not finite")
    was = network.training
    pictures = torch.randn((2, *shape), generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            given = network.eval()(pictures)
    except Exception as error:
        raise InputError(
            f"the network fails on pictures {list(shape)} (channels, height, width): {error}"
        ) from error
    logits = logits_in(given, lambda one: getattr(one, "shape", None) == (2, classes))
    if logits is None:
        what = list(given.shape) if isinstance(given, torch.Tensor) else type(given).__name__
        raise InputError(
            f"the network gives {what} for 2 pictures; the data has {classes} classes: expected [2, {classes}]"
        )
    refuse_probabilities(logits)
    return network.train(was)


def logits_in(given: Any, fits: Callable[[Any], bool]) -> Any:
    """Return the logits among what a network gives: the entry ``logits`` of a dictionary, or the only one that fits.

    Args:
        given: a tensor, or tuples and dictionaries of them; or of nodes of a graph in their place.
        fits: whether one has the shape of logits.

    Returns:
        The logits, or None if no entry fits, or several do.
    """
    if isinstance(given, Mapping) and fits(given.get("logits")):
        return given["logits"]
    fitting = [one for one in tree_leaves(given) if fits(one)]
    return fitting[0] if len(fitting) == 1 else None


def traced(network: nn.Module, shape: PictureShape, classes: int) -> fx.GraphModule:
    """Return a checked network as a graph that gives its logits alone. Raises :class:`CompileError`."""
    graph = trace(network, torch.zeros(2, *shape))
    output = next(node for node in graph.graph.nodes if node.op == "output")
    logits = logits_in(
        output.args[0], lambda one: isinstance(one, fx.Node) and shape_of(one) == (2, classes)
    )
    if logits is not None and logits is not output.args[0]:
        output.args = (logits,)
        without_unread(graph)
    return graph


def refuse_probabilities(given: torch.Tensor) -> None:
    """See that a network gives logits. Raises :class:`InputError` for what a softmax gave, (n, classes)."""
    sums = given.float().sum(dim=1)
    if (given >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise InputError(
            "the network gives probabilities, which are 0 or more and add up to 1: expected logits; leave out its last softmax"
        )


def load_weights(network: nn.Module, path: Path, *, transfer: bool = False) -> None:
    """Fill a network with the weights of a file.

    Args:
        network: filled in place.
        path: ``.safetensors``, or what ``torch.save`` made of a state dictionary; nothing in it is run.
        transfer: leave the last linear layer fresh if the file's has another shape.
    """
    weights = _read(path)
    ours = network.state_dict()
    if transfer:
        head = next(
            name for name, layer in network.named_modules() if layer is last_linear(network)
        )
        weights = {
            key: value for key, value in weights.items()
            if not (key.rpartition(".")[0] == head and key in ours and ours[key].shape != value.shape)
        }  # fmt: skip
        weights |= {
            key: value
            for key, value in ours.items()
            if key.rpartition(".")[0] == head and key not in weights
        }
    wrong = [key for key in ours if key not in weights or weights[key].shape != ours[key].shape]
    if wrong or weights.keys() - ours.keys():
        key = next(iter(wrong or weights.keys() - ours.keys()))
        there, here = (
            list(state[key].shape) if key in state else "none" for state in (weights, ours)
        )
        raise InputError(
            f"{path} does not fit the network: {key} is {there} in the file, {here} in the network"
        )
    network.load_state_dict(weights)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"no checkpoint {path}")
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise MissingDependencyError("safetensors", "torch", "reading a checkpoint") from error
        try:
            return load_file(path)
        except Exception as error:
            raise InputError(f"{path} is no safetensors file: {error}") from error
    state: Mapping[str, Any] = load_state(path)
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: expected a state dictionary of tensors by name")
    return dict(state)


def _made_by(
    make: Callable[..., Any], name: str, shape: PictureShape, classes: int, seed: int
) -> nn.Module:
    known = {
        "channels": shape.channels,
        "height": shape.height,
        "width": shape.width,
        "classes": classes,
        "num_classes": classes,
    }
    taken = {key: known[key] for key in inspect.signature(make).parameters if key in known}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make(**taken)
    if not isinstance(network, nn.Module):
        raise InputError(f"{name} gives a {type(network).__name__}, expected a torch module")
    return network
