"""Label texts with nothing but a model file.

Its card says what it reads of a text and what it answers.
"""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from handheld.engine import Model, Prediction
from handheld.engine.classify import labels_of, likeliest
from handheld.errors import InputError, ModelError
from handheld.projection.cards import reader_of
from handheld.projection.hashing import Floats
from handheld.projection.hidden import HiddenModel
from handheld.projection.inputs import Picked
from handheld.projection.pooled import HEAD, PooledModel, PooledReader, RowModel, softmax

_BATCH = 1000  # texts that are read at once, so that no number of them needs much memory


class TextClassifier:
    """A text model that is open.

    Args:
        model: with one input, what the entry ``text`` of its card describes, and one output of
            logits, one for each of the card's ``labels``. Its entry ``threshold`` is the smallest
            probability of a text that is in scope.

    Raises:
        ModelError: the card or the shapes do not fit.
    """

    def __init__(self, model: Model):
        self.model = model
        self._closed = False
        self.labels = labels_of(model)
        try:
            self.reader = reader_of(model.card.get("text"), model.metadata)
        except InputError as error:
            raise ModelError(f"{model.path}: its card has {error}") from error
        self._check_shapes()
        self.threshold = self._number("threshold", 0.0)
        if not 0 <= self.threshold <= 1:
            raise self._error(f"threshold is {self.threshold!r}, expected a number in [0, 1]")
        self.temperature = self._number("temperature", 1.0)
        if not 0 < self.temperature < float("inf"):
            raise self._error(f"temperature is {self.temperature!r}, expected a number above 0")
        self._pooled: PooledReader | None = None
        # Answered in numpy: the runtime takes a text at a time, of a fixed number of rows.
        if isinstance(self.reader, Picked):
            self._pooled = self._pooled_reader(self.reader)

    def _check_shapes(self) -> None:
        model = self.model
        count = len(self.labels)
        # Of no letters: what a reader returns has one shape for all texts.
        expected = self.reader.of([""]).shape
        inputs = [info.shape for info in model.inputs]
        outputs = [info.shape for info in model.outputs]
        if inputs != [expected] or outputs != [(1, count)]:
            raise ModelError(
                f"{model.path}: expected one input {list(expected)} and one output [1, {count}], "
                f"as its card says, got {', '.join(map(str, (*model.inputs, *model.outputs)))}"
            )

    def _pooled_reader(self, reader: Picked) -> PooledReader:
        rows = row_model(self.model)
        if len(rows.table) != reader.rows + 1:
            raise ModelError(
                f"{self.model.path}: its table has {len(rows.table) - 1} rows, "
                f"its card says {reader.rows}"
            )
        return PooledReader(rows, reader)

    def _number(self, entry: str, default: float) -> float:
        value = self.model.card.get(entry, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(f"{entry} is {value!r}, expected a number")
        return float(value)

    def _error(self, entry: str) -> ModelError:
        return ModelError(f"{self.model.path}: card entry {entry}")

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, threads: int = 1) -> Self:
        """Open a model file. Raises :class:`ModelError`."""
        model = Model.open(path, threads=threads)
        try:
            return cls(model)
        # Nobody else has the model that was opened here: it would stay open.
        except ModelError:
            model.close()
            raise

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Return (texts, labels) probabilities in [0, 1]; a text has the same ones in any company.

        Args:
            texts: a list of texts; a single text goes into :meth:`classify`, or in a list of one.

        Raises:
            InputError: a single text, something that is not text, or a model that is closed.
        """
        return softmax(self.logits(texts) / np.float32(self.temperature))

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return (texts, labels) logits. Raises as :meth:`probabilities`."""
        if isinstance(texts, str | bytes):
            raise InputError(
                f"expected a list of texts, got one {type(texts).__name__}: "
                "put it in a list, [text]"
            )
        # Before any is answered: which one is wrong is then known.
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"expected texts, got {type(text).__name__} as number {number}")
        # Asked here, since picked n-grams are answered without the runtime, which would say so.
        if self._closed:
            raise InputError(f"{self.model.path}: the model is closed; open it again")
        if self._pooled is not None:
            return self._pooled.logits(texts)
        return self._run(texts)

    def _run(self, texts: Sequence[str]) -> Floats:
        """Ask the runtime for one text after another."""
        logits = np.empty((len(texts), len(self.labels)), np.float32)
        to_stored = self.model.inputs[0].to_stored
        to_real = self.model.outputs[0].to_real
        for start in range(0, len(texts), _BATCH):
            inputs = self.reader.of(texts[start : start + _BATCH])
            # The graph has a batch of one.
            for number, row in enumerate(inputs, start):
                outputs = self.model.run(to_stored(row[None]))
                logits[number] = to_real(outputs[0])[0]
        return logits

    def classify(self, text: str, *, top: int = 5) -> list[Prediction]:
        """Return the likeliest labels of a text, best first.

        Args:
            text: to classify.
            top: labels to return at most, 0 or more.

        Raises:
            InputError: what is no text, or no number of labels.
        """
        if not isinstance(text, str):
            raise InputError(f"expected a text, got {type(text).__name__}")
        return likeliest(self.probabilities([text])[0], self.labels, top)

    def close(self) -> None:
        """Close the model."""
        self._closed = True
        self.model.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the file's bytes and nothing else: another process opens and checks the model."""
        return _opened, (self.model.content, str(self.model.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _opened(content: bytes, path: str) -> TextClassifier:
    return TextClassifier(Model.load(content, path=path))


def row_model(model: Model) -> RowModel:
    """Return what a file of picked n-grams answers with: linear, or with a hidden layer.

    Raises:
        ModelError: its constants are missing or do not fit.
    """
    if model.has_constant(HEAD):
        return PooledModel.of(model)
    return HiddenModel.of(model)
