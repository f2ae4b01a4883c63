"""A tiny world to train in: photos of drawn hands, a teacher's labels, pictures without hands."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from handheld.hands.skeleton import BONES
from handheld.hands.training.examples.labelling import TeacherHand
from handheld.hands.training.examples.photos import split_of


def open_hand(x, y, size):
    """(21, 3): an upright open hand; wrist at (x, y), middle knuckle ``size`` above it."""
    points = np.zeros((21, 3), np.float32)
    across = (-0.5, -0.25, 0.0, 0.2, 0.4)
    bases = (0.35, 0.95, 1.0, 0.95, 0.85)
    leans = (-0.35, -0.05, 0.0, 0.05, 0.12)
    for finger in range(5):
        for joint in range(4):
            aside = across[finger] + leans[finger] * joint
            points[1 + 4 * finger + joint, :2] = aside, -(bases[finger] + 0.25 * joint)
    return points * size + np.array([x, y, 0], np.float32)


def draw(points, height=120, width=160):
    image = np.full((height, width, 3), 40, np.uint8)
    flat = [tuple(map(int, point)) for point in points[:, :2]]
    for start, end in BONES:
        cv2.line(image, flat[start], flat[end], (220, 180, 150), 4)
    return image


def answer(points, spread=0.02):
    """A teacher that is sure of a right hand."""
    world = (points - points.mean(axis=0)) / 1000
    return TeacherHand(points, world, np.full(21, spread, np.float32), right=0.95, presence=0.99)


@dataclass(frozen=True)
class World:
    """Folders as ``HANDHELD_DATA/hands`` has them, and the labels of its photos."""

    data: Path
    labels: Path
    cache: Path


@pytest.fixture
def world(tmp_path):
    """24 photos of a set in which every hundred numbers are a session, in all splits."""
    data = tmp_path / "hands"
    photos = data / "photos" / "digits"
    photos.mkdir(parents=True)
    sessions = {"train": [], "validation": [], "test": []}
    for number in range(1000):
        sessions[split_of(f"digits/{number}")].append(number)
    lines = []
    for split, count in (("train", 12), ("validation", 6), ("test", 6)):
        for place in range(count):
            name = f"IMG_{sessions[split][place % 3] * 100 + place}.png"
            points = open_hand(70 + 2 * place, 100, 30 + place)
            cv2.imwrite(str(photos / name), draw(points)[..., ::-1])
            hands = [answer(points).to_json()]
            lines.append(
                {"photo": f"digits/{name}", "teacher": "t", "size": [120, 160], "hands": hands}
            )
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rng = np.random.default_rng(0)
    (data / "negatives").mkdir()
    for number in range(40):
        picture = rng.integers(0, 256, (64, 80, 3)).astype(np.uint8)
        cv2.imwrite(str(data / "negatives" / f"n{number}.jpg"), picture)
    return World(data, labels, tmp_path / "cache")
