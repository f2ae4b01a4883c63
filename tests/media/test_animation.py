import numpy as np
import pytest
from PIL import Image

from handheld.errors import MediaError
from handheld.media import Frame, write_animation

FRAMES = [
    Frame(np.full((40, 80, 3), 60 * step, np.uint8), t_us, step)
    for step, t_us in enumerate([0, 40_000, 140_000])
]


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


def test_nothing_to_show(tmp_path):
    with pytest.raises(MediaError, match="no frame"):
        write_animation(tmp_path / "a.webp", [])
    with pytest.raises(MediaError, match="cannot be written"):
        write_animation(tmp_path / "a.xyz", FRAMES)
    assert list(tmp_path.iterdir()) == []
