"""The tiny models are what their script makes, and behave as it says."""

import numpy as np
import pytest
import zoo

from handheld.engine import Model


def test_the_script_makes_the_same_bytes(fixture_file):
    assert zoo.fixtures_module().MODELS[fixture_file.stem]() == fixture_file.read_bytes()


def _picture(side, blob, white=1.0, dark=0.2):
    image = np.full((1, side, side, 3), dark, np.float32)
    left, top, right, bottom = blob
    image[:, top:bottom, left:right] = white
    return image


def test_palm_sees_a_white_blob(fixtures):
    boxes, scores = Model.open(fixtures / "tiny_palm.tflite").run(_picture(192, (40, 80, 72, 112)))
    (anchors,) = np.nonzero(scores[0, :, 0] > 0)
    np.testing.assert_allclose(scores[0, anchors, 0], 8, atol=1e-4)
    cells = {
        divmod(anchor // 2, 24) for anchor in anchors.tolist()
    }  # two anchors a cell, row by row
    assert cells == {(row, column) for row in range(10, 14) for column in range(5, 9)}
    np.testing.assert_allclose(scores[0, :1152:2, 0].min(), -8, atol=1e-4)
    assert (scores[0, 1152:] == -20).all()
    assert (scores[0, 1:1152:2] == -20).all()
    np.testing.assert_array_equal(boxes[0, 0], boxes[0, 2015])
    np.testing.assert_array_equal(boxes[0, 0, :6], [0, 0, 40, 40, 0, 20])
    np.testing.assert_array_equal(boxes[0, 0, 8:10], [0, -20])


def test_landmarks_follow_the_blob(fixtures):
    model = Model.open(fixtures / "tiny_landmark.tflite")
    hand = zoo.fixtures_module().HAND
    for blob, offset in (((80, 80, 144, 144), (0, 0)), ((48, 96, 112, 160), (-32, 16))):
        landmarks, presence, handedness, world = model.run(_picture(224, blob))
        np.testing.assert_allclose(
            landmarks.reshape(21, 3) - hand, np.tile([*offset, 0], (21, 1)), atol=0.3
        )
        assert presence[0, 0] == pytest.approx(0.982, abs=1e-3)
        assert handedness[0, 0] == pytest.approx(0.9, abs=1e-3)
        np.testing.assert_allclose(world.reshape(21, 3)[0], [0, 0.0672, 0], atol=1e-6)
    assert model.run(_picture(224, (0, 0, 0, 0)))[1][0, 0] == pytest.approx(0.018, abs=1e-3)


def test_the_hand_gives_back_the_whole_crop():
    """MediaPipe's next region: the box of these key points, moved up by a tenth, its long side
    doubled.
    """
    x, y = zoo.fixtures_module().HAND[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18], :2].T
    width, height = np.ptp(x), np.ptp(y)
    assert (x.min() + width / 2, y.min() + height / 2 - 0.1 * height) == pytest.approx((112, 112))
    assert 2 * max(width, height) == pytest.approx(224)
