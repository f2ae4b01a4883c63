"""Texts, vectors and pictures as bits, and tiny networks on them: learning with projections.

``Features`` counts n-grams of a text as fingerprints, ``Signs`` makes bits of them by random
directions that are never stored; the same text has the same bits on every machine, alone or in a
batch. ``TextClassifier`` labels texts with a model file whose card says what it reads.
``training`` holds what learns (extra ``train``).
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily
from handheld.projection.features import Bag, Features
from handheld.projection.signs import Signs

if TYPE_CHECKING:
    from handheld.projection.classifier import TextClassifier

_LAZY = {"TextClassifier": "handheld.projection.classifier"}
"""Late: who only projects needs no engine, and its memory."""

__all__ = ["Bag", "Features", "Signs", "TextClassifier"]


def __getattr__(name: str) -> Any:
    return lazily(__name__, _LAZY, name)
