"""Where the large network comes from: a name of ours, a factory of the user's, a checkpoint, or a file that is only read."""

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from handheld.compress.networks import NETWORKS, PictureShape, make
from handheld.compress.state import load_state
from handheld.compress.training.distil import last_linear
from handheld.compress.training.pictures import resized
from handheld.engine import Model
from handheld.errors import InputError, MissingDependencyError

Answerer = Callable[[torch.Tensor], torch.Tensor]


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
    """

    network: str = "residual"
    width: int = 32
    checkpoint: str | None = None
    trained: bool = False
    file: str | None = None

    def __post_init__(self) -> None:
        if self.trained and self.checkpoint is None:
            raise InputError("trained = true needs a checkpoint: a network with fresh weights can teach nothing")


def build(teacher: Teacher, shape: PictureShape, classes: int, *, seed: int, folder: Path) -> nn.Module:
    """Return the large network with its first weights. Paths are relative to ``folder``; raises :class:`InputError`."""
    if ":" in teacher.network:
        network = _from_factory(teacher.network, shape, classes, seed)
    else:
        network = make(teacher.network, shape, classes, teacher.width, seed=seed)
    if teacher.checkpoint is not None:
        load_weights(network, folder / teacher.checkpoint, transfer=not teacher.trained)
    return check(network, shape, classes)


def check(network: nn.Module, shape: PictureShape, classes: int) -> nn.Module:
    """Return a network that takes the pictures and gives a logit for each class. Raises :class:`InputError` otherwise."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{name} of the network holds values that are not finite")
    was = network.training
    try:
        with torch.inference_mode():
            given = network.eval()(torch.zeros(2, *shape))
    except Exception as error:
        raise InputError(f"the network fails on pictures {list(shape)} (channels, height, width): {error}") from error
    if not isinstance(given, torch.Tensor) or given.shape != (2, classes):
        what = list(given.shape) if isinstance(given, torch.Tensor) else type(given).__name__
        raise InputError(f"the network gives {what} for 2 pictures; the data has {classes} classes: expected [2, {classes}]")
    return network.train(was)


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
        head = next(name for name, layer in network.named_modules() if layer is last_linear(network))
        weights = {
            key: value for key, value in weights.items()
            if not (key.rpartition(".")[0] == head and key in ours and ours[key].shape != value.shape)
        }  # fmt: skip
        weights |= {key: value for key, value in ours.items() if key.rpartition(".")[0] == head and key not in weights}
    wrong = [key for key in ours if key not in weights or weights[key].shape != ours[key].shape]
    if wrong or weights.keys() - ours.keys():
        key = next(iter(wrong or weights.keys() - ours.keys()))
        there, here = (list(state[key].shape) if key in state else "none" for state in (weights, ours))
        raise InputError(f"{path} does not fit the network: {key} is {there} in the file, {here} in the network")
    network.load_state_dict(weights)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"no checkpoint {path}")
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise MissingDependencyError("safetensors", "train", "reading a checkpoint") from error
        try:
            return load_file(path)
        except Exception as error:
            raise InputError(f"{path} is no safetensors file: {error}") from error
    state: Mapping[str, Any] = load_state(path)
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: expected a state dictionary of tensors by name")
    return dict(state)


def _from_factory(name: str, shape: PictureShape, classes: int, seed: int) -> nn.Module:
    import inspect

    module, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"no factory {name!r} ({error}): expected package.module:factory, or {', '.join(NETWORKS)}") from error
    known = {
        "channels": shape.channels,
        "height": shape.height,
        "width": shape.width,
        "classes": classes,
        "num_classes": classes,
    }
    taken = {key: known[key] for key in inspect.signature(factory).parameters if key in known}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = factory(**taken)
    if not isinstance(network, nn.Module):
        raise InputError(f"{name} gives a {type(network).__name__}, expected a torch module")
    return network


def read_only(path: str | os.PathLike[str], classes: int) -> Answerer:
    """Return a function from inputs (n, channels, height, width) to the logits of a model file, one picture at a time.

    Probabilities are turned into logits. Raises :class:`InputError` for a file that gives no number for each class.
    """
    run, side = _onnx(path) if Path(path).suffix == ".onnx" else _tflite(path)

    def answer(inputs: torch.Tensor) -> torch.Tensor:
        pictures = (resized(inputs, side) if side else inputs).cpu().float().numpy()
        given = np.concatenate([np.asarray(run(one[None]), np.float32).reshape(1, -1) for one in pictures])
        if given.shape[1] != classes:
            raise InputError(f"{os.fspath(path)} gives {given.shape[1]} values, the data has {classes} classes")
        if (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=0.05):
            given = np.log(np.maximum(given, 1e-4))
        return torch.from_numpy(given).to(inputs.device)

    return answer


def _tflite(path: str | os.PathLike[str]) -> tuple[Callable[[Any], Any], int]:
    model = Model.open(path)
    info = model.inputs[0]
    if len(model.inputs) != 1 or len(info.shape) != 4:
        raise InputError(f"{os.fspath(path)}: expected one picture input, got {', '.join(map(str, model.inputs))}")

    def run(picture: Any) -> Any:
        stored = info.to_stored(np.ascontiguousarray(np.moveaxis(picture, 1, -1)))
        return model.outputs[0].to_real(model.run(stored)[0])

    return run, min(info.shape[1:3])


def _onnx(path: str | os.PathLike[str]) -> tuple[Callable[[Any], Any], int]:
    from handheld.engine.onnx import open_onnx

    return open_onnx(path)
