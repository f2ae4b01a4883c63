"""The large network of a family for pictures: made, checked, and traced."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves

from handheld.compress.teacher import (
    TeacherSource,
    factory_network,
    load_weights,
    refuse_probabilities,
)
from handheld.errors import InputError
from handheld.networks.structure import shape_of, trace, without_unread
from handheld.networks.zoo.pictures import PictureShape, make

_PICTURES = 2  # to try a network on: one alone would hide a mistake in its axes


def build(
    teacher: TeacherSource, shape: PictureShape, classes: int, *, seed: int, folder: Path
) -> nn.Module:
    """Return the large network with its first weights.

    Args:
        teacher: where it comes from; paths in it are relative to ``folder``.
        shape: of the pictures.
        classes: outputs (logits).
        seed: of fresh weights.
        folder: of the configuration.

    Raises:
        InputError: there is no such network or checkpoint, or it does not fit the data.
    """
    if ":" in teacher.network:
        arguments = {**shape._asdict(), "classes": classes, "num_classes": classes}
        network = factory_network(teacher.network, folder, arguments, seed)
    else:
        network = make(teacher.network, shape, classes, teacher.width, seed=seed)
    if teacher.checkpoint is not None:
        load_weights(network, folder / teacher.checkpoint, transfer=not teacher.trained)
    return check(network, shape, classes)


def check(network: nn.Module, shape: PictureShape, classes: int) -> nn.Module:
    """Return a network that takes the pictures and gives a logit for each class.

    It may give them among others, in any structure: see :func:`logits_in`.

    Raises:
        InputError: it does not, or its weights are not finite.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{name} of the network holds values that are not finite")
    answer = _answer(network, shape)
    logits = logits_in(answer, lambda value: _has_shape(value, (_PICTURES, classes)))
    if logits is None:
        output: object = type(answer).__name__
        if isinstance(answer, torch.Tensor):
            output = list(answer.shape)
        raise InputError(
            f"the network gives {output} for {_PICTURES} pictures; "
            f"the data has {classes} classes: expected {[_PICTURES, classes]}"
        )
    refuse_probabilities(logits)
    return network


def _answer(network: nn.Module, shape: PictureShape) -> Any:
    """Return what a network gives for noise, in evaluation mode; its mode stays what it was."""
    was_training = network.training
    # Always the same noise, so that a network is refused in each run or in none.
    noise = torch.randn((_PICTURES, *shape), generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            return network.eval()(noise)
    except Exception as error:  # whatever the code of a person's own module raises
        raise InputError(
            f"the network fails on pictures {list(shape)} (channels, height, width): {error}"
        ) from error
    finally:
        network.train(was_training)


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    return getattr(value, "shape", None) == shape


def logits_in(answer: Any, fits: Callable[[Any], bool]) -> Any:
    """Return the logits among what a network gives.

    They are the entry ``logits`` of a dictionary, or the only entry that fits.

    Args:
        answer: a tensor, or tuples and dictionaries of them; or of nodes of a graph in their
            place.
        fits: whether an entry has the shape of logits.

    Returns:
        The logits, or None if no entry fits, or several do.
    """
    if isinstance(answer, Mapping) and fits(answer.get("logits")):
        return answer["logits"]
    fitting = [value for value in tree_leaves(answer) if fits(value)]
    # of several, which is meant would be a guess: an auxiliary head has the same shape
    if len(fitting) != 1:
        return None
    return fitting[0]


def traced(network: nn.Module, shape: PictureShape, classes: int) -> fx.GraphModule:
    """Return a checked network as a graph that gives its logits alone.

    It can learn: one that is frozen as a whole, as a finished teacher often is, no longer is.

    Raises:
        CompileError: its structure cannot be read.
    """
    graph = trace(network, torch.zeros(_PICTURES, *shape))
    output = next(node for node in graph.graph.nodes if node.op == "output")

    def fits(value: Any) -> bool:
        return isinstance(value, fx.Node) and shape_of(value) == (_PICTURES, classes)

    logits = logits_in(output.args[0], fits)
    if logits is not None and logits is not output.args[0]:
        output.args = (logits,)
        without_unread(graph)
    return _thawed(graph)


def _thawed(network: fx.GraphModule) -> fx.GraphModule:
    """Let a copy learn in which nothing does; of others it is as the person wants."""
    parameters = list(network.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        for parameter in parameters:
            # Of whole numbers there is no gradient.
            parameter.requires_grad_(parameter.is_floating_point())
    return network
