"""Texts, vectors and pictures as bits, and tiny networks on them: learning with projections.

``Features`` counts n-grams of a text as fingerprints, ``Signs`` makes bits of them by random directions that are never
stored. The same text has the same bits on every machine, alone or in a batch.
"""

from handheld.projection.features import Bag, Features
from handheld.projection.signs import Signs

__all__ = ["Bag", "Features", "Signs"]
