"""A teacher that is a model file: only read, and judged before anything learns from it."""

import os
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.compress.chance import answers_fewer
from handheld.compress.pictures.preparation import Preparation, pixels, resized
from handheld.compress.teacher import TeacherSource, guess_notes
from handheld.data import Dataset
from handheld.engine import Model, isolation_asked
from handheld.engine.classify import ImageCard, labels_of
from handheld.errors import InputError, ModelError
from handheld.reports import percent

_FEW = 200  # examples that tell one normalisation from another
_BATCH = 100  # pictures that are in memory as floats at once
_LEAST = 1e-4  # probability: a logit is its logarithm
_SUM_TOLERANCE = 0.05  # of probabilities: in eight bits they add up to 1 no better
_LABELS_SHOWN = 10

Numbers = tuple[float, ...]
Norm = tuple[Numbers, Numbers]
"""Mean and std of pictures in [0, 1]: one number, or one for each channel."""

USUAL: dict[str, Norm] = {
    "0 to 255": ((0.0,), (1 / 255,)),
    "0 to 1": ((0.0,), (1.0,)),
    "-1 to 1": ((0.5,), (0.5,)),
    "that of ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Ranges that makers of models bring pictures to."""


class OpenedFile(NamedTuple):
    """A model file that is open.

    Attributes:
        run: takes a picture (1, channels, height, width) float32 and gives values.
        side: shorter side of its pictures; 0: any.
        norm: what its card says of mean and std; None: nothing.
        labels: that its card has.
    """

    run: Callable[[Any], Any]
    side: int
    norm: Norm | None
    labels: tuple[str, ...]


class TeacherFile:
    """Gives the logits of a model file for inputs (n, channels, height, width), one at a time.

    Probabilities are turned into logits. It can be pickled; the file is opened again where it
    arrives.

    Args:
        path: a ``.tflite`` or ``.onnx`` file.
        labels: of the data.
        preparation: of the inputs.
        mean: that the file expects, in [0, 1]; empty: what its card says, or else that of the
            preparation.
        std: likewise.
        classes: of the file's values those of the data's classes, as in
            :class:`~handheld.compress.teacher.TeacherSource`.
        isolated: whether it runs in a process of its own even where it is timed.

    Raises:
        InputError: the file gives another number of values, or takes no picture, or one of
            another shape.
        ModelError: it cannot be read.
    """

    def __init__(  # noqa: PLR0913  # what TeacherSource says of a file
        self,
        path: str | os.PathLike[str],
        labels: Sequence[str],
        preparation: Preparation,
        mean: Numbers = (),
        std: Numbers = (),
        classes: Sequence[int | str] = (),
        isolated: bool = False,
    ):
        self._arguments = (path, labels, preparation, mean, std, classes, isolated)
        self.path = os.fspath(path)
        self._isolated = isolated
        self.preparation = preparation
        self._labels = tuple(labels)
        file = _opened(path, isolated=isolated or None)
        self._run = file.run
        self._side = file.side
        self.is_norm_known = bool(mean) or file.norm is not None
        self.norm = file.norm or preparation.norm
        # what a person says counts before what the file's card does
        if mean:
            self.norm = (mean, std)
        count = len(self.norm[0])
        if {count, len(self.norm[1])} - {1, preparation.shape.channels}:
            raise InputError(
                f"{self.path}: mean and std have {count} numbers, "
                f"pictures {preparation.shape.channels}"
            )
        self._scale, self._shift = _rescaling(preparation.norm, self.norm)
        self._columns = _columns(classes, labels, file.labels, self.path)
        self._check_fit()

    @classmethod
    def of(
        cls, source: TeacherSource, base: Path, labels: Sequence[str], preparation: Preparation
    ) -> "TeacherFile":
        """Open a teacher's file, whose path is relative to ``base``; raises what the class does."""
        assert source.file is not None  # seen to by who asks
        return cls(
            base / source.file,
            labels,
            preparation,
            source.mean,
            source.std,
            source.classes,
            source.isolated,
        )

    def __reduce__(self) -> tuple[type["TeacherFile"], tuple[Any, ...]]:
        # opened anew where it is unpickled: a runtime cannot be sent to another process
        return TeacherFile, self._arguments

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes)."""
        values = np.concatenate([self._values(picture) for picture in self._pictures(inputs)])
        if _are_probabilities(values):
            # not refused, as a network's are: a file cannot be asked to leave out its softmax
            values = np.log(np.maximum(values, _LEAST))
        logits = values
        if self._columns is not None:
            logits = values[:, self._columns]
        if logits.shape[1] != len(self._labels):
            raise InputError(
                f"{self.path} gives {values.shape[1]} values, "
                f"the data has {len(self._labels)} classes: "
                "say which values they are with classes = [...] under [teacher]"
            )
        return torch.from_numpy(logits).to(inputs.device)

    def with_norm(self, norm: Norm) -> "TeacherFile":
        """Return the same file, open already, given pictures of another mean and std."""
        # shallow: both run the file that is open
        other = copy(self)
        other.norm = norm
        other._scale, other._shift = _rescaling(self.preparation.norm, norm)
        return other

    def answers(self, dataset: Dataset) -> NDArray[np.int64]:
        """Return the class that is answered for each picture, (n,)."""
        pictures = pixels(dataset)
        logits = [
            self(self.preparation.inputs(pictures[start : start + _BATCH]))
            for start in range(0, len(dataset), _BATCH)
        ]
        return torch.cat(logits).argmax(dim=1).numpy()

    def one_call(self) -> Callable[[], object]:
        """Return a function that runs the file on one picture, to be timed.

        The file is opened anew for one thread. Unless it is a stranger's it then runs in this
        process, so that no pipe is timed: it has answered the validation split.
        """
        apart = self._isolated or bool(isolation_asked())
        file = _opened(self.path, threads=1, isolated=apart)
        # Always the same noise: kernels may be faster on zeros.
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1, *self.preparation.shape), generator=generator)
        (picture,) = self._pictures(noise)
        return partial(file.run, picture)

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return Path(self.path).name

    @property
    def size(self) -> int:
        """Bytes of the file, and of those beside it in which ONNX may keep weights."""
        return sum(file.stat().st_size for file in _files(self.path))

    def _pictures(self, inputs: torch.Tensor) -> Iterator[NDArray[np.float32]]:
        sized = inputs
        if self._side:
            sized = resized(inputs, self._side)
        # one by one, as a file has a batch of one
        for picture in sized.cpu().float().numpy() * self._scale + self._shift:
            yield picture[None]

    def _values(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._run(picture), np.float32).reshape(1, -1)

    def _check_fit(self) -> None:
        """Tell what does not fit now, and not after an hour."""
        shape = self.preparation.shape
        black = np.zeros((1, shape.height, shape.width, shape.channels), np.uint8)
        inputs = self.preparation.inputs(black)
        try:
            count = self._values(next(self._pictures(inputs))).size
        except (InputError, ModelError) as error:
            # A square picture that was resized fits but for other reasons, which the error says.
            if shape.height == shape.width or not self._side:
                raise
            side = self._side
            raise InputError(
                f"{self.path} takes pictures of another shape than "
                f"{shape.height} x {shape.width} (height, width): load the data with "
                f"size=({side}, {side}), in a configuration size = [{side}, {side}] "
                f"under [data] ({error})"
            ) from error
        columns = self._columns
        if columns is not None and not (columns.min() >= 0 and columns.max() < count):
            raise InputError(
                f"teacher.classes: {self.path} gives {count} values, "
                f"expected numbers of 0 to {count - 1}"
            )
        self(inputs)


def _are_probabilities(values: NDArray[np.float32]) -> bool:
    if not (values >= 0).all():
        return False
    return bool(np.allclose(values.sum(axis=1), 1, atol=_SUM_TOLERANCE))


def file_notes(teacher: TeacherFile, valid: Dataset) -> list[str]:
    """Judge a teacher's file before anything learns from it.

    Args:
        teacher: the file.
        valid: examples to judge by.

    Returns:
        What a person should know: that the file hardly knows more than a guess, or answers better
        with another mean and std.
    """
    right = int((teacher.answers(valid) == valid.labels).sum())
    notes = guess_notes(teacher.name, right, valid.labels)
    better = None
    # where somebody said how it was trained and it answers well, others are not tried
    if notes or not teacher.is_norm_known:
        better = _better_norm(teacher, valid)
    if better is not None:
        notes.append(better)
    elif notes:
        notes.append(
            "likely its mean and std are others, or its classes in another order: "
            "see mean, std, classes of [teacher]"
        )
    return notes


def _better_norm(teacher: TeacherFile, valid: Dataset) -> str | None:
    """Say with which usual mean and std the file answers more examples right, beyond chance.

    None if with none of them.
    """
    few = _some(valid)
    best = teacher.answers(few) == few.labels
    note = None
    for name, norm in USUAL.items():
        if len(norm[0]) not in (1, teacher.preparation.shape.channels):
            continue
        right = teacher.with_norm(norm).answers(few) == few.labels
        if answers_fewer(best, right):
            now = percent(float(right.mean()), 1)
            before = percent(float(best.mean()), 1)
            mean, std = ([round(number, 6) for number in numbers] for numbers in norm)
            note = (
                f"the teacher {teacher.name} answers {now} of {len(few)} validation examples "
                f"right with mean = {mean}, std = {std} (pictures of {name}), {before} as it is: "
                "set both under [teacher] if that is how it was trained"
            )
            best = right
    return note


def _some(dataset: Dataset) -> Dataset:
    """Return some examples at random: a data set may be sorted by class."""
    if len(dataset) <= _FEW:
        return dataset
    # Always the same ones, so that a run that goes on says what it said before.
    chosen = np.random.default_rng(0).permutation(len(dataset))[:_FEW]
    return Dataset(pixels(dataset)[chosen], dataset.labels[chosen], dataset.classes)


def _columns(
    classes: Sequence[int | str], labels: Sequence[str], file_labels: Sequence[str], path: str
) -> NDArray[np.int64] | None:
    """Return the places of the data's classes among a file's values; None: those are its values."""
    if not classes:
        # by their names, where the card has all of them: a file may know more classes
        if tuple(file_labels) == tuple(labels) or not set(labels) <= set(file_labels):
            return None
        classes = labels
    if len(classes) != len(labels):
        raise InputError(
            f"teacher.classes: {len(classes)} of them, the data has {len(labels)} classes"
        )
    if len(set(classes)) < len(classes):
        raise InputError(f"teacher.classes: expected each once, got {list(classes)}")
    return np.array([_column(name, file_labels, path) for name in classes], np.int64)


def _column(name: int | str, file_labels: Sequence[str], path: str) -> int:
    if not isinstance(name, str):
        return name
    if name not in file_labels:
        listed = ", ".join(file_labels[:_LABELS_SHOWN]) or "none"
        raise InputError(
            f"teacher.classes: no label {name!r} on the card of {path}, which has {listed}; "
            "numbers will do"
        )
    return file_labels.index(name)


def _rescaling(ours: Norm, theirs: Norm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what to multiply with and to add to come from one normalisation to another.

    Both are (channels, 1, 1).
    """
    if ours == theirs:
        return np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32)
    mean, std = map(_by_channel, ours)
    other_mean, other_std = map(_by_channel, theirs)
    scale = std / other_std
    shift = (mean - other_mean) / other_std
    return scale.astype(np.float32), shift.astype(np.float32)


def _by_channel(numbers: Numbers) -> NDArray[np.float64]:
    return np.asarray(numbers, np.float64)[:, None, None]


def _opened(path: str | os.PathLike[str], *, threads: int = 0, isolated: bool | None) -> OpenedFile:
    if Path(path).suffix == ".onnx":
        from handheld.engine.onnx import open_onnx

        return OpenedFile(*open_onnx(path, threads=threads, isolated=isolated), None, ())
    return _opened_tflite(path, isolated or None)


def _files(path: str) -> list[Path]:
    if Path(path).suffix == ".onnx":
        from handheld.engine.onnx import onnx_files

        return list(onnx_files(path).values())
    return [Path(path)]


def _opened_tflite(path: str | os.PathLike[str], isolated: bool | None) -> OpenedFile:
    model = Model.open(path, isolated=isolated)
    info = model.inputs[0]
    if len(model.inputs) != 1 or len(info.shape) != 4:
        listed = ", ".join(map(str, model.inputs))
        raise InputError(f"{os.fspath(path)}: expected one picture input, got {listed}")

    def run(picture: Any) -> Any:
        stored = info.to_stored(np.ascontiguousarray(np.moveaxis(picture, 1, -1)))
        return model.outputs[0].to_real(model.run(stored)[0])

    side = min(info.shape[1:3])
    if "image" not in model.card:
        labels: tuple[str, ...] = ()
        # a card need not name them: classes may be said by number
        if "labels" in model.card:
            labels = labels_of(model)
        return OpenedFile(run, side, None, labels)
    card = ImageCard.of(model, needs_labels=False)
    norm = (tuple(map(float, card.mean)), tuple(map(float, card.std)))
    return OpenedFile(run, side, norm, card.labels)
