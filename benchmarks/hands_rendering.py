"""Rendered hands: crops a CPU second on one thread, and where MediaPipe's models see the keypoints
of our labels.

``python benchmarks/hands_rendering.py [--pictures 300] [--pack mediapipe-full]``

Offsets are medians of MediaPipe's answer minus our label, along the hand and towards its thumb, in
units of wrist to middle knuckle; the worst keypoint of each kind is shown. Needs ``hands/mesh`` of
``HANDHELD_DATA``.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from _report import show, write

from handheld.hands import HandTracker
from handheld.hands.training.labels import LabelledHand
from handheld.hands.training.render.sources import RenderSources, open_sources
from handheld.hands.training.render.studio import CropOptions, SceneOptions, Studio

# crops a CPU second: what a textured numba rasteriser gave here before this one was written
AIM = 139.0
PEOPLE = 64
WARM_UP = (
    300  # crops after which hardly a person is new: each takes some ten milliseconds, once in a run
)
KEYPOINTS = {
    "wrist": [0],
    "thumb": [1, 2, 3, 4],
    "knuckles": [5, 9, 13, 17],
    "joints": [6, 7, 10, 11, 14, 15, 18, 19],
    "tips": [8, 12, 16, 20],
}
LARGE = SceneOptions(smallest=0.45, largest=0.8, empty=0, second_hand=0, occluded=0)
LOST = 0.5  # of wrist to knuckle: with a larger mean error the answer is of something else


def speed(sources: RenderSources, size: int, pictures: int) -> dict[str, Any]:
    """Time crops as training sees them, of people who are known."""
    studio = Studio(sources, people=PEOPLE)
    options = CropOptions(size=size)
    for index in range(WARM_UP):
        studio.crop(index, options)
    start = time.process_time()
    for index in range(WARM_UP, WARM_UP + pictures):
        studio.crop(index, options)
    return {"crop": size, "crops a CPU second": round(pictures / (time.process_time() - start), 1)}


def differences(
    studio: Studio, tracker: HandTracker, pictures: int
) -> Iterator[tuple[str | None, np.ndarray]]:
    """Yield the handedness that is ours, or None where theirs differs, and offsets (21, 2) of each
    hand they find.
    """
    for index in range(pictures):
        picture = studio.scene(index, LARGE)
        label = picture.hands[0]
        height, width = picture.pixels.shape[:2]
        points = label.keypoints[:, :2]
        if points.min() < 0 or (points > (width, height)).any():
            continue
        hands = tracker.detect(picture.pixels)
        if not hands or hands[0].landmarks is None:
            continue
        offsets = in_the_hand(label, hands[0].landmarks[:, :2])
        if np.linalg.norm(offsets, axis=1).mean() < LOST:
            yield (label.handedness if hands[0].handedness == label.handedness else None), offsets


def in_the_hand(label: LabelledHand, points: np.ndarray) -> np.ndarray:
    """Return how far points (21, 2) are from the labels, along the hand and towards its thumb."""
    truth = label.keypoints[:, :2]
    size = np.linalg.norm(truth[9] - truth[0])
    along = (truth[9] - truth[0]) / size
    thumbward = np.array([-along[1], along[0]])
    if (truth[5] - truth[17]) @ thumbward < 0:
        thumbward = -thumbward
    offsets: np.ndarray = (points - truth) @ np.stack([along, thumbward], axis=1) / size
    return offsets


def agreement(
    sources: RenderSources, pack: str, second_mesh: float, pictures: int
) -> dict[str, Any]:
    """Compare labels with MediaPipe's answers on hands of one mesh."""
    studio = Studio(sources, seed=1, second_mesh=second_mesh)
    with HandTracker(pack=pack, max_hands=1) as tracker:
        seen = list(differences(studio, tracker, pictures))
    medians = np.median([offsets for _, offsets in seen], axis=0)
    row: dict[str, Any] = {
        "mesh": "second" if second_mesh else "first",
        "hands": len(seen),
        "same side": round(np.mean([side is not None for side, _ in seen]), 3),
    }
    for name, keypoints in KEYPOINTS.items():
        worst = max(medians[keypoints].tolist(), key=lambda pair: float(np.hypot(*pair)))
        row[name] = f"{worst[0]:+.3f} {worst[1]:+.3f}"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--pack", default="mediapipe-full")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sources = open_sources()
    rates = [speed(sources, size, options.pictures) for size in (128, 256)]
    show(f"Rendered crops, one thread; aim at 256 pixels {AIM}", rates)
    write("hands_rendering_speed", rates)
    rows = [agreement(sources, options.pack, second, options.pictures) for second in (0.0, 1.0)]
    show("MediaPipe's keypoints beside our labels", rows)
    write("hands_rendering_agreement", rows)


if __name__ == "__main__":
    main()
