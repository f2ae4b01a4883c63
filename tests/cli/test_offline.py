"""The commands that track hands, with the network forbidden and nothing fetched before."""

import json
import os
import subprocess
import sys
from importlib import resources

import pytest

from handheld.media import open_video, write_image

CLIP = resources.files("handheld.hands").joinpath("assets", "demo.mp4")

# An audit hook cannot be got around by a library that brings its own client; pip, by which bundles
# are fetched, is a process.
OFFLINE = """
import sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(forbid)
from handheld.cli import main

main()
"""


@pytest.fixture
def offline(tmp_path):
    """Run a command; its store of models is empty, and must stay so."""

    def run(*words):
        store = tmp_path / "store"
        environment = os.environ | {"HANDHELD_CACHE": str(store)}
        environment.pop("HANDHELD_ISOLATED", None)
        command = [sys.executable, "-c", OFFLINE, *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert not [*store.rglob("*.tflite")]
        return done

    return run


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", next(iter(open_video(CLIP))).image)
    return tmp_path / "photo.png"


def test_hands_in_a_photo_need_nothing_fetched(offline, photo):
    done = offline("hands", "detect", photo)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    hands = json.loads(line)["hands"]
    assert sorted(hand["handedness"] for hand in hands) == ["Left", "Right"]


def test_hands_in_a_clip_need_nothing_fetched(offline, tmp_path):
    done = offline("hands", "track", CLIP, "--json", tmp_path / "hands.jsonl", "--quiet")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "hands.jsonl").read_text().splitlines()
    assert len(lines) == 150
    assert sum(len(json.loads(line)["hands"]) for line in lines) > 250


def test_a_gesture_is_taught_with_nothing_fetched(offline, tmp_path):
    words = ["hands", "teach-gesture", "mine", "--from-video", CLIP]
    done = offline(*words, "--out", tmp_path / "my.gestures")
    assert done.returncode == 0, done.stderr


def test_mediapipes_packs_are_named_but_not_fetched_unasked(offline, photo):
    done = offline("hands", "detect", photo, "--pack", "mediapipe-full")
    assert done.returncode == 1
    assert "fetch it with: handheld models fetch mediapipe-hands" in done.stderr


def test_the_guard_of_these_tests_sees_what_fetches(offline):
    done = offline("models", "fetch", "mediapipe-hands")
    assert "AssertionError: subprocess.Popen" in done.stderr


def test_a_folder_that_is_called_as_the_pack_is_not_read(offline, photo, tmp_path):
    """A clone of this package is called handheld: results may lie in it."""
    (tmp_path / "handheld").mkdir()
    done = offline("hands", "detect", photo, "--json", "handheld/hands.jsonl")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "handheld" / "hands.jsonl").read_text().count("\n") == 1
