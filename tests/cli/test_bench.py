"""``handheld bench``: its spellings, its outputs, and what it refuses."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.cli.bench import _folder_names, duration
from handheld.errors import InputError

RUNNER = CliRunner()
FIXTURES = Path(__file__).parents[1] / "fixtures"
SHORT = ["--queries", "20", "--seconds", "0"]


@pytest.fixture
def files(tmp_path):
    """A model that knows three colours, a second one, and pictures of them."""
    spec = importlib.util.spec_from_file_location("make_models", FIXTURES / "make_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    graph = module.Graph("classifier")
    picture = graph.tensor("picture", (1, 2, 2, 3))
    flat = graph.reshape("flat", picture, [1, 12])
    weights = np.eye(3, 12, dtype=np.float32)
    scores = graph.dense("scores", flat, weights, np.zeros(3, np.float32))
    content = bytes(graph.finish([picture], [scores]))
    for name in ("one.tflite", "two.tflite"):
        (tmp_path / name).write_bytes(content)
    labels = np.arange(60) % 3
    pictures = np.zeros((60, 2, 2, 3), np.uint8)
    pictures[np.arange(60), 0, 0, labels] = 255
    np.savez(
        tmp_path / "d.npz",
        x_train=pictures[:30],
        y_train=labels[:30],
        x_test=pictures[30:],
        y_test=labels[30:],
    )
    return tmp_path


def call(*words):
    return RUNNER.invoke(app, ["bench", *map(str, words)])


def test_a_model_alone_is_short_for_run(files):
    done = call(files / "one.tflite", *SHORT, "--json", "-")
    assert done.exit_code == 0, done.output
    (value,) = json.loads(done.stdout)
    assert value["model"]["name"] == "one"
    assert value["accuracy"] is None
    again = call("run", files / "one.tflite", *SHORT, "--json", "-")
    assert json.loads(again.stdout)[0]["model"] == value["model"]


def test_an_option_may_come_first(files):
    done = call("--queries", "20", "--seconds", "0", files / "one.tflite", "--json", "-")
    assert done.exit_code == 0, done.output


def test_scores_at_several_budgets(files):
    done = call(
        files / "one.tflite", files / "two.tflite", "--data", files / "d.npz", "--budget", "33ms",
        "--budget", "1s", *SHORT, "--json", files / "r.json", "--record", files / "r.jsonl",
        "--out", files / "p.html",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    values = json.loads((files / "r.json").read_text())
    assert [value["model"]["name"] for value in values] == ["one", "two"]
    assert [score["budget"] for score in values[0]["scores"]] == [0.033, 1.0]
    assert values[0]["accuracy"]["value"] == 1.0
    assert values[0]["examples"] == 30
    assert "within 33 ms" in done.stdout
    assert len((files / "r.jsonl").read_text().splitlines()) == 2
    assert "within 33 ms" in (files / "p.html").read_text("utf-8")


def test_models_side_by_side(files):
    done = call("compare", files / "one.tflite", files / "two.tflite", *SHORT, "--json", "-")
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    assert [model["name"] for model in value["models"]] == ["one", "two"]
    done = call("compare", files / "one.tflite", files / "two.tflite", *SHORT)
    assert "beside the first" in done.stdout


def test_a_model_that_can_take_part(files):
    done = call("validate", files / "one.tflite", "--classes", "3")
    assert done.exit_code == 0, done.output
    assert "valid" in done.stdout


def test_each_fault_is_a_line_and_the_status_says_so(files):
    done = call("validate", files / "one.tflite", "--classes", "7", "--max-side", "1")
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 3
    assert all("one.tflite: " in line for line in done.stdout.splitlines())
    done = call("validate", files / "d.npz", "--json", "-")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["valid"] is False


def test_loadgen_keeps_its_logs(files):
    pytest.importorskip("mlperf_loadgen")
    done = call(
        "--loadgen", files / "one.tflite", "--data", files / "d.npz", "--queries", "70",
        "--seconds", "0", "--logs", files / "logs", "--json", "-",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert [value["scenario"] for value in values] == ["SingleStream", "Offline"]
    assert all(value["agrees"] for value in values)
    assert all(value["reasons"] for value in values if value["scenario"] == "SingleStream")
    assert "warning" not in done.stderr, "nothing speaks against a VALID run"
    logs = files / "logs" / "one" / "SingleStream"
    assert (logs / "mlperf_log_summary.txt").exists()


def test_logs_of_two_files_of_one_name_are_apart():
    paths = [Path("a/m.tflite"), Path("b/m.tflite"), Path("m-2.tflite")]
    assert _folder_names(paths) == ["m", "m-2", "m-2-2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--loadgen", "--out", "page.html"], "--loadgen keeps its logs"),
        (["--budget", "33"], "--budget: expected a time such as 33ms"),
        (["--task", "poetry"], "--task: expected classification, detection, hands or reply"),
        (["--split", "dev", "--data", "d.npz"], "split: expected one of"),
        (["--pixels", "1", "--data", "d.npz"], "--pixels: expected two numbers"),
        (["--data", "no.npz"], "no.npz"),
        (["--queries", "0"], "min_queries: expected a whole number"),
        (["--out", "one.tflite"], "would be written over what is read"),
        (["--record", "one.tflite"], "would be written over what is read"),
    ],
)
def test_what_it_refuses(files, monkeypatch, words, message):
    monkeypatch.chdir(files)
    done = call("one.tflite", *words)
    assert done.exit_code == 1
    assert message in str(done.exception)


@pytest.mark.parametrize(
    ("text", "seconds"), [("33ms", 0.033), ("500us", 0.0005), ("500 µs", 0.0005), (".5s", 0.5)]
)
def test_times(text, seconds):
    assert duration("--budget", text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "33", "ms", "0ms", "-1ms", "1e3s", "nan s"])
def test_what_is_no_time(text):
    with pytest.raises(InputError, match="expected a time"):
        duration("--budget", text)
