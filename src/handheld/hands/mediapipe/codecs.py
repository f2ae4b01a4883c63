"""How the values of MediaPipe's graphs stand in recordings."""

from handheld.graph.record import dataclass_codec
from handheld.hands.codecs import HAND_CODECS
from handheld.hands.mediapipe.values import Classification, Detection, NormalizedRect

MEDIAPIPE_CODECS = HAND_CODECS.add(
    dataclass_codec("classification", Classification),
    dataclass_codec("detection", Detection),
    dataclass_codec("normalized_rect", NormalizedRect),
)
"""For ``Graph.record``: what the tracker's streams carry, and what those of MediaPipe's graphs do.
"""
