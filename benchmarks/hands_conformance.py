"""Agreement with MediaPipe's own output, frame by frame, on its test clip; and ids on that clip
beside its mirror image.

The reference is what MediaPipe's full model pack gave for each frame (pixels and metres), not the
truth. Distances are over palm length, wrist to middle knuckle. Smoothing is off. The clip is read
by OpenCV, as it was for the reference.

A region follows from the landmarks of the frame before, so tracking amplifies small differences
where the hand moves fast. How much, two more rows say: ours with every region moved by 0.003
pixels, ten times; and MediaPipe itself, run here again.
"""

import json
import os
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from _mediapipe_env import mediapipe_python
from _report import show, write

from handheld.hands import HandTracker
from handheld.media import Frame, Image, Rect, crop

VIDEO = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands" / "video"


def agreement(frames: list[Frame]) -> dict[str, object]:
    """One hand allowed: mean and worst distance of landmarks from MediaPipe's, over palm length;
    detector runs.
    """
    pixels = np.array(json.loads((VIDEO / "asl_hand.full.json").read_text()))
    metres = np.array(json.loads((VIDEO / "asl_hand_3d.full.json").read_text()))
    apart, depth, world = [], [], []
    with HandTracker(pack="mediapipe-full", max_hands=1, smoothing=False) as tracker:
        for frame, there, in_metres in zip(frames, pixels, metres, strict=True):
            (hand,) = tracker.track(frame)
            assert hand.landmarks is not None
            assert hand.world is not None
            size = np.linalg.norm(there[9, :2] - there[0, :2])
            apart.append(np.linalg.norm(hand.landmarks[:, :2] - there[:, :2], axis=1).mean() / size)
            depth.append(np.abs(hand.landmarks[:, 2] - (there[:, 2] - there[0, 2])).mean() / size)
            world.append(1000 * np.linalg.norm(hand.world - in_metres, axis=1).mean())
        runs = tracker.stats().nodes["palm_detector"].calls  # type: ignore[union-attr]
    return {
        "what": "asl_hand, one hand allowed",
        "frames": len(frames),
        "mean": f"{np.mean(apart):.2%}",
        "worst": f"{np.max(apart):.2%}",
        "depth": f"{np.mean(depth):.2%}",
        "world, mm": f"{np.mean(world):.2f}",
        "detector runs": runs,
    }


def sensitivity(frames: list[Frame]) -> dict[str, object]:
    """As :func:`agreement`, with every region moved at random by a few thousandths of a pixel; the
    range over ten seeds.
    """
    pixels = np.array(json.loads((VIDEO / "asl_hand.full.json").read_text()))[:, :, :2]
    means, worsts = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)

        def moved(
            image: Image, rect: Rect, *args: Any, rng: np.random.Generator = rng, **kwargs: Any
        ) -> Image:
            x, y = rng.normal(0, 0.003, 2)
            return crop(image, replace(rect, x=rect.x + x, y=rect.y + y), *args, **kwargs)

        with (
            patch("handheld.media.warp.crop", moved),
            HandTracker(pack="mediapipe-full", max_hands=1, smoothing=False) as tracker,
        ):
            apart = _apart(
                np.array([tracker.track(frame)[0].landmarks for frame in frames]), pixels
            )
        means.append(apart.mean())
        worsts.append(apart.max())
    return {
        "what": "regions moved by 0.003 pixels",
        "frames": len(frames),
        "mean": f"{min(means):.2%} to {max(means):.2%}",
        "worst": f"{min(worsts):.2%} to {max(worsts):.2%}",
    }


def mediapipe_itself(frames: list[Frame]) -> dict[str, object]:
    """MediaPipe 0.10.21 on this machine against the reference that it gave on another."""
    pixels = np.array(json.loads((VIDEO / "asl_hand.full.json").read_text()))[:, :, :2]
    with TemporaryDirectory() as folder:
        images, points = Path(folder, "frames.npy"), Path(folder, "points.npy")
        np.save(images, np.stack([frame.image for frame in frames]))
        worker = Path(__file__).with_name("_mediapipe_points.py")
        subprocess.run([mediapipe_python(), worker, images, points], check=True)
        apart = _apart(np.load(points), pixels)
    return {
        "what": "MediaPipe itself",
        "frames": len(frames),
        "mean": f"{apart.mean():.2%}",
        "worst": f"{apart.max():.2%}",
    }


def _apart(here: Any, there: Any) -> Any:
    """Return for each frame the mean distance of landmarks over palm length."""
    size = np.linalg.norm(there[:, 9] - there[:, 0], axis=1)
    return np.linalg.norm(here[:, :, :2] - there, axis=2).mean(axis=1) / size


def identities(frames: list[Frame]) -> dict[str, object]:
    """Two hands: the share of frames in which both are there with the ids that they had most, and
    swaps.
    """
    half = frames[0].image.shape[1]
    seen: Counter[tuple[tuple[int, bool], ...]] = Counter()
    with HandTracker(pack="mediapipe-full", max_hands=2, smoothing=False) as tracker:
        for frame in frames:
            both = Frame(
                np.concatenate([frame.image, frame.image[:, ::-1]], axis=1), frame.t_us, frame.index
            )
            seen[
                tuple(
                    sorted((hand.id, bool(hand.centre[0] < half)) for hand in tracker.track(both))
                )
            ] += 1
        runs = tracker.stats().nodes["palm_detector"].calls  # type: ignore[union-attr]
    (usual, count), *_ = seen.most_common(1)
    swapped = tuple(sorted((i, not left) for i, left in usual))
    return {
        "what": "beside its mirror image, two hands",
        "frames": len(frames),
        "ids unchanged": f"{count / len(frames):.1%}",
        "swaps": sum(n for ids, n in seen.items() if set(ids) & set(swapped)),
        "detector runs": runs,
    }


def frames_of_opencv(path: Path) -> list[Frame]:
    """Return a film's frames with the colours that the reference was made from.

    The film names no colour matrix: OpenCV takes BT.601, ours and players BT.709 for its size.
    """
    film = cv2.VideoCapture(str(path))
    frames: list[Frame] = []
    while (read := film.read())[0]:
        frames.append(
            Frame(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), 40_000 * len(frames), len(frames))
        )
    return frames


if __name__ == "__main__":
    clip = frames_of_opencv(VIDEO / "asl_hand.25fps.mp4")
    rows = [agreement(clip), sensitivity(clip), mediapipe_itself(clip), identities(clip)]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    show("Agreement with MediaPipe's output", rows, columns)
    write("hands_conformance", rows, columns)
