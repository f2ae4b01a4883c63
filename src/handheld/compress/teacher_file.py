"""A teacher that is a model file: only read, and judged before anything learns from it."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.compress.chance import answers_fewer, is_no_guess
from handheld.compress.teachers import Teacher
from handheld.compress.training.pictures import Preparation, pixels, resized
from handheld.data import Dataset
from handheld.engine import Model
from handheld.engine.classify import ImageCard, labels_of
from handheld.errors import InputError, ModelError
from handheld.reports import percent

_FEW = 200  # examples that tell one normalisation from another
_BATCH = 100
_LEAST = 1e-4  # probability: a logit is its logarithm

Norm = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and std of pictures in 0 to 1: one number, or one for each channel."""

USUAL: dict[str, Norm] = {
    "0 to 255": ((0.0,), (1 / 255,)),
    "0 to 1": ((0.0,), (1.0,)),
    "-1 to 1": ((0.5,), (0.5,)),
    "that of ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Ranges that makers of models bring pictures to."""


class TeacherWarning(UserWarning):
    """A finished teacher answers hardly better than a guess, or its file would answer better with another mean and std."""


class ReadOnly:
    """Gives the logits of a model file for inputs (n, channels, height, width), one picture at a time.

    Probabilities are turned into logits. It can be pickled; the file is opened again where it arrives.

    Args:
        path: a ``.tflite`` or ``.onnx`` file.
        labels: of the data.
        preparation: of the inputs.
        mean: that the file expects, in 0 to 1; empty: what its card says, or else that of the preparation.
        std: likewise.
        classes: of the file's values those of the data's classes, as in :class:`~handheld.compress.teachers.Teacher`.
        isolated: whether it runs in a process of its own even where it is timed.

    Raises:
        InputError: the file gives another number of values, or takes no picture, or one of another shape.
        ModelError: it cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: Sequence[str],
        preparation: Preparation,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
        classes: Sequence[int | str] = (),
        isolated: bool = False,
    ):
        self._made_of = path, labels, preparation, mean, std, classes, isolated
        self.path = os.fspath(path)
        self._isolated = isolated
        self.preparation = preparation
        self._labels = tuple(labels)
        self._run, self._side, said, theirs = _opened(path, isolated=isolated or None)
        self.norm: Norm = (mean, std) if mean else said or (preparation.mean, preparation.std)
        self.is_norm_known = bool(mean) or said is not None
        if any(len(value) not in (1, preparation.shape.channels) for value in self.norm):
            count = len(self.norm[0])
            raise InputError(
                f"{self.path}: mean and std have {count} numbers, pictures {preparation.shape.channels}"
            )
        self._scale, self._shift = _rescaling((preparation.mean, preparation.std), self.norm)
        self._columns = _columns(classes, labels, theirs, self.path)
        self._see_that_it_fits()

    @classmethod
    def of(
        cls, teacher: Teacher, base: Path, labels: Sequence[str], preparation: Preparation
    ) -> "ReadOnly":
        """Open a teacher's file. Its path is relative to ``base``; raises what the class does."""
        assert teacher.file is not None
        path, more = (
            base / teacher.file,
            (teacher.mean, teacher.std, teacher.classes, teacher.isolated),
        )
        return cls(path, labels, preparation, *more)

    def __reduce__(self) -> tuple[type["ReadOnly"], tuple[Any, ...]]:
        return ReadOnly, self._made_of

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes)."""
        given = np.concatenate([self._values(one) for one in self._pictures(inputs)])
        if (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=0.05):
            given = np.log(np.maximum(given, _LEAST))
        chosen = given if self._columns is None else given[:, self._columns]
        if chosen.shape[1] != len(self._labels):
            raise InputError(
                f"{self.path} gives {given.shape[1]} values, the data has {len(self._labels)} classes: "
                "say which values they are with classes = [...] under [teacher]"
            )
        return torch.from_numpy(chosen).to(inputs.device)

    def with_norm(self, norm: Norm) -> "ReadOnly":
        """Return the same file, open already, given pictures of another mean and std."""
        other = copy(self)
        other.norm = norm
        other._scale, other._shift = _rescaling((self.preparation.mean, self.preparation.std), norm)
        return other

    def answers(self, dataset: Dataset) -> NDArray[np.int64]:
        """Return the class that is answered for each picture, (n,)."""
        pictures = pixels(dataset)
        batches = range(0, len(dataset), _BATCH)
        logits = [
            self(self.preparation.inputs(pictures[start : start + _BATCH])) for start in batches
        ]
        return torch.cat(logits).argmax(dim=1).numpy()

    def one_call(self) -> Callable[[], object]:
        """Return a function that runs the file, opened anew for one thread, on one picture: to be timed.

        Unless it is a stranger's it then runs in this process, so that no pipe is timed: it has answered the validation split.
        """
        apart = self._isolated or os.environ.get("HANDHELD_ISOLATED") == "1"
        run = _opened(self.path, threads=1, isolated=apart)[0]
        (picture,) = self._pictures(
            torch.randn((1, *self.preparation.shape), generator=torch.Generator().manual_seed(0))
        )
        return partial(run, picture)

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return Path(self.path).name

    @property
    def size(self) -> int:
        """Bytes of the file, and of those beside it in which ONNX may keep weights."""
        return sum(file.stat().st_size for file in _files(self.path))

    def _pictures(self, inputs: torch.Tensor) -> Iterator[NDArray[np.float32]]:
        sized = resized(inputs, self._side) if self._side else inputs
        for picture in sized.cpu().float().numpy() * self._scale + self._shift:
            yield picture[None]

    def _values(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._run(picture), np.float32).reshape(1, -1)

    def _see_that_it_fits(self) -> None:
        """Tell what does not fit now, and not after an hour."""
        shape = self.preparation.shape
        black = self.preparation.inputs(np.zeros((1, *shape[1:], shape.channels), np.uint8))
        try:
            count = self._values(next(self._pictures(black))).size
        except (InputError, ModelError) as error:
            if shape.height == shape.width or not self._side:
                raise
            side = self._side
            raise InputError(
                f"{self.path} takes pictures of another shape than {shape.height} x {shape.width} (height, width): load the "
                f"data with size=({side}, {side}), in a configuration size = [{side}, {side}] under [data] ({error})"
            ) from error
        if self._columns is not None and not (
            self._columns.min() >= 0 and self._columns.max() < count
        ):
            raise InputError(
                f"teacher.classes: {self.path} gives {count} values, expected numbers of 0 to {count - 1}"
            )
        self(black)


def doubts(teacher: ReadOnly, valid: Dataset) -> list[str]:
    """Judge a teacher's file before anything learns from it.

    Args:
        teacher: the file.
        valid: examples to judge by.

    Returns:
        What a person should know: that the file hardly knows more than a guess, or answers better with another mean and std.
    """
    right = int((teacher.answers(valid) == valid.labels).sum())
    found = guesses(teacher.name, right, valid.labels)
    better = _better(teacher, valid) if found or not teacher.is_norm_known else None
    if better is not None:
        found.append(better)
    elif found:
        found.append(
            "likely its mean and std are others, or its classes in another order: see mean, std, classes of [teacher]"
        )
    return found


def guesses(name: str, right: int, labels: NDArray[np.int64]) -> list[str]:
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
        f"the teacher {name} answers {share} of {len(labels)} validation examples right, hardly more than a guess: "
        "members will learn that from it"
    ]


def _better(teacher: ReadOnly, valid: Dataset) -> str | None:
    """Say with which usual mean and std the file answers more examples right, beyond chance; None if with none."""
    few = _some(valid)
    best = teacher.answers(few) == few.labels
    found = None
    for name, norm in USUAL.items():
        if len(norm[0]) not in (1, teacher.preparation.shape.channels):
            continue
        right = teacher.with_norm(norm).answers(few) == few.labels
        if answers_fewer(best, right):
            before, now = percent(float(best.mean()), 1), percent(float(right.mean()), 1)
            values = [[round(number, 6) for number in numbers] for numbers in norm]
            found = (
                f"the teacher {teacher.name} answers {now} of {len(few)} validation examples right with "
                f"mean = {values[0]}, std = {values[1]} (pictures of {name}), {before} as it is: "
                "set both under [teacher] if that is how it was trained"
            )
            best = right
    return found


def _some(dataset: Dataset) -> Dataset:
    if len(dataset) <= _FEW:
        return dataset
    places = np.random.default_rng(0).permutation(len(dataset))[:_FEW]
    return Dataset(pixels(dataset)[places], dataset.labels[places], dataset.classes)


def warn(notes: Sequence[str]) -> None:
    """Warn of what was found, each as a :class:`TeacherWarning`."""
    for note in notes:
        warnings.warn(note, TeacherWarning, stacklevel=3)


def _columns(
    classes: Sequence[int | str], labels: Sequence[str], theirs: Sequence[str], path: str
) -> NDArray[np.int64] | None:
    """Return the places of the data's classes among a file's values; None: those are its values."""
    if not classes:
        if tuple(theirs) == tuple(labels) or not set(labels) <= set(theirs):
            return None
        classes = labels
    if len(classes) != len(labels):
        raise InputError(
            f"teacher.classes: {len(classes)} of them, the data has {len(labels)} classes"
        )
    if len(set(classes)) < len(classes):
        raise InputError(f"teacher.classes: expected each once, got {list(classes)}")
    places = []
    for one in classes:
        if isinstance(one, str) and one not in theirs:
            some = ", ".join(theirs[:10]) or "none"
            raise InputError(
                f"teacher.classes: no label {one!r} on the card of {path}, which has {some}; numbers will do"
            )
        places.append(theirs.index(one) if isinstance(one, str) else one)
    return np.array(places, np.int64)


def _rescaling(ours: Norm, theirs: Norm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what to multiply with and to add, (channels, 1, 1), to come from one normalisation to another."""
    if ours == theirs:
        return np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32)
    mean, std, other, spread = (
        np.asarray(numbers, np.float64)[:, None, None] for numbers in (*ours, *theirs)
    )
    return (std / spread).astype(np.float32), ((mean - other) / spread).astype(np.float32)


_Opened = tuple[Callable[[Any], Any], int, Norm | None, tuple[str, ...]]
"""What runs a picture; the shorter side of pictures, 0: any; what the card says of mean and std, and its labels."""


def _opened(path: str | os.PathLike[str], *, threads: int = 0, isolated: bool | None) -> _Opened:
    if Path(path).suffix == ".onnx":
        from handheld.engine.onnx import open_onnx

        return *open_onnx(path, threads=threads, isolated=isolated), None, ()
    return _tflite(path, isolated or None)


def _files(path: str) -> list[Path]:
    if Path(path).suffix == ".onnx":
        from handheld.engine.onnx import onnx_files

        return list(onnx_files(path).values())
    return [Path(path)]


def _tflite(path: str | os.PathLike[str], isolated: bool | None) -> _Opened:
    model = Model.open(path, isolated=isolated)
    info = model.inputs[0]
    if len(model.inputs) != 1 or len(info.shape) != 4:
        raise InputError(
            f"{os.fspath(path)}: expected one picture input, got {', '.join(map(str, model.inputs))}"
        )

    def run(picture: Any) -> Any:
        stored = info.to_stored(np.ascontiguousarray(np.moveaxis(picture, 1, -1)))
        return model.outputs[0].to_real(model.run(stored)[0])

    if "image" not in model.card:
        return run, min(info.shape[1:3]), None, labels_of(model) if "labels" in model.card else ()
    card = ImageCard.of(model, needs_labels=False)
    said = tuple(map(float, card.mean)), tuple(map(float, card.std))
    return run, min(info.shape[1:3]), said, card.labels
