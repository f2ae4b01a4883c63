"""One way for all commands: results on standard output, in words or as JSON; the rest on standard error, or not at all."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from handheld.cli._output import Output, shown
from handheld.cli.app import app
from handheld.files import open_lines

RUNNER = CliRunner()

# Those whose result is a page, a conversation or a picture.
WITHOUT_RESULTS = {"compress serve", "reply serve", "reply chat", "graph draw"}


def commands(group=None, before=""):
    """All commands, by name."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_every_command_that_has_results_writes_them_as_json():
    without = {name for name, command in commands() if not any("--json" in parameter.opts for parameter in command.params)}
    assert without == WITHOUT_RESULTS


def test_every_command_that_has_results_can_be_quiet():
    for name, command in commands():
        if name not in WITHOUT_RESULTS:
            assert any({"--quiet", "-q"} <= set(parameter.opts) for parameter in command.params), name


def test_json_is_always_a_file_or_standard_output():
    for name, command in commands():
        for parameter in command.params:
            if "--json" in parameter.opts:
                assert not parameter.is_flag, name


@pytest.mark.parametrize("words", [["doctor"], ["models", "list"], ["reply", "suggest", "see you at eight?"]])
def test_json_on_standard_output_is_alone_there(words):
    done = RUNNER.invoke(app, [*words, "--json", "-"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)


def test_json_in_a_file_comes_beside_the_words(tmp_path):
    done = RUNNER.invoke(app, ["models", "list", "--json", str(tmp_path / "m.json")])
    assert "mediapipe-hands" in done.stdout
    assert json.loads((tmp_path / "m.json").read_text())[0]["bundle"] == "mediapipe-hands"


def test_names_that_are_no_text_come_back_as_they_were(tmp_path):
    name = os.fsdecode(b"a\xff.png")
    Output(json=tmp_path / "a.json").result("", {"file": Path(name)})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"file": name}
    with open_lines(tmp_path / "a.jsonl") as lines:
        lines.write(json.dumps({"file": name}, ensure_ascii=False) + "\n")
    assert json.loads((tmp_path / "a.jsonl").read_text("utf-8")) == {"file": name}


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
    assert json.loads(capsys.readouterr().out) == {"loss": None, "rows": [0.5, [0, 1]], "path": str(tmp_path)}


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
