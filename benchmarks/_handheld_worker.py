"""Our tracker as a worker of ``hands_vs_mediapipe.py``."""

from typing import Any

import numpy as np
from _tracking_worker import serve
from numpy.typing import NDArray

from handheld.graph import Packet
from handheld.hands import HandTracker
from handheld.media import Frame

PACKS = {"full": "mediapipe-full", "lite": "mediapipe-lite", "own": "handheld"}


class Handheld:
    """``HandTracker`` with the options that a user gets."""

    def __init__(self, hands: int, pack: str, smoothing: bool) -> None:
        self.detector_runs = 0
        self._index = 0
        self._tracker = HandTracker(max_hands=hands, pack=PACKS[pack], smoothing=smoothing)
        self._tracker.observe("palms", self._count)

    def _count(self, packet: Packet[Any]) -> None:
        self.detector_runs += 1

    def track(self, image: NDArray[np.uint8], t_us: int) -> Any:
        self._index += 1
        return self._tracker.track(Frame(image, t_us, self._index))

    def points(self, result: Any, width: int, height: int) -> list[list[list[float]]]:
        return [hand.landmarks[:, :2].tolist() for hand in result]


if __name__ == "__main__":
    serve(Handheld)
