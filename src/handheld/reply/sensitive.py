"""Topics on which nothing is suggested: a ready-made answer to grief, threats or abuse would hurt.

A small classifier over its own learned projection. It reads English, knows the topics of ``assets/sensitive.txt`` and what is
written like them, and misses what is said in other words: a filter for the worst, no judgement of people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError
from handheld.projection.inputs import Rows
from handheld.projection.learned import Learned, normalised
from handheld.projection.words import Texts
from handheld.reply.ranker import softmax

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sensitive:
    """The classifier.

    Attributes:
        learned: projection of a text.
        norm: (2, width) scale and shift of what the projection gives.
        weight, bias: (topics + 1, width) and (topics + 1,); the last answer is that of no topic.
        topics: their names.
        threshold: probability of any topic from which on a text is sensitive, 0 to 1.
    """

    learned: Learned
    norm: Floats
    weight: Floats
    bias: Floats
    topics: tuple[str, ...]
    threshold: float

    def probabilities(self, texts: Texts) -> Floats:
        """Return (texts, topics) probabilities, 0 to 1; what is left is that of no topic."""
        read = normalised(self.learned.of(texts), self.norm[0], self.norm[1])
        return softmax(read @ self.weight.T + self.bias)[:, :-1]

    def topic(self, texts: Texts) -> str | None:
        """Return the topic of the first text that is sensitive, None if all are harmless."""
        for found in self.probabilities(texts):
            if found.sum() >= self.threshold:
                return self.topics[int(found.argmax())]
        return None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps."""
        return {**self.learned.arrays(), "norm": self.norm, "weight": self.weight.astype(np.float16), "bias": self.bias}

    @classmethod
    def of_arrays(
        cls, reader: Rows, arrays: Mapping[str, NDArray[Any]], topics: tuple[str, ...], threshold: float
    ) -> "Sensitive":
        """Return what :meth:`arrays` kept. Raises :class:`ModelError` for what does not fit together."""
        try:
            parts = [np.asarray(arrays[name], np.float32) for name in ("norm", "weight", "bias")]
            found = cls(Learned.of_arrays(reader, arrays), parts[0], parts[1], parts[2], topics, float(threshold))
            shape = found.probabilities(["ok"]).shape
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"the filter of sensitive topics is damaged: {error}") from error
        if shape != (1, len(topics)) or not all(np.isfinite(part).all() for part in parts):
            raise ModelError(f"the filter of sensitive topics is damaged: it knows {shape[1]} topics, and names {len(topics)}")
        return found
