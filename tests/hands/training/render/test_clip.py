"""The clip that ships: what it holds, and that it is small. Rendering it needs the mesh, which is
not in this repository.
"""

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from handheld.errors import MediaError
from handheld.hands.training.render.clip import load_background

ASSETS = files("handheld.hands").joinpath("assets")


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(ASSETS.joinpath("demo.truth.json").read_text())
    return loaded


def test_the_clip_decodes_and_its_truth_has_as_many_frames(truth: dict[str, Any]) -> None:
    with as_file(ASSETS.joinpath("demo.mp4")) as path, av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == truth["frames_per_second"]
        sizes = {(frame.width, frame.height) for frame in container.decode(stream)}
        assert sizes == {(truth["width"], truth["height"])} == {(640, 480)}
        assert stream.frames == len(truth["frames"]) == 150


def test_the_clip_is_small() -> None:
    with as_file(ASSETS) as folder:
        assert (folder / "demo.mp4").stat().st_size < 1_000_000
        assert (folder / "demo.truth.json").stat().st_size < 300_000


def test_every_frame_has_both_hands_and_its_time(truth: dict[str, Any]) -> None:
    assert truth["convention"] == "mediapipe"
    for index, frame in enumerate(truth["frames"]):
        assert frame["t_us"] == index * 40_000
        assert [hand["handedness"] for hand in frame["hands"]] == ["Right", "Left"]
        for hand in frame["hands"]:
            assert np.shape(hand["keypoints"]) == (21, 3)
            assert len(hand["visible"]) == 21
            assert set(hand["visible"]) <= {0, 1}
            assert hand["keypoints"][0][2] == 0


def test_one_hand_leaves_for_about_half_a_second_and_returns(truth: dict[str, Any]) -> None:
    right, left = np.array(
        [[any(hand["visible"]) for hand in frame["hands"]] for frame in truth["frames"]]
    ).T
    assert right.all()
    assert left[0]
    assert left[-1]
    assert 0.4 <= (~left).sum() / truth["frames_per_second"] <= 0.8
    assert np.abs(np.diff(left.astype(int))).sum() == 2


def test_in_the_first_frame_the_open_palm_is_all_seen(truth: dict[str, Any]) -> None:
    right = truth["frames"][0]["hands"][0]
    assert all(right["visible"])
    points = np.array(right["keypoints"])
    # Upright, palm to the camera: fingertips above the wrist, and a right hand's thumb on the
    # picture's right.
    assert (points[[8, 12, 16, 20], 1] < points[0, 1] - 100).all()
    assert points[4, 0] > points[17, 0]


def test_a_missing_background_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="hdri_"):
        load_background(tmp_path)
