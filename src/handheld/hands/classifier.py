"""Gestures by a small network that was trained on the shapes of hands."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.hands.gestures import GestureRecogniser, unseen_fingers
from handheld.hands.perceptron import Perceptron
from handheld.hands.result import HandResult
from handheld.hands.shapes import HandShape, hand_shape

FEATURES = 65
"""Numbers that describe a hand: 63 of its shape, and two of its turn."""

_SHIPPED = Path(__file__).with_name("assets") / "gestures.npz"


def features_of(shape: HandShape) -> NDArray[np.float32]:
    """Return the (65,) numbers by which a hand is classified."""
    # The turn as a point on a circle: half a turn either way is the same.
    turn = (np.cos(shape.turn), np.sin(shape.turn))
    return np.concatenate([shape.points.ravel(), turn]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class GestureClassifier(GestureRecogniser):
    """Names the likeliest gesture of a hand, where it is likely enough.

    Attributes:
        network: takes 65 features; its threshold decides what is likely enough.
    """

    network: Perceptron

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Read a classifier; by default the one that ships.

        Raises:
            ModelError: the file is missing, or is no classifier.
        """
        return cls(Perceptron.load(_SHIPPED if path is None else path, features=FEATURES))

    def recognise(
        self,
        hand: HandResult,
        *,
        size: tuple[int, int] | None = None,
        mirrored: bool = False,
    ) -> str | None:
        """Return the likeliest gesture; ``None`` where it is below the threshold, or a finger is
        not seen.
        """
        shape = hand_shape(hand, mirrored=mirrored)
        if shape is None or hand.landmarks is None:
            return None
        # Every keypoint counts, so one that is guessed may decide.
        if unseen_fingers(hand.landmarks, size=size, confidence=hand.confidence):
            return None
        return self.network.named(features_of(shape)[None])[0]
