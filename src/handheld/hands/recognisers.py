"""What recognises gestures, by a name or from a file."""

import os
from pathlib import Path

from handheld.hands.classifier import GestureClassifier
from handheld.hands.gestures import GestureRecogniser, GestureTable
from handheld.hands.taught import TaughtGestures

LEARNED = "learned"
"""Name of the classifier that ships."""


def load_recogniser(source: str | os.PathLike[str] | GestureRecogniser) -> GestureRecogniser:
    """Return a recogniser of gestures.

    Args:
        source: a table's name (signs, american, european, chinese), ``learned`` for the classifier
            that ships, or a file: a table (TOML), a user's own gestures (``.gestures``), a trained
            classifier (``.npz``).

    Raises:
        InputError: no such table, or a file that says none.
        ModelError: a file that holds no classifier.
    """
    if isinstance(source, GestureRecogniser):
        return source
    if source == LEARNED:
        return GestureClassifier.load()
    suffix = ""
    # What is neither a name nor a path is told of by the tables.
    if isinstance(source, str | os.PathLike):
        suffix = Path(source).suffix.lower()
    if suffix == ".npz":
        return GestureClassifier.load(source)
    if suffix == ".gestures":
        return TaughtGestures.load(source)
    return GestureTable.load(source)
