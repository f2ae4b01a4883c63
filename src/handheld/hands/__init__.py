"""Tracks hands and reads gestures in real time: the pipeline of MediaPipe Hands (2019).

``HandTracker`` is the whole of it. ``hand_graph`` is the graph that it runs on ``handheld.graph``;
the maths is in ``palm``, ``landmark``, ``geometry``, ``association``, ``identity``, ``smoothing``
and ``gestures``; ``calculators`` are thin shells around it.
"""

from typing import TYPE_CHECKING, Any

from handheld._extras import lazily
from handheld.hands.classifier import GestureClassifier
from handheld.hands.gestures import (
    FingerStates,
    Gesture,
    GestureRecogniser,
    GestureTable,
    count,
    finger_states,
)
from handheld.hands.motion import MOTIONS, MotionEvent, MotionRecogniser
from handheld.hands.packs import MEDIAPIPE_HANDS, ModelPack, load_pack
from handheld.hands.pipeline import HandOptions, hand_graph
from handheld.hands.recognisers import load_recogniser
from handheld.hands.result import HandResult, Palm, Region
from handheld.hands.skeleton import BONES, FINGERS, Keypoint
from handheld.hands.smoothing import OneEuroFilter, OneEuroOptions
from handheld.hands.taught import TaughtGesture, TaughtGestures
from handheld.hands.tracker import HandTracker

if TYPE_CHECKING:
    from handheld.hands.drawing import draw_hand, draw_hands

__all__ = [
    "BONES",
    "FINGERS",
    "MEDIAPIPE_HANDS",
    "MOTIONS",
    "FingerStates",
    "Gesture",
    "GestureClassifier",
    "GestureRecogniser",
    "GestureTable",
    "HandOptions",
    "HandResult",
    "HandTracker",
    "Keypoint",
    "ModelPack",
    "MotionEvent",
    "MotionRecogniser",
    "OneEuroFilter",
    "OneEuroOptions",
    "Palm",
    "Region",
    "TaughtGesture",
    "TaughtGestures",
    "count",
    "draw_hand",
    "draw_hands",
    "finger_states",
    "hand_graph",
    "load_pack",
    "load_recogniser",
]

_LAZY = dict.fromkeys(("draw_hand", "draw_hands"), "handheld.hands.drawing")
"""Late: graphs can be looked at, and models fetched, where OpenCV is not installed."""


def __getattr__(name: str) -> Any:
    return lazily(__name__, _LAZY, name)
