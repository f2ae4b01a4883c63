"""MediaPipe as a worker of ``hands_vs_mediapipe.py``; runs in the environment that
``_mediapipe_env.py`` makes.
"""

from typing import Any

import numpy as np
from _tracking_worker import serve
from mediapipe.python.solutions.hands import Hands
from numpy.typing import NDArray

GATE = "palm_detection_image"
"""The detector's input inside the graph: a packet for each run, whether it finds palms or not
(``palm_detections`` has packets only where it does)."""


class CountedHands(Hands):
    """The public solution with one stream more in its results. Measured without it: no difference
    beyond noise.
    """

    def _initialize_graph_interface(
        self, graph: Any, sides: Any = None, outputs: Any = None, hints: Any = None
    ) -> Any:
        return super()._initialize_graph_interface(graph, sides, [*outputs, GATE], hints)


class MediaPipe:
    """``mediapipe.solutions.hands`` in its default mode for videos."""

    def __init__(self, hands: int, pack: str, smoothing: bool) -> None:
        assert not smoothing, "this solution has none"
        self.detector_runs = 0
        self._hands = CountedHands(
            static_image_mode=False,
            max_num_hands=hands,
            model_complexity={"full": 1, "lite": 0, "own": 0}[pack],
            min_detection_confidence=0.5,
            min_tracking_confidence=0.5,
        )

    def track(self, image: NDArray[np.uint8], t_us: int) -> Any:
        result = self._hands.process(image)
        self.detector_runs += getattr(result, GATE) is not None
        return result.multi_hand_landmarks or []

    def points(self, result: Any, width: int, height: int) -> list[list[list[float]]]:
        return [[[point.x * width, point.y * height] for point in hand.landmark] for hand in result]


if __name__ == "__main__":
    serve(MediaPipe)
