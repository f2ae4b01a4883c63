"""What Ctrl-C or a failure in the middle leaves of a command: in one line, with the lines that were
done whole.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import FileError
from handheld.hands import HandTracker
from handheld.media import write_image

RUNNER = CliRunner()
FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def pack(tmp_path):
    (tmp_path / "pack").mkdir()
    palm, landmark = FIXTURES / "tiny_palm.tflite", FIXTURES / "tiny_landmark.tflite"
    table = f'palm = "{palm}"\nlandmark = "{landmark}"\n'
    (tmp_path / "pack" / "pack.toml").write_text(table)
    return str(tmp_path / "pack")


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        write_image(path, np.zeros((64, 64, 3), np.uint8))
    return list(map(str, paths))


def on_call(number, error, then):
    """Return a function that raises at its ``number``-th call, and is ``then`` before."""
    calls = []

    def function(*arguments, **options):
        calls.append(arguments)
        if len(calls) == number:
            raise error
        return then(*arguments, **options)

    return function


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_pictures_that_were_looked_at_keep_their_lines(pack, photos, tmp_path, monkeypatch):
    detect = on_call(3, KeyboardInterrupt, HandTracker.detect)
    monkeypatch.setattr(HandTracker, "detect", detect)
    lines, out = tmp_path / "a.jsonl", tmp_path / "out"
    words = ["hands", "detect", *photos, "--pack", pack, "--json", str(lines), "--out", str(out)]
    done = RUNNER.invoke(app, words)
    assert done.exit_code == 130
    assert f"stopped; 2 of 5 pictures were looked at, and {lines} holds their lines" in done.stderr
    assert [line["image"] for line in lines_of(lines)] == photos[:2]
    assert sorted(path.name for path in out.iterdir()) == ["0.hands.png", "1.hands.png"]


def test_a_full_disk_for_pictures_leaves_the_lines(pack, photos, tmp_path, monkeypatch):
    write = on_call(3, FileError("the disk is full"), write_image)
    monkeypatch.setattr("handheld.media.write_image", write)
    lines, out = tmp_path / "a.jsonl", tmp_path / "out"
    words = ["hands", "detect", *photos, "--pack", pack, "--json", str(lines), "--out", str(out)]
    done = RUNNER.invoke(app, words)
    assert str(done.exception) == "the disk is full"
    assert [line["image"] for line in lines_of(lines)] == photos[:3]


def test_a_second_interrupt_while_a_tracker_is_closed(pack, tmp_path, monkeypatch):
    folder = tmp_path / "frames"
    folder.mkdir()
    write_image(folder / "a.png", np.zeros((64, 64, 3), np.uint8))
    lines = tmp_path / "a.jsonl"
    monkeypatch.setattr(HandTracker, "__exit__", on_call(1, KeyboardInterrupt, None))
    done = RUNNER.invoke(app, ["hands", "track", str(folder), "--pack", pack, "--json", str(lines)])
    assert done.exit_code == 130
    assert f"wrote {lines}" in done.stderr
    assert len(lines_of(lines)) == 1


def test_synthesis_that_is_stopped_goes_on(tmp_path, monkeypatch):
    name = "handheld.hands.training.render.synthesis.synthesise"
    monkeypatch.setattr(name, on_call(1, KeyboardInterrupt, None))
    done = RUNNER.invoke(app, ["hands", "synth", "--out", str(tmp_path)])
    assert done.exit_code == 130
    assert f"stopped; the same command goes on from what {tmp_path} keeps" in done.stderr


class Guesser:
    """A classifier that is stopped at its third text."""

    threshold = 0.0

    def __init__(self):
        self.classify = on_call(3, KeyboardInterrupt, lambda text, top: [("a", 0.5)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_labels_of_texts_are_kept(tmp_path, monkeypatch):
    opened = SimpleNamespace(open=lambda _: Guesser())
    monkeypatch.setattr("handheld.projection.TextClassifier", opened)
    lines = tmp_path / "a.jsonl"
    words = ["text", "predict", "m.tflite", "--json", str(lines)]
    done = RUNNER.invoke(app, words, input="one\ntwo\nthree\nfour\n")
    assert done.exit_code == 130
    assert "stopped; all lines up to here are labelled" in done.stderr
    assert [line["text"] for line in lines_of(lines)] == ["one", "two"]
