"""Texts, vectors and pictures as bits, and tiny networks on them: learning with projections.

``Features`` counts n-grams of a text as fingerprints, ``Signs`` makes bits of them by random directions that are never
stored; the same text has the same bits on every machine, alone or in a batch. ``TextClassifier`` labels texts with a model file
whose card says what it reads. ``training`` holds what learns (extra ``train``).
"""

from handheld.projection.classifier import TextClassifier
from handheld.projection.features import Bag, Features
from handheld.projection.signs import Signs

__all__ = ["Bag", "Features", "Signs", "TextClassifier"]
