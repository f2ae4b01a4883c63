"""The whole way to a bundle, by one command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.reply.bundle import ReplyBundle
from handheld.reply.training import selection, vectors
from handheld.reply.training.vectors import make_vectors, useful_words
from handheld.training.runs import locked

pytest.importorskip("torch")
STAGES = {
    "first.pt",
    "second.pt",
    "words.npz",
    "topics.pt",
    "teacher.pt",
    "taught.npz",
    "detector.pt",
}


def test_one_command_makes_everything_and_goes_on_without_what_it_has_done(
    configuration: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ["reply", "train", str(configuration), "--encoder", str(encoder)]
    with monkeypatch.context() as stopped:
        stopped.setattr(selection, "mixing_of", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert CliRunner().invoke(app, words).exit_code != 0
    assert not (tmp_path / "tiny.replies").exists()
    assert {path.name for path in (tmp_path / "tiny.run").iterdir()} == STAGES | {
        "lock",
        "seconds.json",
    }
    with locked(tmp_path / "tiny.run", "lock"):
        second = CliRunner().invoke(app, words)
    assert second.exit_code != 0
    assert "another run uses" in str(second.exception)
    before = {name: (tmp_path / "tiny.run" / name).read_bytes() for name in STAGES}
    shutil.rmtree(encoder)  # what it taught was kept
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert {name: (tmp_path / "tiny.run" / name).read_bytes() for name in STAGES} == before
    network = ReplyBundle.read(tmp_path / "tiny.replies").detector.network
    with np.load(tmp_path / "tiny.run" / "words.npz") as kept:
        assert len(network.vocabulary.keys) == len(kept["words"])


def test_the_most_useful_words_come_first():
    said = ["well lunch"] * 9 + ["rare"] * 4
    assert useful_words(said, ["my dog", "my 2"], ["table", "##le", "on"]) == [
        "my",
        "dog",
        "lunch",
        "well",
        "table",
    ]


def test_vectors_of_words_are_made_once(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "run" / "words.npz"
    path.parent.mkdir()
    make_vectors(path, encoder, [], ["hello you", "hello"], (6, 4), lambda *_: None)
    with np.load(path) as kept:
        assert kept["words"].tolist()[:2] == ["hello", "you"]
        assert kept["vectors"].shape == (6, 4)
        assert kept["vectors"].astype(float).std() == pytest.approx(1, abs=0.01)
    monkeypatch.setattr(vectors, "SentenceEncoder", None)
    make_vectors(path, encoder, [], [], (6, 4), lambda *_: None)
