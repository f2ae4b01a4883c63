"""``handheld hands teach-gesture`` and the gestures that it writes, with the tiny models."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import InputError, MediaError
from handheld.files import locked_file
from handheld.hands import TaughtGestures
from handheld.media import VideoWriter, write_image

FIXTURES = Path(__file__).parent.parent / "fixtures"
RUNNER = CliRunner()


def picture(x=None):
    image = np.full((240, 320, 3), 30, np.uint8)
    if x is not None:
        image[90:150, x - 30 : x + 30] = 255
    return image


def film(path, *squares):
    with VideoWriter(path, fps=25) as writer:
        for index, x in enumerate(squares):
            writer.write(picture(x), index * 40_000)
    return path


@pytest.fixture
def pack(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.toml").write_text(
        f'palm = "{FIXTURES / "tiny_palm.tflite"}"\nlandmark = '
        f'"{FIXTURES / "tiny_landmark.tflite"}"\n'
    )
    return tmp_path / "pack"


@pytest.fixture
def clip(tmp_path):
    return film(tmp_path / "clip.mp4", *range(140, 150))


@pytest.fixture
def teach(tmp_path, pack):
    def run(*words):
        command = ["hands", "teach-gesture", *words, "--out", tmp_path / "my.gestures"]
        if any(str(word).startswith("--from") for word in words):
            command += ["--pack", pack]
        return RUNNER.invoke(app, list(map(str, command)))

    return run


def kept(tmp_path):
    gestures = TaughtGestures.load(tmp_path / "my.gestures").gestures
    return {gesture.name: len(gesture.examples) for gesture in gestures}


def test_teach_list_use_and_forget(teach, clip, pack, tmp_path):
    done = teach("dot", "--from-video", clip)
    assert done.exit_code == 0, done.output
    assert kept(tmp_path) == {"dot": 10}
    assert "dot: 10 examples" in teach("--list").output
    track = ["hands", "track", clip, "--gestures", tmp_path / "my.gestures", "--pack", pack]
    lines = RUNNER.invoke(app, list(map(str, [*track, "--json", tmp_path / "o.jsonl"])))
    assert lines.exit_code == 0, lines.output
    hands = [
        json.loads(line)["hands"][0] for line in (tmp_path / "o.jsonl").read_text().splitlines()
    ]
    assert {hand["gesture"] for hand in hands} == {"dot"}
    assert teach("dot", "--forget").exit_code == 0
    assert kept(tmp_path) == {}
    assert "no gestures yet" in teach("--list").output


def test_a_gesture_is_added_while_nobody_else_adds_one(teach, clip, tmp_path, monkeypatch):
    """Of two commands at once the second one wrote what it had read before the first one wrote."""
    steps = []

    def told(name, step):
        def run(*words):
            try:
                with locked_file(tmp_path / "my.gestures"):
                    steps.append((name, "free"))
            except InputError:
                steps.append((name, "locked"))
            return step(*words)

        return run

    teach("first", "--from-video", clip)
    monkeypatch.setattr(TaughtGestures, "load", told("load", TaughtGestures.load))
    monkeypatch.setattr(TaughtGestures, "save", told("save", TaughtGestures.save))
    for words in (("second", "--from-video", clip), ("first", "--forget")):
        assert teach(*words).exit_code == 0
        assert steps == [("load", "free"), ("load", "locked"), ("save", "locked")]
        steps.clear()


def test_films_and_photos_add_up_and_more_adds_to_them(teach, clip, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for x in (100, 150):
        write_image(photos / f"{x}.png", picture(x))
    write_image(photos / "empty.png", picture())  # without a hand: left out
    (photos / "notes.txt").write_text("no picture")
    done = teach("dot", "--from-video", clip, "--from-video", clip, "--from-photos", photos)
    assert done.exit_code == 0, done.output
    assert kept(tmp_path) == {"dot": 22}
    assert teach("dot", "--from-video", clip, "--more").exit_code == 0
    assert kept(tmp_path) == {"dot": 32}


def refusals(tmp_path, clip):
    empty = film(tmp_path / "empty.mp4", *[None] * 5)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    (tmp_path / "folder").mkdir()
    return [
        (("dot", "--from-video", clip), InputError, "'dot' is known already, by 10 examples"),
        (("new", "--from-video", empty), InputError, "empty.mp4: no frame shows a whole hand"),
        (("new", "--from-video", broken), MediaError, "broken.mp4"),
        (("new", "--from-photos", tmp_path / "folder"), InputError, "none of 0 photos"),
        (("new", "--from-photos", clip), InputError, "expected a folder of photos"),
        (("new",), InputError, "expected examples"),
        (("new", "--from-video", clip, "--forget"), InputError, "expected examples"),
        (("--from-video", clip), InputError, "expected the name of a gesture"),
        (("dot", "--list"), InputError, "--list takes no name"),
        (("new", "--forget"), InputError, "no gesture 'new': expected dot"),
        (("a\tb", "--from-video", clip), InputError, "letters that can be printed"),
    ]


def test_what_cannot_be_taught_is_told_in_one_error_and_loses_nothing(teach, clip, tmp_path):
    assert teach("dot", "--from-video", clip).exit_code == 0
    before = (tmp_path / "my.gestures").read_bytes()
    for words, error, message in refusals(tmp_path, clip):
        done = teach(*words)
        assert isinstance(done.exception, error), (words, done.output)
        assert message in str(done.exception)
        assert (tmp_path / "my.gestures").read_bytes() == before


def test_a_file_that_holds_no_gestures_is_left_as_it_is(teach, clip, tmp_path):
    (tmp_path / "my.gestures").write_text("my notes")
    done = teach("dot", "--from-video", clip)
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "my.gestures").read_text() == "my notes"


def test_a_file_of_another_name_is_refused(tmp_path):
    done = RUNNER.invoke(
        app, ["hands", "teach-gesture", "--list", "--out", str(tmp_path / "my.toml")]
    )
    assert "ends with .gestures" in str(done.exception)


def track(clip, pack, *words):
    command = ["hands", "track", clip, "--pack", pack, *words]
    return RUNNER.invoke(app, list(map(str, command)))


def test_motions_are_in_the_lines_where_they_are_asked_for(clip, pack, tmp_path):
    for method in ("rules", "learned"):
        done = track(clip, pack, "--motions", method, "--json", tmp_path / "o.jsonl")
        assert done.exit_code == 0, done.output
        lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        assert [line["motions"] for line in lines] == [[]] * 10  # a hand that hardly moves
    track(clip, pack, "--json", tmp_path / "o.jsonl")
    assert "motions" not in (tmp_path / "o.jsonl").read_text()


def test_motions_by_another_method_or_without_landmarks_are_refused(clip, pack):
    done = track(clip, pack, "--motions", "guess")
    assert "--motions: expected rules, learned or an .npz file, got 'guess'" in str(done.exception)
    done = track(clip, pack, "--motions", "rules", "--palms-only")
    assert "leave out --palms-only" in str(done.exception)
