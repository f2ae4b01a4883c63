import json

import cv2
import numpy as np
import pytest

NAMES = ("set/a.png", "set/b.png", "set/c.png")
# The second photo is the one of which the teacher is least sure.
SPREADS = (0.02, 0.3, 0.1)


def open_hand(x, y, size):
    """(21, 2): an upright open hand; wrist at (x, y), middle knuckle ``size`` above it."""
    points = np.zeros((21, 2))
    for finger in range(5):
        for joint in range(4):
            aside = (-0.5, -0.25, 0.0, 0.2, 0.4)[finger]
            up = (0.35, 0.95, 1.0, 0.95, 0.85)[finger] + 0.3 * joint
            points[1 + 4 * finger + joint] = aside, -up
    return points * size + (x, y)


def line(name, spread, hands=1):
    points = np.round(open_hand(160, 210, 80), 2)
    hand = {
        "keypoints": [[x, y, -float(number)] for number, (x, y) in enumerate(points.tolist())],
        "world": [[0.01 * number, 0.0, 0.0] for number in range(21)],
        "spread": [spread] * 21,
        "right": 0.7,
        "presence": 0.99,
    }
    return {"photo": name, "teacher": "t", "size": [240, 320], "hands": [hand] * hands}


@pytest.fixture
def make_line():
    return line


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "set").mkdir(parents=True)
    for name in NAMES:
        pixels = np.full((240, 320, 3), 90, np.uint8)
        for x, y in open_hand(160, 210, 80).astype(int).tolist():
            cv2.circle(pixels, (x, y), 9, (150, 180, 220), -1)
        cv2.imwrite(str(folder / name), pixels)
    return folder


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    lines = [line(name, spread) for name, spread in zip(NAMES, SPREADS, strict=True)]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return path
