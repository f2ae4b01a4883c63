"""No command writes a result over what it reads: each pair of an input and an output of each
command.
"""

import inspect

import pytest
import typer
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import InputError

RUNNER = CliRunner()
OUTPUTS = ("json", "out", "svg")
# Folders that hold what a command makes; their files are looked at in tests of their own.
MADE = {
    ("bench run", "logs"),
    ("bench run", "record"),
    ("hands detect", "out"),
    ("hands synth", "out"),
    ("hands pack", "out"),
    ("hands train landmarks", "run"),
    ("hands train palm", "run"),
    ("compress run", "out"),
    ("federated simulate", "out"),
    ("federated rehearse", "out"),
    ("federated certificates", "folder"),
    ("compress serve", "folder"),
}
# Texts that may be paths.
ALSO_READ = {
    "hands track": ("source", "pack", "gestures"),
    "hands detect": ("pack", "gestures"),
    "hands pseudo-label": ("teacher",),
    "hands teach-gesture": ("pack",),
    "graph draw": ("name",),
}
# Read by a test of its own, with a family in it.
OPENED_FIRST = {("compress pick", "family")}
FOLDERS = {"photos", "palm", "landmarks", "encoder", "pack", "teacher"}
MORE = {"compress pick": ["--max-size", "1MB"]}
CONVERSATIONS = """
out = "b.replies"
name = "b"
card = {language = "en", licence = "CC0-1.0", data = "none"}
[[conversations]]
path = "c.jsonl"
"""


def commands(group=None, before=""):
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def is_path(name, command, parameter):
    annotation = inspect.signature(command.callback).parameters[parameter.name].annotation
    return "Path" in str(annotation) or parameter.name in ALSO_READ.get(name, ())


def pairs():
    for name, command in commands():
        paths = [parameter for parameter in command.params if is_path(name, command, parameter)]
        paths = [parameter for parameter in paths if (name, parameter.name) not in MADE]
        written = [parameter for parameter in paths if parameter.name in OUTPUTS]
        for read in paths:
            if read.name in OUTPUTS or (name, read.name) in OPENED_FIRST:
                continue
            for output in written:
                yield pytest.param(
                    name, command, read, output, id=f"{name} {read.name} {output.name}"
                )


def argument(parameter, value):
    is_option = parameter.opts[0].startswith("-")
    return [parameter.opts[0], str(value)] if is_option else [str(value)]


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    """Say that data are somewhere: not all machines have them, and none are read."""
    monkeypatch.setenv("HANDHELD_DATA", str(tmp_path / "data"))


@pytest.fixture
def file_of(tmp_path, monkeypatch):
    """Return a file that a parameter reads, and what to give for the parameter."""
    monkeypatch.chdir(tmp_path)

    def make(name, parameter):
        file = tmp_path / f"{parameter.name}.x"
        if parameter.name in FOLDERS:
            file = tmp_path / parameter.name / "subhih" / "a.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"what {parameter.name} is")
        if (name, parameter.name) == ("reply train", "config"):
            file.write_text(CONVERSATIONS)
            (tmp_path / "c.jsonl").touch()
        return file, tmp_path / parameter.name if parameter.name in FOLDERS else file

    return make


@pytest.mark.parametrize(("name", "command", "read", "output"), list(pairs()))
def test_a_result_does_not_go_over_an_input(name, command, read, output, file_of, tmp_path):
    words = name.split() + MORE.get(name, [])
    for parameter in command.params:
        if parameter is read:
            file, value = file_of(name, parameter)
            words += argument(parameter, value)
        elif parameter.required and parameter is not output:
            made = (name, parameter.name) in MADE or parameter.name in OUTPUTS
            value = tmp_path / "new" / parameter.name if made else file_of(name, parameter)[1]
            words += argument(parameter, value)
    before = file.read_bytes()
    refused([*words, *argument(output, file)])
    assert file.read_bytes() == before


def refused(words, why="would be written over what is read"):
    done = RUNNER.invoke(app, list(map(str, words)))
    assert isinstance(done.exception, InputError), done.output
    assert why in str(done.exception)


def test_a_drawing_does_not_go_over_a_picture_that_is_read_later(tmp_path):
    for name in ("x.jpg", "x.hands.png"):
        (tmp_path / name).write_text(name)
    pictures = [tmp_path / "x.jpg", tmp_path / "x.hands.png"]
    refused(["hands", "detect", *pictures, "--out", tmp_path, "--json", tmp_path / "new.jsonl"])
    assert pictures[1].read_text() == "x.hands.png"


def test_a_video_may_lie_beside_the_pictures_that_it_shows(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "old.mp4").write_text("of the last run")
    done = RUNNER.invoke(app, ["hands", "track", str(tmp_path), "--out", str(tmp_path / "old.mp4")])
    assert "would be written over" not in str(done.exception)
    refused(["hands", "track", tmp_path, "--json", tmp_path / "a.png"])


def test_a_pack_is_not_written_into_the_run_that_it_is_made_of(tmp_path):
    (tmp_path / "palm").mkdir()
    (tmp_path / "palm" / "palm.tflite").write_text("of full precision")
    runs = ["--palm", tmp_path / "palm", "--landmarks", tmp_path / "landmarks"]
    refused(["hands", "pack", *runs, "--out", tmp_path / "palm", "--precision", "float16"])


@pytest.mark.parametrize(
    ("task", "entry"), [("palm", "learn.start"), ("landmarks", "examples.labels")]
)
def test_what_a_configuration_names_is_kept_too(task, entry, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "state.pt"
    file.write_text("of another run")
    (tmp_path / "c.toml").write_text(f'{entry} = "{file}"\n')
    command = ["hands", "train", task, "--config", tmp_path / "c.toml", "--run"]
    refused([*command, tmp_path / "run"])
    refused([*command, tmp_path / "new", "--json", file])
    assert file.read_text() == "of another run"


def test_the_data_of_a_configuration_are_kept(tmp_path):
    for name, folder in (("compress", "run"), ("federated", "simulate")):
        data = tmp_path / "d.npz"
        data.write_text("pictures")
        (tmp_path / "c.toml").write_text('[data]\npath = "d.npz"\n[teacher]\nnetwork = "plain"\n')
        if name == "federated":
            (tmp_path / "c.toml").write_text('[data]\npath = "d.npz"\n')
        refused([name, folder, tmp_path / "c.toml", "--json", data])


def test_a_report_that_nobody_named_does_not_go_over_the_texts(tmp_path):
    texts = tmp_path / "m.evaluation.html"
    texts.write_text("a\tb\n")
    (tmp_path / "m.tflite").write_text("model")
    refused(["text", "evaluate", tmp_path / "m.tflite", texts])
    texts.rename(tmp_path / "m.training.html")
    refused(["text", "train", tmp_path / "m.training.html", "--out", tmp_path / "m.tflite"])


def test_two_results_do_not_go_to_one_file(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\n")
    one = tmp_path / "one.x"
    words = ["text", "train", tmp_path / "t.tsv", "--out", one, "--json", one]
    refused(words, "two results cannot go to one file")


RUN_FILES = ("state.npz", "state_before.npz", "model.safetensors", "rounds.parquet", "report.html")


@pytest.mark.parametrize("file", RUN_FILES)
@pytest.mark.parametrize("is_there", [True, False])
def test_results_do_not_go_over_what_a_federated_run_keeps(file, is_there, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "c.toml").write_text('[data]\nfactory = "nowhere:users"\n')
    result = tmp_path / "run" / file
    if is_there:
        result.parent.mkdir()
        result.write_text("of the run")
    command = ["federated", "simulate", tmp_path / "c.toml", "--out", tmp_path / "run"]
    refused([*command, "--json", result], "two results cannot go to one file")
    assert result.exists() == is_there


@pytest.mark.parametrize("file", ["family.json", "report.html", "teacher.safetensors"])
def test_results_do_not_go_over_what_a_family_keeps(file, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "c.toml").write_text('[data]\npath = "d"\n[teacher]\nnetwork = "plain"\n')
    (tmp_path / "d").mkdir()
    command = ["compress", "run", tmp_path / "c.toml", "--out", tmp_path / "fam"]
    refused([*command, "--json", tmp_path / "fam" / file], "two results cannot go to one file")


def test_results_do_not_go_over_a_member_of_a_family(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "c.toml").write_text('[data]\npath = "d"\n[teacher]\nnetwork = "plain"\n')
    for folder in ("d", "fam"):
        (tmp_path / folder).mkdir()
    (tmp_path / "fam" / "nested_1.tflite").write_text("a model")
    command = ["compress", "run", tmp_path / "c.toml", "--out", tmp_path / "fam"]
    refused([*command, "--json", tmp_path / "fam" / "nested_1.tflite"])


CODE_OF_A_USER = """
import numpy as np

from handheld.data.users.partitions import evenly
from handheld.federated.learning import Examples, Users


def users():
    examples = Examples(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))
    return Users(examples, evenly(4, 2, seed=0)), None
"""


def test_results_do_not_go_over_the_code_that_a_configuration_runs(tmp_path):
    pytest.importorskip("torch")
    module = tmp_path / "kept_code_of_a_user.py"
    module.write_text(CODE_OF_A_USER)
    words = '[data]\nfactory = "kept_code_of_a_user:users"\n[model]\nnetwork = "linear"\n'
    (tmp_path / "c.toml").write_text(words)
    command = ["federated", "simulate", tmp_path / "c.toml", "--out", tmp_path / "run"]
    refused([*command, "--json", module])
    assert module.read_text() == CODE_OF_A_USER


def test_a_model_does_not_go_over_the_code_of_its_trainer(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "kept_trainer_of_a_user.py"
    module.write_text("def make(classes):\n    return None\n")
    (tmp_path / "t.tsv").write_text("".join(f"{label}\tword {label}\n" for label in "ab" * 9))
    command = ["text", "train", "t.tsv", "--out", module, "--trainer", f"{module.stem}:make"]
    refused(command)
    assert module.read_text().startswith("def make")
