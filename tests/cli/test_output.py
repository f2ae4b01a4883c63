"""One way for all commands: results on standard output, in words or as JSON; the rest on standard
error, or not at all.
"""

import json
import os
import re
import signal
import threading
import warnings
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from handheld.cli import _complain, main
from handheld.cli._output import Output, shown, table_of
from handheld.cli.app import app
from handheld.errors import InputError
from handheld.files import INTERRUPTS as INTERRUPTING
from handheld.files import open_lines
from handheld.media import MediaWarning

RUNNER = CliRunner()

# Those whose result is a page, a conversation or a picture.
WITHOUT_RESULTS = {
    "bench agent",
    "bench serve",
    "bench work",
    "compress serve",
    "federated serve",
    "graph draw",
    "graph view",
    "hands label",
    "hands synth",
    "reply chat",
    "reply serve",
}


def commands(group=None, before=""):
    """All commands, by name."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_every_command_that_has_results_writes_them_as_json():
    without = {
        name
        for name, command in commands()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == WITHOUT_RESULTS


def test_every_command_that_has_results_can_be_quiet():
    for name, command in commands():
        if name not in WITHOUT_RESULTS:
            assert any({"--quiet", "-q"} <= set(parameter.opts) for parameter in command.params), (
                name
            )


def test_json_is_always_a_file_or_standard_output():
    for name, command in commands():
        for parameter in command.params:
            if "--json" in parameter.opts:
                assert not parameter.is_flag, name


@pytest.mark.parametrize(
    "words", [["doctor"], ["models", "list"], ["reply", "suggest", "see you at eight?"]]
)
def test_json_on_standard_output_is_alone_there(words):
    done = RUNNER.invoke(app, [*words, "--json", "-"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)


def test_json_in_a_file_comes_beside_the_words(tmp_path):
    done = RUNNER.invoke(app, ["models", "list", "--json", str(tmp_path / "m.json")])
    assert "mediapipe-hands" in done.stdout
    assert json.loads((tmp_path / "m.json").read_text())[0]["bundle"] == "mediapipe-hands"


def test_words_do_not_stand_within_a_file_on_standard_output(capfd):
    Output(out=Path("/dev/stdout")).result("3 of 4", {})
    assert tuple(capfd.readouterr()) == ("", "3 of 4\n")
    Output(out=Path("/dev/null")).result("3 of 4", {})
    assert tuple(capfd.readouterr()) == ("3 of 4\n", "")


def test_names_that_are_no_text_come_back_as_they_were(tmp_path):
    name = os.fsdecode(b"a\xff.png")
    Output(json=tmp_path / "a.json").result("", {"file": Path(name)})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"file": name}
    with open_lines(tmp_path / "a.jsonl") as lines:
        lines.write(json.dumps({"file": name}, ensure_ascii=False) + "\n")
    assert json.loads((tmp_path / "a.jsonl").read_text("utf-8")) == {"file": name}


def test_what_is_no_text_for_a_pipe_makes_no_file_called_minus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["text", "train", "x.tsv"], ["propagate", "x.tsv", "y.tsv"]):
        done = RUNNER.invoke(app, [*words, "--out", "-"])
        assert isinstance(done.exception, InputError), done.output
        assert str(done.exception).startswith("-: expected the name of a file")
    assert [*tmp_path.iterdir()] == []


def test_what_is_quiet_says_results_and_warnings(capsys):
    output = Output(quiet=True)
    output.say("a note")
    output.warn("not all")
    output.result("3 of 4", {"right": 3})
    said = capsys.readouterr()
    assert said.out == "3 of 4\n"
    assert said.err == "warning: not all\n"


def test_numbers_that_json_does_not_have(tmp_path, capsys):
    values = {"loss": float("nan"), "rows": (np.float32(0.5), np.arange(2)), "path": tmp_path}
    Output(json="-").result("words", values)
    assert json.loads(capsys.readouterr().out) == {
        "loss": None,
        "rows": [0.5, [0, 1]],
        "path": str(tmp_path),
    }


def test_replies_that_the_model_is_not_sure_of_are_a_note():
    done = RUNNER.invoke(app, ["reply", "suggest", "def f(x): return x"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr
    assert RUNNER.invoke(app, ["reply", "suggest", "def f(x): return x", "--quiet"]).stderr == ""


def test_the_end_of_a_chat(monkeypatch):
    assert RUNNER.invoke(app, ["reply", "chat"], input="see you at eight?\n1\n").exit_code == 0

    def interrupt(prompt):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupt)
    assert RUNNER.invoke(app, ["reply", "chat"]).exit_code == 130


INTERRUPTS = pytest.mark.parametrize("number", INTERRUPTING)


@INTERRUPTS
def test_what_fails_because_it_was_stopped_is_no_trace(number, monkeypatch, capsys):
    def swallowed(**_):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr("handheld.cli.app.app", swallowed)
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "stopped\n")


def test_what_fails_of_itself_keeps_its_trace(monkeypatch):
    def wrong(**_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("handheld.cli.app.app", wrong)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main()


@INTERRUPTS
def test_a_signal_that_is_ignored_stays_so(number, monkeypatch):
    """As behind ``nohup``, or in a script's background."""
    before = signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr("handheld.cli.app.app", lambda **_: signal.raise_signal(number))
    try:
        main()
    finally:
        signal.signal(number, before)


def test_a_warning_of_ours_is_a_line_without_our_source(monkeypatch, capsys):
    def warn(**_):
        warnings.warn("a.mkv: truncated", MediaWarning, stacklevel=1)
        warnings.warn("of another library", UserWarning, stacklevel=1)

    monkeypatch.setattr("handheld.cli.app.app", warn)
    with pytest.warns(UserWarning, match="of another library"):
        main()
    assert capsys.readouterr().err == "warning: a.mkv: truncated\n"


def drop_an_interrupt(number):
    value = Event()
    reference = weakref.ref(value, lambda _: signal.raise_signal(number))
    del value
    assert reference() is None


@INTERRUPTS
def test_an_interrupt_that_comes_again_does_not_come_after_the_end(number, monkeypatch):
    monkeypatch.setattr("handheld.cli.app.app", lambda **_: drop_an_interrupt(number))
    before = threading.active_count()
    main()
    assert threading.active_count() == before


@INTERRUPTS
def test_an_interrupt_that_a_callback_drops_comes_again(number, monkeypatch, capsys):
    """Python can raise nothing out of a callback of a weak reference."""
    went_on = Event()

    def busy(**_):
        drop_an_interrupt(number)
        went_on.set()
        while True:
            Event().wait(0.01)

    monkeypatch.setattr("handheld.cli.app.app", busy)
    with pytest.raises(SystemExit) as ended:
        main()
    assert went_on.is_set()
    assert (ended.value.code, capsys.readouterr().err) == (130, "stopped\n")


def test_every_command_that_is_stopped_says_so(monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("handheld.reply.Replier.open", interrupt)
    done = RUNNER.invoke(app, ["reply", "suggest", "hello"])
    assert (done.exit_code, done.stderr) == (130, "stopped\n")


@pytest.mark.parametrize(
    ("kept", "left"),
    [("run", "the same command goes on from what .*run keeps"), ("none", "nothing was written")],
)
def test_a_long_command_that_is_stopped_says_what_is_kept(kept, left, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    with pytest.raises(typer.Exit) as ended, Output().stoppable(tmp_path / kept):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert re.fullmatch(f"stopped; {left}\n", capsys.readouterr().err)


LONG = [
    ("text train", "handheld.projection.training.making.make_text_model"),
    ("reply train", "handheld.reply.training.run.train"),
    ("compress run", "handheld.compress.run.compress"),
    ("propagate", "handheld.propagation.propagate"),
]


@pytest.mark.parametrize(("command", "work"), LONG, ids=[command for command, _ in LONG])
def test_training_that_is_stopped_says_what_is_kept(command, work, tmp_path, monkeypatch):
    pytest.importorskip("torch")

    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, interrupt)
    done = RUNNER.invoke(app, [*command.split(), *map(str, arguments_of(command, tmp_path))])
    assert done.exit_code == 130
    assert "stopped; nothing was written" in done.stderr


def arguments_of(command, folder):
    """Return arguments for what is read before the work begins."""
    if command == "text train":
        (folder / "t.tsv").write_text(
            "".join(f"{label}\tword {i}\n" for i in range(9) for label in "ab")
        )
        return [folder / "t.tsv", "--out", folder / "m.tflite"]
    if command == "propagate":
        parquet = pytest.importorskip("pyarrow.parquet")
        table = {"source": [0], "target": [1]}
        parquet.write_table(pytest.importorskip("pyarrow").table(table), folder / "g.parquet")
        (folder / "seeds.tsv").write_text("0\ta\n")
        return [folder / "g.parquet", folder / "seeds.tsv", "--out", folder / "l.parquet"]
    (folder / "c.jsonl").write_text("")
    if command == "reply train":
        card = '[card]\nlanguage = "en"\nlicence = "CC0-1.0"\ndata = "none"\n'
        (folder / "c.toml").write_text(
            f'out = "{folder}/b.replies"\nname = "b"\n{card}[[conversations]]\npath = "c.jsonl"\n'
        )
        return [folder / "c.toml"]
    pictures = np.zeros((20, 8, 8, 1), np.uint8)
    np.savez(
        folder / "p.npz",
        x_train=pictures,
        y_train=np.arange(20) % 2,
        x_test=pictures,
        y_test=np.arange(20) % 2,
    )
    (folder / "c.toml").write_text(
        'targets = ["2x smaller"]\n[data]\npath = "p.npz"\n[teacher]\nnetwork = "plain"\n'
    )
    return [folder / "c.toml", "--out", folder / "family"]


def test_names_between_colons_are_no_pictures(capsys):
    """Of a phone "adb:abc: no space" the letters between the colons became a picture of them."""
    name = "adb:abc: /x :warning: y"
    output = Output()
    output.say(name)
    output.warn(name)
    output.complain(name)
    _complain(name)
    output.result(table_of([name], [[name]]), {})
    said = capsys.readouterr()
    assert said.err.count(name) == 4
    assert said.out.count(name) == 2


def test_names_of_a_strangers_file_move_no_cursor(capsys):
    name = "evil\x1b[31m\x9b2J\x07\rgood"
    output = Output()
    output.say(name)
    output.warn(name)
    output.complain(name)
    output.result(f"{name}\n👨‍👩‍👧\t1", {})
    said = capsys.readouterr()
    assert not set("\x1b\x9b\x07\r") & set(said.out + said.err)
    assert said.out == "evil\\x1b[31m\\x9b2J\\x07\\x0dgood\n👨‍👩‍👧\t1\n"
    assert shown("a\tb\n", lines=False) == "a\\tb\\n"
