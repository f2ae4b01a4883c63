"""The command line, run as a person would, with the tiny models of tests/fixtures as the pack."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handheld.media import VideoWriter, open_video, write_image

FIXTURES = Path(__file__).parent.parent / "fixtures"


def picture(x):
    image = np.full((240, 320, 3), 30, np.uint8)
    image[90:150, x - 30 : x + 30] = 255
    return image


@pytest.fixture
def pack(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.toml").write_text(
        f'palm = "{FIXTURES / "tiny_palm.tflite"}"\nlandmark = "{FIXTURES / "tiny_landmark.tflite"}"\n'
    )
    return str(tmp_path / "pack")


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", fps=25) as writer:
        for index in range(6):
            writer.write(picture(100 + index), index * 40_000)
    return str(tmp_path / "clip.mp4")


def handheld(*words, **env):
    command = [sys.executable, "-m", "handheld.cli", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", "COLUMNS": "200"} | env
    )


def test_help_lists_the_commands():
    done = handheld("--help")
    assert done.returncode == 0
    for command in ("hands", "graph", "models", "doctor"):
        assert command in done.stdout
    assert handheld("--version").stdout.strip().count(".") == 2


def test_doctor_says_what_runs_and_what_to_fetch(tmp_path):
    done = handheld("doctor", HANDHELD_CACHE=str(tmp_path))
    assert done.returncode == 0
    assert "graph" in done.stdout
    assert "handheld models fetch mediapipe-hands" in done.stdout


def test_track_writes_video_and_json_lines(clip, pack, tmp_path):
    done = handheld(
        "hands", "track", clip, "--pack", pack, "--out", tmp_path / "o.mp4", "--json", tmp_path / "o.jsonl", "--every-node"
    )
    assert done.returncode == 0, done.stderr
    assert "frames/s" in done.stderr
    assert "detector ran 1 times" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [line["t_us"] for line in lines] == [index * 40_000 for index in range(6)]
    assert all(len(line["hands"]) == 1 and "regions" in line["nodes"] for line in lines)
    assert len(list(open_video(tmp_path / "o.mp4"))) == 6


def test_track_takes_a_folder_and_counts(pack, tmp_path):
    for index in range(3):
        write_image(tmp_path / "pictures" / f"{index}.png", picture(100))
    words = ("hands", "track", tmp_path / "pictures", "--pack", pack, "--json", tmp_path / "o.jsonl", "--gestures", "chinese")
    assert handheld(*words, "--palms-only").returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert lines[0]["hands"][0]["landmarks"] is None


def test_detect_prints_a_line_a_picture_and_names_those_it_cannot_read(pack, tmp_path):
    write_image(tmp_path / "a.png", picture(100))
    (tmp_path / "b.png").write_text("text")
    done = handheld("hands", "detect", tmp_path / "b.png", tmp_path / "a.png", "--pack", pack, "--out", tmp_path / "drawn")
    assert done.returncode == 1
    assert "b.png" in done.stderr
    line = json.loads(done.stdout)
    assert len(line["hands"]) == 1
    assert (tmp_path / "drawn" / "a.hands.png").is_file()


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty file"), (b"text " * 50, "cannot be read as a video"), (None, "No such file")]
)
def test_a_video_that_is_none_is_one_line_and_status_one(pack, tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    done = handheld("hands", "track", tmp_path / "a.mp4", "--pack", pack)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_mistakes_are_explained(clip, pack, tmp_path):
    for words, message in [
        (("hands", "track", clip, "--pack", "nosuch"), "no model pack"),
        (("hands", "track", clip, "--pack", pack, "--every-node"), "--json"),
        (("hands", "track", clip, "--pack", pack, "--out", tmp_path / "o.txt"), "no video format"),
        (("models", "fetch", "nosuch"), "mediapipe-hands"),
        (("graph", "draw", "nosuch"), "hands, palms"),
        (("graph", "draw", "--out", tmp_path / "o.png"), ".svg or .mmd"),
    ]:
        done = handheld(*words)
        assert done.returncode == 1, words
        assert message in done.stderr


def test_graph_draw(tmp_path):
    both = handheld("graph", "draw").stdout
    assert both.startswith("flowchart")
    assert "</svg>" in both
    assert handheld("graph", "draw", "palms", "--format", "mermaid").stdout.count("palm_detector") == 1
    assert handheld("graph", "draw", "--out", tmp_path / "g.svg").returncode == 0
    assert (tmp_path / "g.svg").read_text().startswith("<svg")


def test_models_list(tmp_path):
    done = handheld("models", "list", HANDHELD_CACHE=str(tmp_path))
    assert "mediapipe-hands" in done.stdout
    assert "no" in done.stdout
