"""Videos as people's devices write them: turned, mirrored, with flat pixels, covers, holes, in
pipes.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest

from handheld.errors import MediaError
from handheld.media import MediaWarning, VideoWriter, open_source, open_video

HEIGHT, WIDTH = 48, 64
QUARTERS = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
QUARTERS[: HEIGHT // 2, : WIDTH // 2] = 240  # only the top left is bright
CORNERS = {
    "top left": (8, 8),
    "top right": (8, -8),
    "bottom left": (-8, 8),
    "bottom right": (-8, -8),
}

ONE = 0x10000
MATRICES = {
    "none": ((ONE, 0, 0, ONE), "top left", False),
    "mirrored": ((-ONE, 0, 0, ONE), "top right", False),
    "upside down": ((ONE, 0, 0, -ONE), "bottom left", False),
    "half a turn": ((-ONE, 0, 0, -ONE), "bottom right", False),
    "a quarter clockwise": ((0, ONE, -ONE, 0), "top right", True),
    "a quarter back": ((0, -ONE, ONE, 0), "bottom left", True),
    "transposed": ((0, ONE, ONE, 0), "top left", True),
    "transposed and half a turn": ((0, -ONE, -ONE, 0), "bottom right", True),
}
"""Name -> (a, b, c, d of the matrix, where the bright corner is shown, whether width and height
change places).
"""


def write(path, images=(QUARTERS,) * 3, **kwargs):
    with VideoWriter(path, fps=25, **kwargs) as writer:
        for step, image in enumerate(images):
            writer.write(image, 40_000 * step)
    return path


def with_matrix(path, matrix):
    """Put a display matrix into the header of an MP4's track, as phones do (ISO/IEC 14496-12,
    8.3.2).
    """
    a, b, c, d = matrix
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    numbers = [a, b, 0, c, d, 0, 0, 0, 0x40000000]
    content[place : place + 36] = b"".join(
        number.to_bytes(4, "big", signed=True) for number in numbers
    )
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("matrix", "corner", "turned"), MATRICES.values(), ids=MATRICES)
def test_each_of_the_eight_ways_to_lay_a_picture_down(tmp_path, matrix, corner, turned):
    reader = open_video(with_matrix(write(tmp_path / "a.mp4"), matrix))
    image = next(iter(reader)).image
    assert (
        (reader.height, reader.width)
        == image.shape[:2]
        == ((WIDTH, HEIGHT) if turned else (HEIGHT, WIDTH))
    )
    assert {name for name, place in CORNERS.items() if image[place].mean() > 150} == {corner}


@pytest.mark.parametrize(
    ("aspect", "width"), [(Fraction(4, 3), 85), (Fraction(1, 2), 32), (Fraction(1), 64)]
)
def test_pixels_are_square_when_they_are_shown(tmp_path, aspect, width):
    path = str(tmp_path / "a.mkv")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        container.mux(stream.encode(av.VideoFrame.from_ndarray(QUARTERS, format="rgb24")))
        container.mux(stream.encode(None))
    reader = open_video(path)
    assert (reader.height, reader.width) == next(iter(reader)).image.shape[:2] == (HEIGHT, width)


def with_cover(path, *, first):
    """A film with a cover picture as another stream."""
    with av.open(str(path), "w") as container:

        def add_cover():
            cover = container.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            return cover

        cover = add_cover() if first else None
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        cover = cover or add_cover()
        white = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 255, np.uint8), format="rgb24")
        container.mux(cover.encode(white.reformat(format="yuvj420p")))
        container.mux(cover.encode(None))
        for _ in range(3):
            container.mux(film.encode(av.VideoFrame.from_ndarray(QUARTERS, format="rgb24")))
        container.mux(film.encode(None))
    return path


@pytest.mark.parametrize("first", [True, False])
def test_a_cover_picture_is_not_the_film(tmp_path, first):
    path = with_cover(tmp_path / "a.mkv", first=first)
    frames = list(open_video(path))
    assert [frame.image.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 3


def test_a_pipe_is_read_once_and_says_so_when_asked_again(tmp_path):
    content = write(tmp_path / "a.mkv").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:  # writes while this thread reads
        writing = pool.submit(pipe.write_bytes, content)
        reader = open_video(pipe)
        assert len(list(reader)) == 3
        assert writing.result(timeout=30) == len(content)
    with pytest.raises(MediaError, match="can be read only once, and has been"):
        list(reader)


def test_standard_input_is_a_source(tmp_path, monkeypatch):
    with write(tmp_path / "a.mkv").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        reader = open_source("-")
        assert len(list(reader)) == 3
        with pytest.raises(MediaError, match="standard input: can be read only once"):
            list(reader)


def test_frames_that_change_their_size_come_as_they_are(tmp_path):
    big, small = tmp_path / "big.ts", tmp_path / "small.ts"
    write(big)
    write(small, [QUARTERS[::2, ::2]] * 3)
    (tmp_path / "both.ts").write_bytes(big.read_bytes() + small.read_bytes())
    frames = list(open_video(tmp_path / "both.ts"))
    assert {frame.image.shape for frame in frames} == {
        (HEIGHT, WIDTH, 3),
        (HEIGHT // 2, WIDTH // 2, 3),
    }
    times = [frame.t_us for frame in frames]
    assert times == sorted(set(times))


def noise(count):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]


def test_losses_in_the_middle_are_told(tmp_path):
    path = write(tmp_path / "a.mkv", noise(300))
    content = bytearray(path.read_bytes())
    start = len(content) // 2
    length = len(content) // 50
    content[start : start + length] = np.random.default_rng(1).bytes(length)
    path.write_bytes(content)
    with pytest.warns(
        MediaWarning, match=r"frames are missing: \d+ came of about 300; the longest gap"
    ):
        frames = list(open_video(path))
    assert 100 < len(frames) < 285


def write_avi(path, times, images):
    """Where no frame is due the muxer writes an empty chunk, as recorders of screens do."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        for time, image in zip(times, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.filterwarnings("ignore:.*broken packets")
def test_an_avi_that_was_cut_off_says_so(tmp_path):
    path = write_avi(tmp_path / "a.avi", range(40), noise(40))
    assert len(list(open_video(path))) == 40
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.warns(MediaWarning, match=r"a\.avi: truncated"):
        frames = list(open_video(path))
    assert 10 < len(frames) < 30


def test_an_avi_in_which_little_happens_is_whole(tmp_path):
    times = range(0, 90, 3)
    path = write_avi(tmp_path / "a.avi", times, noise(len(times)))
    assert len(list(open_video(path))) == len(times)


def write_with_sound(path, frames, seconds):
    """A film of 25 frames a second, and silence of another length."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=48_000, layout="stereo")
        for image in noise(frames):
            container.mux(film.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(film.encode(None))
        for block in range(round(seconds * 48_000 / 1024)):
            samples = np.zeros((2, 1024), np.float32)
            silence = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            silence.sample_rate, silence.pts = 48_000, block * 1024
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("length", ["nan:00:00", "inf:00:00", "1e9:00:00", "four seconds", ""])
def test_a_length_that_is_none_is_not_believed(tmp_path, length):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in noise(10):
            container.mux(film.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(film.encode(None))
    content = path.read_bytes()
    named = b"00:00:00.400000000"
    assert content.count(named) == 1
    path.write_bytes(content.replace(named, length.encode().ljust(len(named), b"\0")))
    reader = open_video(path)
    assert reader.seconds == pytest.approx(0.4, abs=0.01)
    assert len(list(reader)) == 10


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_may_be_longer_than_the_film(tmp_path, suffix):
    path = write_with_sound(tmp_path / f"a{suffix}", 50, 6)
    assert len(list(open_video(path))) == 50


@pytest.mark.filterwarnings("ignore:.*broken packets")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_short_film_with_sound_that_was_cut_off_says_so(tmp_path, suffix):
    path = write_with_sound(tmp_path / f"a{suffix}", 50, 2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.warns(MediaWarning, match=r"truncated: frames end at \d\.\d s of 2\.\d s"):
        frames = list(open_video(path))
    assert 10 < len(frames) < 45


def test_a_file_with_a_variable_rate_has_no_hole(tmp_path):
    with VideoWriter(tmp_path / "a.mkv", fps=30) as writer:
        t_us = 0
        for step in range(60):
            writer.write(QUARTERS, t_us)
            t_us += (
                40_000 if step % 5 else 500_000
            )  # as a recording of a screen on which little happens
    assert len(list(open_video(tmp_path / "a.mkv"))) == 60


def test_a_reader_can_be_closed_unread(tmp_path):
    with open_video(write(tmp_path / "a.mp4")) as reader:
        assert reader.seconds == pytest.approx(0.12, abs=0.05)
    assert len(list(reader)) == 3  # opens anew


def test_huge_frames_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4")
    monkeypatch.setattr("handheld.media.video_reader.MAX_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(MediaError, match="has frames of 64 x 48 pixels; at most 3,071 are read"):
        open_video(path)


@pytest.mark.parametrize(
    "start", [b"ffconcat version 1.0\nfile real.mp4\n", b"\xef\xbb\xbf#EXTM3U\nreal.mp4\n"]
)
def test_a_list_of_other_files_is_no_video(tmp_path, start):
    (tmp_path / "clip.mp4").write_bytes(start)
    with pytest.raises(MediaError, match="list of other files"):
        open_video(tmp_path / "clip.mp4")


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_a_stream_without_times_begins_at_0(tmp_path, codec):
    form = {"libx264": "h264", "mjpeg": "mjpeg"}[codec]
    path = tmp_path / f"raw.{form}"
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 32, 32
        stream.pix_fmt = "yuv420p" if form == "h264" else "yuvj420p"
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert [frame.t_us for frame in open_video(path)] == [0, 40_000, 80_000]
