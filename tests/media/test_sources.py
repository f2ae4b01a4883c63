import numpy as np
import pytest

from handheld.errors import MediaError
from handheld.media import VideoWriter, open_arrays, open_camera, open_folder, open_source, write_image

GREY = [np.full((4, 6), value, np.uint8) for value in (10, 20, 30)]


def test_arrays_get_steady_times():
    source = open_arrays(GREY, fps=25)
    assert source.frames == 3
    assert [(frame.index, frame.t_us, int(frame.image[0, 0, 0])) for frame in source] == [
        (0, 0, 10),
        (1, 40_000, 20),
        (2, 80_000, 30),
    ]
    assert len(list(source)) == 3


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name, image in zip(("c.png", "a.png", "b.png"), GREY, strict=True):
        write_image(tmp_path / name, image)
    (tmp_path / "notes.txt").write_text("not a picture")
    source = open_source(tmp_path, fps=10)
    assert [int(frame.image[0, 0, 0]) for frame in source] == [20, 30, 10]
    assert source.frames == 3


def test_an_empty_folder(tmp_path):
    with pytest.raises(MediaError, match="folder with pictures"):
        open_folder(tmp_path)


def test_one_picture_and_a_video_are_sources_too(tmp_path):
    write_image(tmp_path / "a.png", GREY[0])
    assert len(list(open_source(tmp_path / "a.png"))) == 1
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8), 0)
    assert len(list(open_source(str(tmp_path / "a.mp4")))) == 1


class FakeCamera:
    def __init__(self, index, frames=3, opens=True):
        self.left, self.opens, self.released = frames, opens, False

    def isOpened(self):  # noqa: N802  (OpenCV's name)
        return self.opens

    def get(self, _property):
        return 15.0

    def read(self):
        self.left -= 1
        bgr = np.zeros((2, 2, 3), np.uint8)
        bgr[..., 0] = 200
        return self.left >= 0, bgr

    def release(self):
        self.released = True


def test_a_camera_gives_rgb_at_the_time_it_was_taken():
    camera, now = FakeCamera(0), iter([100.0, 100.5, 100.5, 101.0])
    source = open_camera(0, clock=lambda: next(now), capture=lambda index: camera)
    assert (source.fps, source.frames, source.live) == (15.0, None, True)
    frames = []

    def read():
        for frame in source:
            frames.append(frame)  # noqa: PERF402  (what came before the error counts)

    with pytest.raises(MediaError, match="stopped giving frames after 3"):
        read()
    assert [frame.t_us for frame in frames] == [500_000, 500_001, 1_000_000]
    assert frames[0].image[0, 0].tolist() == [0, 0, 200]
    assert camera.released


def test_no_camera():
    with pytest.raises(MediaError, match="camera 7 cannot be opened"):
        open_camera(7, capture=lambda index: FakeCamera(index, opens=False))
