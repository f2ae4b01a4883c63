import errno
import os

import numpy as np
import pytest

from handheld.errors import FileError
from handheld.hands.training.examples.pool import RenderPool, from_middles
from handheld.hands.training.labels import LabelledHand, LabelledPicture


class Renderer:
    def __init__(self):
        self.rendered = []

    def __call__(self, index):
        self.rendered.append(index)
        points = np.full((21, 3), index, np.float32)
        visible = np.arange(21) < 7
        box = np.array([0, 1, 2, 3], np.float32)
        hand = LabelledHand(points, "rendered", points, visible, "Left", box)
        return LabelledPicture(
            np.full((4, 6, 3), index, np.uint8), (hand,) * (index % 3), complete=True
        )


def test_a_picture_is_rendered_once_and_read_by_others(tmp_path):
    renderer = Renderer()
    pool = RenderPool(tmp_path / "p", 4, 6, 2, 5, renderer)
    assert pool(2).pixels[0, 0, 0] == 2
    assert RenderPool(tmp_path / "p", 4, 6, 2, 5, renderer)(7).pixels[0, 0, 0] == 2
    assert renderer.rendered == [2]
    stored = pool(2).hands
    assert len(stored) == 2
    assert stored[1].keypoints[0].tolist() == [2, 2, 2]
    assert stored[1].handedness == "Left"
    assert stored[1].visible.sum() == 7
    assert pool(0).hands == ()


def test_a_record_that_was_cut_off_is_rendered_again(tmp_path):
    renderer = Renderer()
    RenderPool(tmp_path / "p", 4, 6, 2, 5, renderer)(1)
    content = (tmp_path / "p").read_bytes()
    (tmp_path / "p").write_bytes(content[:-3])
    assert RenderPool(tmp_path / "p", 4, 6, 2, 5, renderer)(1).pixels[0, 0, 0] == 1
    assert renderer.rendered == [1, 1]


@pytest.mark.parametrize(
    ("field", "value"), [("hands", 200), ("seen", float("nan")), ("seen", 1e30)]
)
def test_a_record_that_cannot_be_one_is_rendered_again(tmp_path, field, value):
    renderer = Renderer()
    pool = RenderPool(tmp_path / "p", 4, 6, 2, 5, renderer)
    pool(0)
    record = np.memmap(tmp_path / "p", pool._record, "r+")
    record[field][0] = value
    record.flush()
    assert RenderPool(tmp_path / "p", 4, 6, 2, 5, renderer)(0).hands == ()
    assert renderer.rendered == [0, 0]


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(FileError, match="No space left on device"):
        RenderPool(tmp_path / "p", 4, 6, 2, 5, Renderer())(1)


def test_the_first_pixel_s_middle_is_half_a_pixel_from_its_corner():
    moved = from_middles(LabelledHand(np.full((21, 3), 1.0), "rendered", box=np.ones(4)))
    assert moved.keypoints[0].tolist() == [0.5, 0.5, 1.0]
    assert moved.box.tolist() == [0.5] * 4
