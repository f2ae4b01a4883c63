"""``handheld reply``, as a person types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from handheld.cli import reply as commands
from handheld.cli.app import app
from handheld.errors import InputError, ModelError
from handheld.reply import Message, PersonalState, Replier

RUNNER = CliRunner()


def run(*words: object, typed: str = "") -> str:
    done = RUNNER.invoke(app, ["reply", *map(str, words)], input=typed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_replies_are_printed_one_a_line(bundle_file: Path, replier: Replier):
    out = run("suggest", "thanks a lot", "--bundle", bundle_file)
    assert [line.split("  ")[1] for line in out.splitlines()] == list(
        replier.suggest("thanks a lot").texts
    )
    why = run("suggest", "thanks a lot", "--bundle", bundle_file, "--why")
    assert "you're welcome" in why
    assert "signatures" not in why
    assert (
        run("suggest", "the long story of the tall blue bicycle tree", "--bundle", bundle_file)
        == ""
    )
    fixed = run(
        "suggest",
        "the long story of the tall blue bicycle tree",
        "--bundle",
        bundle_file,
        "--fallback",
    )
    assert len(fixed.splitlines()) == 3
    mine = run(
        "suggest", "where are you now", "me: at home", "thanks a lot", "--bundle", bundle_file
    )
    said = [Message("where are you now"), Message("at home", True), Message("thanks a lot")]
    assert [line.split("  ")[1] for line in mine.splitlines()] == list(replier.suggest(said).texts)


@pytest.mark.parametrize("mark", ["me: ", "Me: ", "ME:", " me:  "])
def test_ones_own_message_is_known_however_it_is_marked(bundle_file: Path, mark):
    assert run("suggest", "where are you now", f"{mark}at home", "--bundle", bundle_file) == ""


def test_a_chat_learns_what_is_picked(bundle_file: Path, tmp_path: Path):
    path = tmp_path / "me.json"
    run(
        "chat",
        "--bundle",
        bundle_file,
        "--personal",
        path,
        typed="where are you now\n2\nthanks a lot\nany day\n\n",
    )
    choices = PersonalState.read(path).choices
    assert len(choices) == 2
    assert choices[1].reply == "any day"
    typed = "where are you now\nmy pin is 4921\n\n"
    run("chat", "--bundle", bundle_file, "--personal", path, typed=typed)
    assert len(PersonalState.read(path).choices) == 2
    run("chat", "--bundle", bundle_file, "--personal", path, typed="/forget\n\n")
    assert PersonalState.read(path).choices == ()


def test_a_chat_goes_on_where_nothing_can_be_learned(
    bundle_file: Path, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "me.json"
    lines = iter(
        ["where are you now", "\udcff", "what is your password", "up here", "hello", "hi", ""]
    )
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    commands.chat(bundle_file, path)
    told = capsys.readouterr().err
    assert "not remembered: expected a reply of whole letters" in told
    assert "not remembered: nothing is learned from such a message" in told
    assert len(PersonalState.read(path).choices) == 1


def test_a_bundle_is_evaluated(bundle_file: Path, written, tmp_path: Path):
    out = run(
        "evaluate",
        bundle_file,
        written(tmp_path),
        "--candidates",
        10,
        "--most",
        40,
        "--json",
        tmp_path / "figures.json",
        "--out",
        tmp_path / "report.html",
    )
    assert "R@1" in out
    assert "recall@3 by intent" in out
    assert json.loads((tmp_path / "figures.json").read_text())["exchanges"] == 40
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "recall@3 by intent" in page
    assert page.count("<svg") == 2  # for wide pages and for phones


def test_a_bundle_is_trained_and_a_run_goes_on(configuration: Path, tmp_path: Path):
    out = run("train", configuration, "--out", tmp_path / "new.replies")
    assert "18 replies of 6 intents" in out or "replies of 6 intents" in out
    first = (tmp_path / "new.replies").read_bytes()
    (tmp_path / "new.replies").unlink()
    run(
        "train", configuration, "--out", tmp_path / "new.replies"
    )  # from the states of the finished stages
    assert Replier.open(tmp_path / "new.replies").bundle.card["name"] == "tiny"
    assert len(first) == pytest.approx(
        (tmp_path / "new.replies").stat().st_size, rel=0.01
    )  # but for seconds on the card


def test_a_bundle_that_is_there_lends_its_ranker(
    configuration: Path, tmp_path: Path, bundle_file: Path
):
    run("train", configuration, "--out", tmp_path / "new.replies", "--base", bundle_file)
    found, base = Replier.open(tmp_path / "new.replies"), Replier.open(bundle_file)
    assert (
        found.rank("hello there", ["hi", "no"]).tolist()
        == base.rank("hello there", ["hi", "no"]).tolist()
    )
    assert found.bundle.replies == base.bundle.replies
    assert not (tmp_path / "new.run" / "first.pt").exists()


def test_bad_configurations_and_files_are_named(
    configuration: Path, tmp_path: Path, bundle_file: Path
):
    configuration.write_text(configuration.read_text().replace("rows = 512", "colour = 3", 1))
    with pytest.raises(InputError, match="no entry 'colour'"):
        run("train", configuration)
    with pytest.raises(ModelError, match=r"tiny\.toml"):
        run("suggest", "hi", "--bundle", configuration)
    with pytest.raises(InputError, match="cannot be read"):
        run("evaluate", bundle_file, tmp_path / "none.jsonl")
