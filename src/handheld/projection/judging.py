"""How good a text model is on labelled texts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.projection.classifier import TextClassifier
from handheld.projection.hashing import Floats
from handheld.projection.scope import ScopeFigures, figures

_NAMES_SHOWN = 5  # of labels, in an error


@dataclass(frozen=True, eq=False)
class TextData:
    """Labelled texts, and texts that none of the labels fits.

    Attributes:
        known: texts with labels.
        outside: texts out of scope.
    """

    known: Dataset
    outside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.known.is_text or not len(self.known):
            raise InputError("expected labelled texts, got none, or something else")

    @property
    def texts(self) -> tuple[str, ...]:
        """Those with labels."""
        # Seen to when this was made.
        assert not isinstance(self.known.inputs, np.ndarray)
        return self.known.inputs

    @classmethod
    def of(cls, data: Dataset, label: str | None = None) -> "TextData":
        """Take the texts of one label as out of scope; None: no label.

        Raises:
            InputError: a label that is not there.
        """
        if label is None:
            return cls(data)
        if label not in data.classes:
            raise InputError(
                f"no text has the label {label!r} for what is out of scope; "
                f"labels: {_listed(data.classes)}"
            )
        number = data.classes.index(label)
        is_known = data.labels != number
        known_labels = data.labels[is_known]
        # The labels behind the one that is taken out move down by one.
        labels = known_labels - (known_labels > number)
        classes = data.classes[:number] + data.classes[number + 1 :]
        texts = np.array(data.inputs, object)
        return cls(Dataset(tuple(texts[is_known]), labels, classes), tuple(texts[~is_known]))


@dataclass(frozen=True, eq=False)
class TextJudgement:
    """What a model answered.

    Attributes:
        data: that it was asked.
        answered: (n,) numbers of its labels.
        shares: (n,) probability of each answer, in [0, 1].
        outside: (m,) largest probability of each text out of scope.
        threshold: the smallest probability that counts as in scope; 0: all do.
    """

    data: TextData
    answered: NDArray[np.intp]
    shares: Floats
    outside: Floats
    threshold: float = 0.0

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether each answer is right, whatever its probability."""
        return np.asarray(self.answered == self.data.known.labels)

    @property
    def accuracy(self) -> float:
        """Share of right answers among texts in scope, in [0, 1]."""
        return float(self.right.mean())

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """[true label][answered label] counts."""
        count = len(self.data.known.classes)
        # Row by row, so that one count of numbers fills the table.
        cells = self.data.known.labels * count + self.answered
        table = np.bincount(cells, minlength=count**2).reshape(count, count)
        return tuple(map(tuple, table.tolist()))

    @property
    def scope(self) -> ScopeFigures | None:
        """How well texts out of scope are told from others; None if there are none."""
        if not len(self.outside):
            return None
        return figures(self.shares, self.right, self.outside, self.threshold)


def judge(model: TextClassifier, data: TextData) -> TextJudgement:
    """Ask a model for all texts.

    The data may have labels behind the model's: texts of these, which it does not know, are
    answered wrongly.

    Raises:
        InputError: the model's labels are not the first of the data's.
    """
    classes = data.known.classes
    count = len(model.labels)
    if model.labels != classes[:count]:
        in_one_only = sorted(set(model.labels) ^ set(classes))
        raise InputError(
            f"{model.model.path} has {count} labels, the texts {len(classes)}: expected the same; "
            f"only one of the two has {_listed(in_one_only)}"
        )
    probabilities = model.probabilities(data.texts)
    # All texts are answered, whatever the threshold: others may be tried on the same answers.
    outside = model.probabilities(data.outside)
    answered = probabilities.argmax(axis=1)
    shares = probabilities[np.arange(len(answered)), answered]
    largest_outside = outside.max(axis=1, initial=0.0)
    return TextJudgement(data, answered, shares, largest_outside, model.threshold)


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_NAMES_SHOWN])
    if len(names) > _NAMES_SHOWN:
        return f"{listed} ..."
    return listed
