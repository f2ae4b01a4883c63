import subprocess
import sys
from pathlib import Path

import pytest

from handheld.web.demo import choose_clip, main


def test_the_clip_given_comes_first_then_a_real_one_then_the_one_that_ships(tmp_path):
    assert choose_clip("mine.mp4", str(tmp_path)) == Path("mine.mp4")
    shipped = choose_clip(None, str(tmp_path))
    assert shipped.name == "demo.mp4"
    assert shipped.stat().st_size < 1_000_000
    real = tmp_path / "hands" / "video" / "please.mkv"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"x")
    assert choose_clip(None, str(tmp_path)) == real


def test_a_clip_that_cannot_be_read_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("handheld.web.demo.fetch", lambda bundle: None)
    (tmp_path / "a.mp4").write_text("text")
    assert main(["--video", str(tmp_path / "a.mp4"), "--out", str(tmp_path / "report")]) == 1
    assert "cannot be read as a video" in capsys.readouterr().out


@pytest.mark.timeout(120)
def test_the_page_of_the_shipped_clip(tmp_path):
    """As ``make demo`` without a data folder; needs the models, which it fetches once."""
    done = subprocess.run(
        [sys.executable, "-m", "handheld.web.demo", "--out", str(tmp_path), "--video", str(choose_clip(None, str(tmp_path)))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "could not download" in done.stdout:
        pytest.skip("MediaPipe's models are not here and cannot be fetched")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "hands.webp" in page
    assert (tmp_path / "hands.webp").read_bytes()[8:12] == b"WEBP"
    assert page.count('<rect class="') >= 150
