import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from handheld.errors import InputError, MediaError
from handheld.media import MediaWarning, VideoWriter, open_video

TIMES = [0, 40_000, 80_000, 200_000, 240_000, 1_000_000]


def picture(step, height=48, width=64):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : 8 * (step % 8) + 1] = (200, 60, 30)
    return image


def write(path, times=TIMES, **size):
    with VideoWriter(path, fps=25) as writer:
        for step, t_us in enumerate(times):
            writer.write(picture(step, **size), t_us)
    return path


SUFFIXES = [".mp4", ".mkv", ".webm", ".mov", ".m4v", ".ts"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_and_pictures_survive(tmp_path, suffix):
    reader = open_video(write(tmp_path / f"a{suffix}"))
    frames = list(reader)
    assert (reader.width, reader.height) == (64, 48)
    assert [frame.index for frame in frames] == list(range(6))
    assert (
        np.abs(np.array([frame.t_us for frame in frames]) - TIMES).max() <= 1000
    )  # matroska keeps milliseconds
    assert all(np.abs(f.image.astype(int) - picture(i)).mean() < 12 for i, f in enumerate(frames))
    assert [frame.t_us for frame in reader] == [
        frame.t_us for frame in frames
    ]  # each "for" starts anew


def test_odd_sizes_are_padded(tmp_path):
    assert next(iter(open_video(write(tmp_path / "a.mp4", height=47, width=63)))).image.shape == (
        48,
        64,
        3,
    )


def test_one_frame(tmp_path):
    assert len(list(open_video(write(tmp_path / "a.mp4", [0])))) == 1


def test_a_clip_that_was_filmed_sideways(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(7), format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    place = content.index(b"tkhd") + 4 + 40  # the track's matrix; now: a quarter turn
    quarter = [0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000]
    content[place : place + 36] = b"".join(
        value.to_bytes(4, "big", signed=True) for value in quarter
    )
    (tmp_path / "a.mp4").write_bytes(content)
    reader = open_video(tmp_path / "a.mp4")
    assert (reader.width, reader.height) == (48, 64)
    image = next(iter(reader)).image
    assert image[5, 24, 0] > 150  # what was left is now at the top
    assert image[-2, 24, 0] < 80


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty file"), (b"hello " * 100, "cannot be read as a video"), (None, "No such file")],
    ids=["empty", "text", "missing"],
)
def test_no_video(tmp_path, content, message):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=message):
        open_video(path)


def test_a_file_with_sound_only(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="no video stream"):
        open_video(tmp_path / "a.mkv")


def test_a_codec_that_is_not_there(tmp_path):
    path = write(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_UNKNOWN/CODEC"))
    with pytest.raises(
        MediaError, match=r"a\.mkv: no decoder|a\.mkv: holds no frame that can be decoded"
    ):
        open_video(path)


def test_a_truncated_mp4_has_lost_its_index(tmp_path):
    path = write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MediaError, match=r"cannot be read as a video|truncated"):
        open_video(path)


def write_cut(path, frames, share):
    """Write a film of noise, 25 frames a second, and cut its file off."""
    rng = np.random.default_rng(0)
    with VideoWriter(path, fps=25) as writer:
        for step in range(frames):
            writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8), step * 40_000)
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])


def test_a_truncated_mkv_gives_what_it_has_and_says_so(tmp_path):
    write_cut(tmp_path / "a.mkv", 100, 1 / 3)
    with pytest.warns(MediaWarning, match="truncated: frames end at"):
        frames = list(open_video(tmp_path / "a.mkv"))
    assert 10 < len(frames) < 60


FULL = """
import resource, signal, sys
import numpy as np
from handheld.media import VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with VideoWriter(sys.argv[1]) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
    for index in range(60):
        noise = np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)
        writer.write(noise, index * 40_000)
"""


def test_a_short_film_that_lost_a_fifth_says_so(tmp_path):
    """Of two seconds; less than a second is missing."""
    write_cut(tmp_path / "a.mkv", 51, 0.75)
    with pytest.warns(MediaWarning, match=r"truncated: frames end at 1\.\d s of 2\.0 s"):
        frames = list(open_video(tmp_path / "a.mkv"))
    assert 30 < len(frames) < 45


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as Unix does")
@pytest.mark.parametrize("most", [0, 30_000])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_disk_that_fills_is_an_error_and_no_crash(tmp_path, suffix, most):
    """FFmpeg's code crashed over the frames that came after a header that could not be written."""
    command = [sys.executable, "-c", FULL, str(tmp_path / f"a{suffix}"), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "MediaError" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_times_must_increase(tmp_path):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(picture(0), 100)
        with pytest.raises(InputError, match="does not follow"):
            writer.write(picture(0), 100)
    assert len(list(open_video(tmp_path / "a.mp4"))) == 1


def test_frames_of_another_size_are_scaled_to_the_first_and_told_once(tmp_path):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(picture(7), 0)
        with pytest.warns(MediaWarning, match="frames of 32 x 24 pixels are scaled to 64 x 48"):
            writer.write(picture(7, height=24, width=32), 40_000)
        writer.write(picture(7, height=96, width=128), 80_000)  # a second warning would be an error
        writer.write(picture(7), 120_000)
    frames = list(open_video(tmp_path / "a.mp4"))
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 4
    assert frames[1].image[24, 10, 0] > 150


@pytest.mark.parametrize("name", ["a.MP4", "a.WebM", "a.MKV"])
def test_capitals_in_a_suffix_are_no_other_format(tmp_path, name):
    write(tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        codec = container.streams.video[0].codec_context.name
        assert codec.startswith("vp9" if name == "a.WebM" else "h264")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a", "a.txt"])
def test_another_suffix_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(MediaError, match="no video format has this suffix"):
        VideoWriter(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_video_appears_whole_or_not_at_all(tmp_path):
    def fail():
        with VideoWriter(tmp_path / "a.mp4") as writer:
            writer.write(picture(0), 0)
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        fail()
    with pytest.raises(MediaError, match="no frame was written"), VideoWriter(tmp_path / "b.mp4"):
        pass
    with pytest.raises(MediaError, match="no video format"), VideoWriter(tmp_path / "b.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [-1, 0, float("nan"), float("inf"), 1e9, "x"])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    with pytest.raises(InputError, match="fps: expected"):
        VideoWriter(tmp_path / "a.mp4", fps=fps)


@pytest.mark.parametrize("t_us", [1.5, None, float("nan"), "a", 2**63])
def test_a_time_that_is_none_is_refused_and_the_film_goes_on(tmp_path, t_us):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(picture(0), 0)
        with pytest.raises(InputError, match="whole microseconds"):
            writer.write(picture(1), t_us)
        writer.write(picture(1), 40_000)
    assert [frame.t_us for frame in open_video(tmp_path / "a.mp4")] == [0, 40_000]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("start", [1234, 40_000_000, 10**10])
def test_a_film_begins_when_its_first_frame_does(tmp_path, suffix, start):
    path = write(tmp_path / f"a{suffix}", [start + t_us for t_us in TIMES])
    offsets = np.array([frame.t_us for frame in open_video(path)]) - start - TIMES
    assert np.abs(offsets).max() <= {".mkv": 500, ".webm": 500, ".ts": 6}.get(suffix, 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_film_that_begins_before_0_is_moved(tmp_path, suffix):
    with pytest.warns(MediaWarning, match="moved by 100000 us"):
        write(tmp_path / f"a{suffix}", [t_us - 100_000 for t_us in TIMES])
    offsets = np.array([frame.t_us for frame in open_video(tmp_path / f"a{suffix}")]) - TIMES
    assert np.abs(offsets).max() <= 6


UNTELLABLE = [
    (".mkv", [0, 400], "one time in a file that counts in steps of 1000 us"),
    (".webm", [0, 400], "one time in a file"),
    (".ts", [0, 4], "one time in a file"),
    (".ts", [0, 10**11], "ends at 95000000000 us"),
    (".mp4", [0, 300_000_001], "at most 300000000 in this form of file"),
    (".mov", [40_000, 40_000], "does not follow"),
    (".mkv", [40_000, 0], "does not follow"),
]


@pytest.mark.parametrize(("suffix", "times", "message"), UNTELLABLE)
def test_a_time_that_the_file_could_not_give_back_is_refused(tmp_path, suffix, times, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path / f"a{suffix}", times)
    assert list(tmp_path.iterdir()) == []


def test_long_pauses_survive(tmp_path):
    times = list(np.cumsum([0, *[300_000_000] * 8, 40_000]))
    assert [frame.t_us for frame in open_video(write(tmp_path / "a.mp4", times))] == times


PAINT = (200, 60, 30)


def painted(path, size, matrix, tag=None):
    """A film of one colour, with that matrix."""
    width, height = size
    image = np.full((height, width, 3), PAINT, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=matrix
        )
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("size", "matrix", "tag"),
    [
        ((640, 480), "ITU601", None),
        ((720, 576), "ITU601", None),
        ((960, 720), "ITU709", None),
        ((1280, 544), "ITU709", None),
        ((960, 720), "ITU601", 6),
        ((640, 480), "ITU709", 1),
    ],
)
def test_colours_are_those_that_players_show(tmp_path, size, matrix, tag):
    image = next(iter(open_video(painted(tmp_path / "a.mp4", size, matrix, tag)))).image
    assert np.abs(image[10, 10].astype(int) - PAINT).max() <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".ts"])
@pytest.mark.parametrize(("size", "number"), [((64, 48), 6), ((1280, 720), 1)])
def test_colours_survive_and_the_file_says_their_matrix(tmp_path, suffix, size, number):
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path) as writer:
        writer.write(np.full((size[1], size[0], 3), PAINT, np.uint8), 0)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).colorspace == number
    assert np.abs(next(iter(open_video(path))).image[10, 10].astype(int) - PAINT).max() <= 4


@pytest.mark.parametrize("quality", [-1, 52, 20.0, True, "20"])
def test_a_quality_that_is_none(tmp_path, quality):
    with pytest.raises(InputError, match="quality: expected a whole number"):
        VideoWriter(tmp_path / "a.mp4", quality=quality)
