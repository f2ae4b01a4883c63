import os

import numpy as np
import pytest

from handheld.errors import InputError, MediaError
from handheld.media import (
    Frame,
    MediaWarning,
    VideoWriter,
    open_arrays,
    open_camera,
    open_folder,
    open_source,
    write_animation,
    write_image,
)

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


@pytest.mark.parametrize("fps", [0, -10, float("nan"), float("inf"), 2_000_000, "25"])
def test_a_rate_at_which_time_would_not_go_on_is_refused(tmp_path, fps):
    write_image(tmp_path / "a.png", GREY[0])
    for source in (GREY, tmp_path):
        opener = open_arrays if source is GREY else open_source
        with pytest.raises(InputError) as caught:
            opener(source, fps=fps)
        assert str(caught.value) == f"fps: expected a number in (0, 1000000], got {fps!r}"


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
    assert not camera.released  # a second loop goes on
    source.close()
    assert camera.released


def test_a_camera_goes_on_in_a_second_loop():
    now = iter([0.0, 0.1, 0.2, 0.3])
    source = open_camera(0, clock=lambda: next(now), capture=lambda index: FakeCamera(index))
    first = next(iter(source))
    second = next(iter(source))
    assert [(frame.index, frame.t_us) for frame in (first, second)] == [(0, 100_000), (1, 200_000)]


@pytest.mark.parametrize("fps", [float("nan"), -1.0, 0.0, float("inf")])
def test_a_camera_that_does_not_know_its_rate(fps):
    class Unsure(FakeCamera):
        def get(self, _property):
            return fps

    assert open_camera(0, capture=Unsure).fps == 30.0


def test_a_grey_camera_and_one_that_misses_a_frame():
    class Grey(FakeCamera):
        reads = 0

        def read(self):
            self.reads += 1
            return self.reads % 2 == 0, np.full((2, 2), 7, np.uint8)

    frames = iter(open_camera(0, capture=Grey))
    assert [next(frames).image[0, 0].tolist() for _ in range(3)] == [[7, 7, 7]] * 3


def test_strangers_in_a_folder_do_not_end_the_run(tmp_path):
    for name in ("a.png", "c.png", "e.png"):
        write_image(tmp_path / name, GREY[0])
    (tmp_path / "._a.png").write_bytes(b"macOS")
    (tmp_path / "b.png").mkdir()
    (tmp_path / "d.png").write_bytes(b"no picture")
    (tmp_path / "photo.heic").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("not a picture")
    with pytest.warns(MediaWarning, match=r"left out 1 of formats that are not read: photo\.heic"):
        source = open_source(tmp_path, fps=10)
    with pytest.warns(MediaWarning, match=r"1 of 4 pictures were left out; the first: .*d\.png"):
        frames = list(source)
    assert [(frame.index, frame.t_us) for frame in frames] == [(0, 0), (1, 100_000), (3, 300_000)]


def test_links_that_lead_nowhere_and_pipes_count_as_pictures_that_cannot_be_read(tmp_path):
    write_image(tmp_path / "d.png", GREY[0])
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b.png").symlink_to(tmp_path / "b.png")
    os.mkfifo(tmp_path / "c.png")  # which nobody writes into: opening it would wait for ever
    source = open_folder(tmp_path, fps=10)
    assert source.frames == 4
    with pytest.warns(MediaWarning, match=r"3 of 4 pictures were left out; the first: .*a\.png"):
        frames = list(source)
    assert [(frame.index, frame.t_us) for frame in frames] == [(3, 300_000)]
    (tmp_path / "d.png").unlink()
    with pytest.raises(MediaError, match="none of 3 pictures can be read"):
        list(open_folder(tmp_path))


def test_a_folder_of_which_nothing_can_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"none of 1 pictures can be read; the first: .*a\.png"):
        list(open_folder(tmp_path))


def test_every_suffix_that_is_read_is_found_in_a_folder(tmp_path):
    for suffix in (".avif", ".ppm", ".jp2", ".PNG"):
        write_image(tmp_path / f"a{suffix}", np.zeros((16, 16, 3), np.uint8))
    assert len(list(open_folder(tmp_path))) == 4


def test_a_folder_whose_name_is_a_number_is_no_camera(tmp_path, monkeypatch):
    (tmp_path / "5").mkdir()
    write_image(tmp_path / "5" / "a.png", GREY[0])
    monkeypatch.chdir(tmp_path)
    assert len(list(open_source("5"))) == 1


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".png", ".avif"])
def test_an_animation_is_a_video_with_its_own_times(tmp_path, suffix):
    times = [0, 40_000, 80_000, 200_000]
    shown = [
        Frame(np.full((16, 16, 3), 60 * number, np.uint8), t_us, number)
        for number, t_us in enumerate(times)
    ]
    write_animation(tmp_path / f"a{suffix}", shown)
    source = open_source(tmp_path / f"a{suffix}")
    frames = list(source)
    assert [frame.t_us for frame in frames] == times
    assert [round(float(frame.image.mean()) / 60) for frame in frames] == [0, 1, 2, 3]
    assert [frame.t_us for frame in source] == times


@pytest.mark.parametrize("suffix", [".webp", ".png", ".avif", ".tiff"])
def test_a_picture_that_stands_still_is_one_frame_of_the_rate_asked_for(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", GREY[0])
    source = open_source(tmp_path / f"a{suffix}", fps=25)
    assert (source.fps, source.frames) == (25, 1)


def test_a_url_keeps_its_slashes(monkeypatch):
    asked = []
    monkeypatch.setattr("handheld.media.sources.open_video", asked.append)
    url = "http://h/x.mkv?sig=a//b&next=http://c/d"
    open_source(url)
    assert asked == [url]


@pytest.mark.parametrize("number", [-1, 2**31, 1.5, "0", True])
def test_what_is_no_number_of_a_camera_never_comes_to_opencv(number):
    with pytest.raises(InputError, match="camera: expected a whole number in"):
        open_camera(number, capture=lambda index: pytest.fail("was opened"))


def test_a_camera_that_says_yes_and_gives_nothing():
    class Absent(FakeCamera):
        def read(self):
            return True, None

    with pytest.raises(MediaError, match="camera 0 stopped giving frames after 0"):
        next(iter(open_camera(0, capture=Absent)))


def test_an_empty_name_is_not_the_working_folder(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", GREY[0])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="expected a video, a folder, a URL"):
        open_source("")


@pytest.mark.parametrize("name", ["none", "a.txt", "a\0b", "x" * 300])
def test_what_is_no_folder(tmp_path, name):
    (tmp_path / "a.txt").write_text("no folder")
    with pytest.raises(MediaError, match="cannot be read as a folder"):
        open_folder(tmp_path / name)
    with pytest.raises(MediaError, match="cannot be read as a video"):
        open_source(tmp_path / name)


def test_no_camera():
    with pytest.raises(MediaError, match="camera 7 cannot be opened"):
        open_camera(7, capture=lambda index: FakeCamera(index, opens=False))
