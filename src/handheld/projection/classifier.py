"""Label texts with nothing but a model file: its card says what it reads of a text and what it answers."""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.engine import Model, Prediction
from handheld.engine.classify import labels_of, likeliest, softmax
from handheld.errors import InputError, ModelError
from handheld.projection.inputs import reader_of

_AT_ONCE = 1000  # texts


class TextClassifier:
    """A text model that is open.

    Args:
        model: with one input, what the entry ``text`` of its card describes, and one output of logits, one for each of the
            card's ``labels``. Its entry ``threshold`` is the smallest probability of a text that is in scope.

    Raises:
        ModelError: the card or the shapes do not fit.
    """

    def __init__(self, model: Model):
        labels = labels_of(model)
        try:
            self.reader = reader_of(model.card.get("text"))
        except InputError as error:
            raise ModelError(f"{model.path}: its card has {error}") from error
        wanted = self.reader.of([""]).shape
        given, answered = ([info.shape for info in side] for side in (model.inputs, model.outputs))
        if given != [wanted] or answered != [(1, len(labels))]:
            raise ModelError(
                f"{model.path}: expected one input {list(wanted)} and one output [1, {len(labels)}], as its card says, "
                f"got {', '.join(map(str, (*model.inputs, *model.outputs)))}"
            )
        threshold = model.card.get("threshold", 0.0)
        if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise ModelError(f"{model.path}: card entry threshold is {threshold!r}, expected a number of 0 to 1")
        self.model, self.labels, self.threshold = model, labels, float(threshold)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, threads: int = 1) -> Self:
        """Open a model file. Raises :class:`ModelError`."""
        model = Model.open(path, threads=threads)
        try:
            return cls(model)
        except ModelError:
            model.close()
            raise

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, labels) probabilities, 0 to 1.

        Raises:
            InputError: something that is not text.
        """
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"expected texts, got {type(text).__name__} as number {number}")
        found = np.empty((len(texts), len(self.labels)), np.float32)
        stored, real = self.model.inputs[0].to_stored, self.model.outputs[0].to_real
        for start in range(0, len(texts), _AT_ONCE):
            for number, row in enumerate(self.reader.of(texts[start : start + _AT_ONCE]), start):
                found[number] = softmax(real(self.model.run(stored(row[None]))[0])[0])
        return found

    def classify(self, text: str, *, top: int = 5) -> list[Prediction]:
        """Return the likeliest labels of a text, best first. Raises :class:`InputError` for what is no text."""
        return likeliest(self.probabilities([text])[0], self.labels, top)

    def close(self) -> None:
        """Close the model."""
        self.model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
