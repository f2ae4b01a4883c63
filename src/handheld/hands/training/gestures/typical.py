"""The shapes of common hands, from which a user's own gestures are told apart.

``python -m handheld.hands.training.gestures.typical --out hand_shapes.npz`` writes the file that
ships, from the meshes in ``HANDHELD_DATA``.
"""

import argparse
import os
from itertools import chain
from pathlib import Path

import numpy as np

from handheld.files import atomic_path
from handheld.hands.result import HandResult
from handheld.hands.shapes import Floats, hand_shape
from handheld.hands.training.gestures.postures import OTHERS, SHOWN
from handheld.hands.training.render.people import draw_person
from handheld.hands.training.render.placing import place_hand
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sources import RenderSources, open_sources
from handheld.media import Rect

_PEOPLE = 24
_DISTANCE = 0.6
"""Metres before the camera; the shape hardly depends on it."""


def typical_shapes(folder: Path | None = None, *, seed: int = 0) -> Floats:
    """Return the shape (n, 21, 3) of each known posture, palm lengths in the palm's axes.

    Args:
        folder: of the meshes; by default ``hands`` in ``HANDHELD_DATA``.
        seed: of the people whose mean it is.
    """
    sources = open_sources(folder)
    postures = (*chain.from_iterable(SHOWN.values()), *OTHERS)
    return np.array([_mean_shape(sources, pose, seed) for pose in postures])


def write_shapes(path: str | os.PathLike[str], shapes: Floats) -> None:
    """Write shapes as the package keeps them: float16, a thousandth of a palm."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, shapes=shapes.astype(np.float16))


def _mean_shape(sources: RenderSources, pose: HandPose, seed: int) -> Floats:
    shapes: list[Floats] = []
    for number in range(_PEOPLE):
        person = draw_person(sources, str(number), np.random.default_rng([seed, number]))
        hand = place_hand(person, "Right", pose, np.eye(3), np.array([0.0, 0.0, _DISTANCE]))
        points = hand.keypoints.astype(np.float32)
        # Metres stand for pixels: a shape has neither.
        result = HandResult(0, Rect(0.0, 0.0, 1.0, 1.0), 1.0, "Right", 1.0, points, points)
        shape = hand_shape(result)
        assert shape is not None
        shapes.append(shape.in_palm())
    mean: Floats = np.mean(shapes, axis=0)
    return mean


def main() -> None:
    """Read the arguments and write the shapes."""
    parser = argparse.ArgumentParser(description="Write the shapes of common hands.")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--seed", type=int, default=0, help="of the people (default: 0)")
    arguments = parser.parse_args()
    write_shapes(arguments.out, typical_shapes(seed=arguments.seed))


if __name__ == "__main__":
    main()
