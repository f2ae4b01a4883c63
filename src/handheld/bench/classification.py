"""Which class an example is of: accuracy, with Wilson's interval."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.bench.metric import MetricEstimate, share
from handheld.bench.preprocessing import content_of, read_picture, stored_picture
from handheld.bench.protocol import CLASSIFICATION_BUDGET, BenchProtocol
from handheld.bench.task import TaskSession
from handheld.data import Dataset
from handheld.engine import Model
from handheld.engine.classify import labels_of
from handheld.errors import InputError, ModelError
from handheld.pictures import SUFFIXES

_NOT_A_CLASS = -1
_Feed = Callable[[int], Sequence[NDArray[Any]]]


class ClassificationTask:
    """Examples of known classes, in the order in which they are run.

    Args:
        examples: number of them.
        example: returns the one of a number: (rows, columns, 1 or 3) uint8 of a picture, else an
            array that is one row of a model's input.
        truth: (examples,) indices into ``classes``.
        classes: names.
        labels: names of the outputs of models that have none in their card.
        black_white: what 0 and 255 of a pixel become in the real input of a model without a card.
        digest: hash of examples, truth and classes.

    Raises:
        InputError: there is no example, or their numbers do not agree.
    """

    name = "classification"
    metric = "accuracy"
    budget = CLASSIFICATION_BUDGET

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        examples: int,
        example: Callable[[int], NDArray[Any]],
        truth: NDArray[np.int64],
        classes: Sequence[str],
        *,
        labels: Sequence[str] = (),
        black_white: tuple[float, float] = (-1.0, 1.0),
        digest: str = "",
    ) -> None:
        if not examples:
            raise InputError("expected one example or more, got none")
        if len(truth) != examples:
            raise InputError(f"{examples} examples, but {len(truth)} labels")
        self._example = example
        self._truth = truth
        self._classes = tuple(classes)
        self._labels = tuple(labels)
        self._black_white = black_white
        self.digest = digest

    @classmethod
    def of(
        cls,
        data: Dataset,
        *,
        labels: Sequence[str] = (),
        black_white: tuple[float, float] = (-1.0, 1.0),
        seed: int = 0,
    ) -> "ClassificationTask":
        """Return the task on a data set of pictures or rows of numbers.

        The examples are shuffled: where a wall time ends, no class is cut off before another.

        Raises:
            InputError: the data set has texts, or nothing.
        """
        inputs = data.inputs
        if not isinstance(inputs, np.ndarray):
            raise InputError("expected pictures or rows of numbers, got texts")
        order = np.random.default_rng(seed).permutation(len(data))
        return cls(
            len(data),
            lambda number: np.asarray(inputs[order[number]]),
            data.labels[order],
            data.classes,
            labels=labels,
            black_white=black_white,
            digest=data.digest,
        )

    @classmethod
    def of_folder(
        cls,
        folder: Path,
        *,
        labels: Sequence[str] = (),
        black_white: tuple[float, float] = (-1.0, 1.0),
        seed: int = 0,
    ) -> "ClassificationTask":
        """Return the task on the pictures of a folder, ``class/picture.jpg``, all of any size.

        They are decoded when their turn comes, so that a large set fits any memory.

        Raises:
            InputError: there is no picture.
        """
        paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
        if not paths:
            expected = "expected folders of pictures by class, class/picture.jpg"
            raise InputError(f"{folder}: {expected}, got none")
        classes = sorted({path.parent.name for path in paths})
        numbers = {name: number for number, name in enumerate(classes)}
        # Shuffled: files lie by class, and where a wall time ends no class may be cut off before
        # another.
        order = np.random.default_rng(seed).permutation(len(paths))
        shuffled = [paths[number] for number in order]
        truth = np.array([numbers[path.parent.name] for path in shuffled], np.int64)
        return cls(
            len(paths),
            lambda number: read_picture(shuffled[number]),
            truth,
            classes,
            labels=labels,
            black_white=black_white,
            digest=_digest(paths, folder),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._classes

    def __len__(self) -> int:
        return len(self._truth)

    def begin(self, model: Model, protocol: BenchProtocol) -> TaskSession:
        """Return how a model is given the examples, and which class its outputs say.

        Quantised scores are compared as they are stored: their order is that of the real ones.

        Raises:
            ModelError: it takes something else, or does not know the classes.
        """
        classes = self._class_of_output(model)
        feed = self._feed_rows
        if self._example(0).dtype == np.uint8:
            # tried now, so that a model that takes no pictures is refused before it is timed
            self._picture(0, model, protocol)
            feed = self._feed_pictures
        return TaskSession(
            feed(model, protocol), lambda outputs: _class_of_scores(outputs[0], classes)
        )

    def _feed_pictures(self, model: Model, protocol: BenchProtocol) -> _Feed:
        return lambda number: (self._picture(number, model, protocol),)

    def _feed_rows(self, model: Model, protocol: BenchProtocol) -> _Feed:
        row = self._example(0)[None]
        if [info.shape for info in model.inputs] != [row.shape]:
            listed = ", ".join(map(str, model.inputs)) or "nothing"
            raise ModelError(f"{model.path}: takes {listed}; the examples are {list(row.shape)}")
        info = model.inputs[0]
        return lambda number: (info.to_stored(self._example(number)[None]),)

    def _picture(self, number: int, model: Model, protocol: BenchProtocol) -> NDArray[Any]:
        return stored_picture(
            self._example(number), model, crop=protocol.crop, black_white=self._black_white
        )

    def judge(self, answers: Sequence[int | None]) -> MetricEstimate:
        """Return the accuracy over the first ``len(answers)`` examples."""
        right = 0
        for answer, truth in zip(answers, self._truth, strict=False):
            right += answer == truth
        return share(int(right), len(answers))

    def _class_of_output(self, model: Model) -> NDArray[np.int64]:
        """Return the class that each output stands for.

        Raises:
            ModelError: its outputs are other classes.
        """
        if not model.outputs:
            raise ModelError(f"{model.path}: gives nothing, expected scores of classes")
        outputs = int(np.prod(model.outputs[0].shape))
        labels = self._labels
        if "labels" in model.card:
            labels = labels_of(model)
        if not labels:
            return self._by_position(model, outputs)
        if len(labels) != outputs:
            problem = f"{len(labels)} labels, but {outputs} scores come out"
            raise ModelError(f"{model.path}: has {problem}")
        missing = sorted(set(self._classes) - set(labels))
        if missing:
            problem = f"has no label {missing[0]!r}, which examples are of"
            raise ModelError(f"{model.path}: {problem} ({len(missing)} such classes)")
        numbers = {name: number for number, name in enumerate(self._classes)}
        return np.array([numbers.get(label, _NOT_A_CLASS) for label in labels], np.int64)

    def _by_position(self, model: Model, outputs: int) -> NDArray[np.int64]:
        classes = len(self._classes)
        if outputs == classes:
            return np.arange(classes)
        # ImageNet models of TensorFlow begin with a class "background".
        if outputs == classes + 1:
            return np.arange(-1, classes)
        problem = f"{outputs} scores come out, for {classes} classes"
        raise ModelError(
            f"{model.path}: {problem}, and nothing says which they are: a card does, or --labels"
        )


def _class_of_scores(scores: NDArray[Any], classes: NDArray[np.int64]) -> int:
    """Return the class of the highest score; none where a score is no number."""
    best = int(np.argmax(scores))
    # NaN comes first for ``argmax``: it would be an answer, and now and then the right one.
    if np.isnan(scores.flat[best]):
        return _NOT_A_CLASS
    return int(classes[best])


def read_labels(path: Path) -> tuple[str, ...]:
    """Read names of outputs, one a line.

    Raises:
        InputError: the file cannot be read.
    """
    content = content_of(path)
    try:
        # With its mark, if any: editors of Windows begin a text with it, which would be a part of
        # the first label.
        text = content.decode("utf-8-sig")
    except ValueError as error:
        raise InputError(f"{path}: cannot be read as labels: it is no UTF-8 text") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _digest(paths: Sequence[Path], folder: Path) -> str:
    """Return a hash of names and contents: the same pictures give the same."""
    hasher = hashlib.sha256()
    for path in paths:
        # replace: a name of a file need not be UTF-8.
        hasher.update(f"{path.relative_to(folder).as_posix()}\0".encode("utf-8", "replace"))
        hasher.update(hashlib.sha256(content_of(path)).digest())
    return hasher.hexdigest()
