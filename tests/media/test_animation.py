import numpy as np
import pytest
from PIL import Image

from handheld.errors import InputError, MediaError
from handheld.media import Frame, write_animation
from handheld.pictures import decode_animation

FRAMES = [
    Frame(np.full((40, 80, 3), 60 * step, np.uint8), t_us, step)
    for step, t_us in enumerate([0, 40_000, 140_000])
]


def read(path):
    return list(decode_animation(path.read_bytes()))


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_an_animation_loops_at_the_frames_own_times(tmp_path, suffix):
    write_animation(tmp_path / f"a{suffix}", FRAMES, width=40)
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert picture.size == (40, 20)
        assert picture.n_frames == 3
        assert picture.info["loop"] == 0
        times = []
        for step in range(3):
            picture.seek(step)
            picture.load()
            times.append(picture.info["duration"])
    assert times == [40, 100, 100]


@pytest.mark.parametrize(("suffix", "tick"), [(".webp", 1), (".gif", 10), (".png", 1)])
def test_rounding_errors_do_not_add_up(tmp_path, suffix, tick):
    """At 30 frames a second each frame rounds down, and three seconds were 2.7 s in a GIF."""
    frames = [
        Frame(np.full((8, 8, 3), 40 * (step % 6), np.uint8), 5 + round(step * 1e6 / 30), step)
        for step in range(91)
    ]
    write_animation(tmp_path / f"a{suffix}", frames)
    ends = np.cumsum([frame.seconds for frame in read(tmp_path / f"a{suffix}")])
    assert len(ends) == 91
    assert np.abs(ends[:-1] * 1000 - np.arange(1, 91) / 30 * 1000).max() <= tick / 2 + 0.01


def test_frames_faster_than_a_format_counts_are_all_there(tmp_path):
    frames = [Frame(np.full((8, 8, 3), step, np.uint8), 1000 * step, step) for step in range(40)]
    write_animation(tmp_path / "a.gif", frames)
    assert [frame.seconds for frame in read(tmp_path / "a.gif")] == [0.01] * 40


@pytest.mark.parametrize("wrong", [{"width": 0}, {"width": 1.5}, {"quality": 101}])
def test_numbers_out_of_range_are_named(tmp_path, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected a whole number"):
        write_animation(tmp_path / "a.webp", FRAMES, **wrong)


@pytest.mark.parametrize("suffix", [".jpg", ".ico", ".tiff", ".pdf", ".mp4", ""])
def test_a_format_without_times_is_no_animation(tmp_path, suffix):
    with pytest.raises(MediaError, match=r"an animation ends in \.webp, \.gif, "):
        write_animation(tmp_path / f"a{suffix}", FRAMES)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_show(tmp_path):
    with pytest.raises(MediaError, match="no frame"):
        write_animation(tmp_path / "a.webp", [])
    with pytest.raises(MediaError, match="cannot be written"):
        write_animation(tmp_path / "a.xyz", FRAMES)
    assert list(tmp_path.iterdir()) == []
