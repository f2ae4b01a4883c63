import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from rich.console import Console

from handheld.demo.__main__ import main
from handheld.demo.devices import learn
from handheld.demo.hands import choose_clip, track
from handheld.demo.propagated import spread
from handheld.demo.texts import classify
from handheld.errors import MissingDependencyError
from handheld.media import VideoWriter, write_animation


@pytest.fixture
def console():
    return Console(quiet=True)


def test_the_clip_given_comes_first_then_a_real_one_then_the_one_that_ships(tmp_path):
    assert choose_clip("mine.mp4", str(tmp_path)) == Path("mine.mp4")
    shipped = choose_clip(None, str(tmp_path))
    assert shipped.name == "demo.mp4"
    assert shipped.stat().st_size < 1_000_000
    real = tmp_path / "hands" / "video" / "please.mkv"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"x")
    assert choose_clip(None, str(tmp_path)) == real


def test_a_clip_that_cannot_be_read_is_one_line(tmp_path, capsys):
    (tmp_path / "a.mp4").write_text("text")
    assert main(["--video", str(tmp_path / "a.mp4"), "--out", str(tmp_path / "report")]) == 1
    assert "cannot be read as a video" in capsys.readouterr().out


def test_a_folder_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "report").touch()
    assert main(["--out", str(tmp_path / "report")]) == 1
    assert "report: cannot be made: File exists" in capsys.readouterr().out


@pytest.fixture
def wide_clip(tmp_path):
    """A clip of a phone's size."""
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for step in range(3):
            writer.write(np.full((1080, 1920, 3), 60 * step, np.uint8), 40_000 * step)
    return tmp_path / "a.mp4"


def test_frames_are_kept_as_small_as_they_are_shown(wide_clip, tmp_path, console, monkeypatch):
    """400 frames of 1080p took 5 GB."""
    shapes = []

    def note(path, frames, **options):
        shapes.extend(frame.image.shape for frame in frames)
        write_animation(path, frames, **options)

    monkeypatch.setattr("handheld.demo.hands.write_animation", note)
    track(wide_clip, tmp_path, console)
    assert shapes == [(270, 480, 3)] * 3


def test_an_interrupt_while_hands_are_tracked_ends_the_demo(
    wide_clip, tmp_path, monkeypatch, capsys
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("handheld.demo.hands.shrink", interrupt)
    assert main(["--video", str(wide_clip), "--out", str(tmp_path)]) == 130
    assert "stopped; " in capsys.readouterr().out
    assert not (tmp_path / "index.html").exists()


def test_a_part_whose_packages_are_missing_is_left_out_and_named(tmp_path, monkeypatch, capsys):
    def missing(*_: object) -> Markup:
        raise MissingDependencyError("torch", "train", "this part")

    monkeypatch.setattr("handheld.demo.hands.track", lambda *_: Markup("<p>hands</p>"))
    monkeypatch.setattr("handheld.demo.digits.shrink", missing)
    for part in ("texts.classify", "propagated.spread", "devices.learn"):
        monkeypatch.setattr(f"handheld.demo.{part}", missing)
    assert main(["--out", str(tmp_path / "report")]) == 0
    assert "left out: this part needs 'torch'" in capsys.readouterr().out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<p>hands</p>" in page
    assert page.count("Left out: this part needs") == 4
    assert "Suggested replies" in page
    for raw in ("sensitive: ", ">0%<"):
        assert raw not in page


def test_the_page_of_the_shipped_clip(tmp_path):
    """As ``make demo`` without a data folder, but for shorter learning."""
    clip = str(choose_clip(None, str(tmp_path)))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "handheld.demo",
            "--out",
            str(tmp_path),
            "--video",
            clip,
            "--epochs",
            "1",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "hands.webp" in page
    assert (tmp_path / "hands.webp").read_bytes()[8:12] == b"WEBP"
    assert page.count('<rect class="') >= 150
    assert "digits/report.html" in page
    family = json.loads((tmp_path / "digits" / "family.json").read_text("utf-8"))
    named = {
        member["file"]
        for member in (family["teacher"], *family["members"], family["quantised"])
        if member
    }
    assert len(family["members"]) == 3
    assert {file.name for file in (tmp_path / "digits").glob("*.tflite")} == named


def cells(section):
    """The rows of a section's table, without its head."""
    rows = re.findall(r"<tr>(<td.*?)</tr>", str(section), re.DOTALL)
    return [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in rows]


def share(text):
    return float(text.removesuffix("%")) / 100


def test_labels_spread_further_than_the_nearest_neighbour(console):
    rows = cells(spread(console))
    assert [row[0] for row in rows] == ["10", "50", "200"]
    assert all(share(row[2]) > max(0.8, share(row[3])) for row in rows)


def test_devices_learn_and_two_bits_send_less(console):
    section = learn(console)
    whole, few = cells(section)
    assert min(share(whole[1]), share(few[1])) > 0.7
    kilobytes = [float(row[2].removesuffix(" KB").replace(",", "")) for row in (whole, few)]
    assert kilobytes[1] < kilobytes[0] / 10
    assert "<svg" in section


def test_texts_that_were_not_seen_are_sorted(console):
    assert [row[1] for row in cells(classify(console))] == [
        "light",
        "alarm",
        "music",
        "alarm",
        "light",
    ]
