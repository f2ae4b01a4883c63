import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("pyarrow")

from pyarrow import parquet
from rich.console import Console
from typer.testing import CliRunner

from handheld.cli import main
from handheld.cli._bars import _Log, stage_bars
from handheld.cli.app import app

CLASSES = """
from dataclasses import dataclass
import numpy as np
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning import Learned

@dataclass(frozen=True)
class Twice(FedAvg):
    factor: float = 2.0
    def apply(self, state, total):
        moved = state.weights + np.float32(self.factor * total.mean)
        return state.after(moved.astype(np.float32))

@dataclass
class Interrupted:
    users: int = 6
    at: int = 2
    at_once = 1
    shapes = ((3,),)
    @property
    def examples(self):
        return np.full(self.users, 5)
    def start(self):
        return np.zeros(3, np.float32)
    def learn(self, task, users, own):
        if task.state.round == self.at:
            raise KeyboardInterrupt
        return [Learned(np.ones(3, np.float32), 5.0, 1.0, 0.5) for _ in users]
    def evaluate(self, state):
        return {"loss": float(state.weights[0])}
"""


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    inputs = (labels[:, None, None, None] * 60 + rng.integers(30, size=(120, 4, 4, 1))).astype(
        np.uint8
    )
    np.savez(
        tmp_path / "p.npz",
        x_train=inputs[:90],
        y_train=labels[:90],
        x_test=inputs[90:],
        y_test=labels[90:],
    )
    (tmp_path / "made_classes.py").write_text(CLASSES)
    return tmp_path


def configured(folder, text, head=""):
    (folder / "c.toml").write_text(f'out = "{folder}/run"\nrounds = 5\ncohort = 5\n{head}{text}')
    return ["federated", "simulate", str(folder / "c.toml")]


PICTURES = '[data]\npath = "p.npz"\nusers = 10\n[model]\nnetwork = "linear"\n'
DEEP = PICTURES.replace("linear", "two_layers")


@pytest.mark.parametrize("rate", ["1e10", "1e38"])
def test_a_huge_rate_ends_with_1_a_reason_and_a_report(folder, rate, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["handheld", *configured(folder, f"{DEEP}[work]\nrate = {rate}\nbatch = 4\n")]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert "error: " in told
    assert "finite" in told
    if "not one update" in told:
        assert "did not end as planned" in (folder / "run" / "report.html").read_text()
        rows = parquet.read_table(folder / "run" / "rounds.parquet").to_pylist()
        assert rows[-1]["rejected_not_finite"] == rows[-1]["rejected"] > 0


def test_ctrl_c_keeps_the_run_and_says_where_it_stopped(folder):
    command = configured(folder, '[learner]\nname = "made_classes:Interrupted"\nat = 3\n')
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 130
    assert "stopped after round 3 of 5; the same command goes on from there" in done.output
    with np.load(folder / "run" / "state.npz") as state:
        assert state["weights"].tolist() == [3.0] * 3


def test_own_classes_come_from_the_configuration_and_go_on(folder):
    text = (
        '[algorithm]\nname = "made_classes:Twice"\nfactor = 3\n[learner]\nname = '
        '"made_classes:Interrupted"\nat = 99\n'
    )
    first = CliRunner().invoke(app, configured(folder, text))
    assert first.exit_code == 0, first.output
    assert "test_loss 15" in first.output
    longer = CliRunner().invoke(app, [*configured(folder, text), "--rounds", "7"])
    assert "test_loss 21" in longer.output
    other = CliRunner().invoke(
        app, [*configured(folder, text.replace("factor = 3", "factor = 4")), "--rounds", "9"]
    )
    assert "plan.algorithm.values.factor was 3, is 4 now" in str(other.exception)


def test_devices_own_examples_are_told(folder):
    done = CliRunner().invoke(app, [*configured(folder, PICTURES), "--per-user"])
    assert done.exit_code == 0, done.output
    assert "accuracy on devices' own examples: mean " in done.output
    assert "On devices' own examples" in (folder / "run" / "report.html").read_text().replace(
        "&#39;", "'"
    )
    refused = CliRunner().invoke(
        app,
        [
            *configured(folder, '[learner]\nname = "made_classes:Interrupted"\nat = 9\n'),
            "--per-user",
            "--out",
            str(folder / "r"),
        ],
    )
    assert "--per-user" in str(refused.exception)
    noisy = (
        '[[stages]]\nname = "clip"\nlength = 1\n[[stages]]\nname = "central_noise"\nmultiplier = '
        "1\n"
    )
    command = configured(folder, f"{PICTURES}{noisy}", "uniform = true\n")
    refused = CliRunner().invoke(app, [*command, "--per-user", "--out", str(folder / "n")])
    assert "--per-user tells of devices' own examples without noise" in str(refused.exception)


def test_without_a_terminal_there_is_a_line_now_and_then():
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    times = iter([0.0, 10.0, 29.0, 31.0, 40.0, 50.0, 51.0])
    log = _Log(console, lambda: next(times))
    for done, text in (
        (0.1, "a"),
        (0.2, "b"),
        (0.3, "c"),
        (0.4, "d"),
        (0.5, "e"),
        (1.0, "f"),
        (1.0, "g"),
    ):
        log("rounds", done, text)
    assert console.export_text().split("\n") == [
        "rounds 10%  a",
        "rounds 40%  d",
        "rounds 100%  f",
        "",
    ]
    console.file.close()


def test_bars_fit_eighty_columns(tmp_path):
    with (tmp_path / "out").open("w") as file:
        console = Console(width=80, force_terminal=True, file=file, color_system=None)
        with stage_bars(console) as bars:
            bars("rounds", 0.73, "1,465 of 2,000  loss 0.414  test 0.512  right 97.3%")
    assert "1,465 of 2,000  loss 0.414  test 0.512  right" in (tmp_path / "out").read_text()
