"""Where the large network comes from: a name of ours, a factory of the user's, a checkpoint, or a file that is only read."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.compress.networks import PictureShape, make
from handheld.compress.training.features import last_linear
from handheld.compress.training.pictures import Preparation, resized
from handheld.config import factory
from handheld.engine import Model
from handheld.engine.classify import ImageCard
from handheld.errors import InputError, MissingDependencyError
from handheld.training import load_state

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
        mean: of the pictures, in 0 to 1, as that file was trained, one number or one for each channel; where it is not given,
            what the file's card says, or else that of the data.
        std: likewise. A file that takes values of 0 to 255 has mean 0 and std 1/255.
    """

    network: str = "residual"
    width: int = 32
    checkpoint: str | None = None
    trained: bool = False
    file: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.trained and self.checkpoint is None:
            raise InputError("trained = true needs a checkpoint: a network with fresh weights can teach nothing")
        if bool(self.mean) != bool(self.std) or not all(value > 0 for value in self.std):
            raise InputError(f"expected both mean and std, and std above 0, got mean {list(self.mean)}, std {list(self.std)}")
        if self.mean and self.file is None:
            raise InputError("mean and std are those of a teacher's file; no file is given")


def build(teacher: Teacher, shape: PictureShape, classes: int, *, seed: int, folder: Path) -> nn.Module:
    """Return the large network with its first weights. Paths are relative to ``folder``; raises :class:`InputError`."""
    if ":" in teacher.network:
        network = _made_by(factory(teacher.network, folder), teacher.network, shape, classes, seed)
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
            raise MissingDependencyError("safetensors", "torch", "reading a checkpoint") from error
        try:
            return load_file(path)
        except Exception as error:
            raise InputError(f"{path} is no safetensors file: {error}") from error
    state: Mapping[str, Any] = load_state(path)
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: expected a state dictionary of tensors by name")
    return dict(state)


def _made_by(make: Callable[..., Any], name: str, shape: PictureShape, classes: int, seed: int) -> nn.Module:
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


class ReadOnly:
    """Gives the logits of a model file for inputs (n, channels, height, width), one picture at a time.

    Probabilities are turned into logits. It can be pickled; the file is opened again where it arrives.

    Args:
        path: a ``.tflite`` or ``.onnx`` file.
        classes: of the data.
        preparation: of the inputs.
        mean: that the file expects, in 0 to 1; empty: what its card says, or else that of the preparation.
        std: likewise.

    Raises:
        InputError: the file gives another number of values, or takes no picture.
        ModelError: it cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        classes: int,
        preparation: Preparation,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
    ):
        self._made_of = path, classes, preparation, mean, std
        self.path, self.classes = os.fspath(path), classes
        self._run, self._side, said = _onnx(path) if Path(path).suffix == ".onnx" else _tflite(path)
        theirs = (mean, std) if mean else said or (preparation.mean, preparation.std)
        ours = preparation.mean, preparation.std
        if any(len(value) not in (1, preparation.shape.channels) for value in theirs):
            raise InputError(f"{self.path}: mean and std have {len(theirs[0])} numbers, pictures {preparation.shape.channels}")
        self._scale, self._shift = _rescaling(ours, theirs)
        black = np.zeros((1, *preparation.shape[1:], preparation.shape.channels), np.uint8)
        self(preparation.inputs(black))  # what does not fit is told now, and not after an hour

    def __reduce__(self) -> tuple[type["ReadOnly"], tuple[Any, ...]]:
        return ReadOnly, self._made_of

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes)."""
        sized = resized(inputs, self._side) if self._side else inputs
        pictures = sized.cpu().float().numpy() * self._scale + self._shift
        given = np.concatenate([np.asarray(self._run(one[None]), np.float32).reshape(1, -1) for one in pictures])
        if given.shape[1] != self.classes:
            raise InputError(f"{self.path} gives {given.shape[1]} values, the data has {self.classes} classes")
        if (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=0.05):
            given = np.log(np.maximum(given, 1e-4))
        return torch.from_numpy(given).to(inputs.device)


_Norm = tuple[tuple[float, ...], tuple[float, ...]]
_Opened = tuple[Callable[[Any], Any], int, _Norm | None]


def _rescaling(ours: _Norm, theirs: _Norm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what to multiply with and to add, (channels, 1, 1), to come from one normalisation to another."""
    if ours == theirs:
        return np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32)
    mean, std, other, spread = (np.asarray(numbers, np.float64)[:, None, None] for numbers in (*ours, *theirs))
    return (std / spread).astype(np.float32), ((mean - other) / spread).astype(np.float32)


def _tflite(path: str | os.PathLike[str]) -> _Opened:
    model = Model.open(path)
    info = model.inputs[0]
    if len(model.inputs) != 1 or len(info.shape) != 4:
        raise InputError(f"{os.fspath(path)}: expected one picture input, got {', '.join(map(str, model.inputs))}")

    def run(picture: Any) -> Any:
        stored = info.to_stored(np.ascontiguousarray(np.moveaxis(picture, 1, -1)))
        return model.outputs[0].to_real(model.run(stored)[0])

    card = ImageCard.of(model) if "image" in model.card else None
    said = None if card is None else (tuple(map(float, card.mean)), tuple(map(float, card.std)))
    return run, min(info.shape[1:3]), said


def _onnx(path: str | os.PathLike[str]) -> _Opened:
    from handheld.engine.onnx import open_onnx

    return *open_onnx(path), None
