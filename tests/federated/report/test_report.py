import math
import re

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("pyarrow")

from pyarrow import parquet
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.data.users.partitions import evenly
from handheld.federated.learning import Examples, Users
from handheld.federated.learning.evaluation import PerUser
from handheld.federated.report import RunFacts, TensorBoard, write_parquet, write_report
from handheld.federated.report.page import figures, settings, skewed, summary, totals
from handheld.federated.simulator import Devices, Plan

ROWS = [
    {
        "round": number,
        "asked": 5,
        "answered": 4,
        "gone": 1,
        "late": 0,
        "rejected": 0,
        "given_up": 0.0,
        "bytes_up": 1000,
        "bytes_down": 4000,
        "seconds": 3600.0 * number,
        "loss": 1 / number,
        **({"test_accuracy": 0.5 + number / 100} if number % 2 == 0 else {}),
    }
    for number in range(1, 11)
]


def test_rounds_are_kept_for_other_programs(tmp_path):
    table = parquet.read_table(write_parquet(tmp_path / "rounds.parquet", ROWS)).to_pylist()
    assert [
        {name: value for name, value in row.items() if value is not None} for row in table
    ] == ROWS
    assert table[0]["test_accuracy"] is None


def test_the_page_says_what_came_of_it(tmp_path):
    page = write_report(
        tmp_path / "r.html",
        "A <run>",
        Plan(cohort=5),
        ROWS,
        RunFacts(population=1000, weights=7850),
    ).read_text()
    assert "A &lt;run&gt;" in page
    assert (
        "10 rounds with 5 of 1,000 devices each, a model of 7,850 weights, 60.00 % of the "
        "test examples right, 10.0 kB up" in page
    )
    for along in ("round", "bytes up", "bytes down", "simulated hours"):
        assert f"test accuracy against {along}" in page
    assert "http://" not in re.sub(r"http://www\.w3\.org\S*", "", page)
    assert "What noise promises" not in page
    lossy = [
        {name: value for name, value in row.items() if name != "test_accuracy"} for row in ROWS
    ]
    assert (
        "loss against round"
        in write_report(
            tmp_path / "l.html", "A", Plan(), lossy, RunFacts(population=9, weights=1)
        ).read_text()
    )


def test_the_page_of_a_run_that_ended_badly():
    bad = {
        "rejected": 5,
        "rejected_not_finite": 4,
        "rejected_no_examples": 1,
        "loss": math.nan,
        "test_loss": math.inf,
    }
    rows = [{**row, "test_loss": 0.5} for row in ROWS] + [{**ROWS[-1], "round": 11, **bad}]
    titles = [one.caption for one in figures(rows)]
    assert titles[-2:] == ["losses against round", "devices against round"]
    assert "nan" not in str(figures(rows)).lower().replace("finance", "")
    told = [words for name, words in totals(rows) if name == "of those not taken"]
    assert told == ["4 were not finite", "1 had no examples"]


def test_a_problem_and_devices_own_examples_are_shown(tmp_path):
    users = PerUser(np.arange(3), {"accuracy": np.array([0.2, 0.4, 0.9])})
    page = write_report(
        tmp_path / "r.html",
        "A",
        Plan(),
        ROWS,
        RunFacts(population=9, weights=1, problem="it <broke>", per_user=users),
    ).read_text()
    assert "it &lt;broke&gt;" in page
    assert "mean 0.5, deviation 0.294" in page


@pytest.mark.parametrize("labels", [np.array([0, 1, 2, 255], np.uint8), np.array([0, -1, 2, 1])])
def test_labels_of_any_type_are_drawn_or_left_out(labels):
    users = Users(Examples(np.zeros((4, 2)), labels), evenly(4, 2, seed=0))
    words, _ = skewed(users)
    assert any("classes of a user" in name for name, _ in words) == (labels.min() >= 0)


def test_words_and_sums():
    assert dict(totals(ROWS))["answered in time"] == "40"
    assert dict(totals(ROWS))["simulated hours"] == "10"
    assert "right" not in summary(Plan(), [{"bytes_up": 0}], 1, 1)
    told = dict(settings(Plan(devices=Devices(dropout_rate=0.25))))
    assert (told["algorithm"], told["devices.dropout_rate"], told["stages"]) == (
        "FedAvg",
        "0.25",
        "none",
    )


def test_tensorboard_gets_each_figure(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for part in (ROWS[:6], ROWS[4:]):  # the second run goes on at round 5
        board = TensorBoard(tmp_path, int(part[0]["round"]))
        for row in part:
            board.add(row)
        board.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 11))
    assert events.Scalars("test/accuracy")[-1].value == pytest.approx(0.6)


def test_the_command_makes_all_files_and_goes_on(tmp_path, monkeypatch):
    pytest.importorskip("dp_accounting")
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
    (tmp_path / "c.toml").write_text(
        f'out = "{tmp_path}/run"\nrounds = 3\ncohort = 5\nuniform = true\n[data]\npath = '
        '"p.npz"\nusers = 10\n'
        '[model]\nnetwork = "linear"\n'
        '[[stages]]\nname = "clip"\nlength = 1.0\n[[stages]]\nname = '
        '"central_noise"\nmultiplier = 0.1\n'
    )
    command = ["federated", "simulate", str(tmp_path / "c.toml"), "--tensorboard"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "round 3 " in first.output
    assert "(epsilon, delta) = (" in first.output
    longer = CliRunner().invoke(app, [*command, "--rounds", "5"])
    assert "round 5 " in longer.output
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "state.npz",
        "model.safetensors",
        "rounds.parquet",
        "report.html",
        "tensorboard",
    }
    assert len(parquet.read_table(tmp_path / "run" / "rounds.parquet")) == 5
    from safetensors.torch import load_file

    modes = {
        path.stat().st_mode & 0o777
        for path in (tmp_path / "run").glob("*.*")
        if path.name != ".lock"
    }
    assert len(modes) == 1  # who may read the state may read the model
    with np.load(tmp_path / "run" / "state.npz") as state:
        weights = np.concatenate(
            [
                value.numpy().ravel()
                for value in load_file(tmp_path / "run" / "model.safetensors").values()
            ]
        )
        assert sorted(weights) == sorted(state["weights"])


PRIVATE = (
    'out = "{out}"\nrounds = 4\ncohort = 5\nuniform = true\nsampling = '
    '"poisson"\n[data]\npath = "p.npz"\nusers = 50\n'
    '[model]\nnetwork = "linear"\n[[stages]]\nname = "adaptive_clip"\n[[stages]]\nname = '
    '"central_noise"\nmultiplier = 1.0\n'
)


def private(folder, before=""):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    inputs = (labels[:, None, None, None] * 60 + rng.integers(30, size=(120, 4, 4, 1))).astype(
        np.uint8
    )
    np.savez(
        folder / "p.npz",
        x_train=inputs[:90],
        y_train=labels[:90],
        x_test=inputs[90:],
        y_test=labels[90:],
    )
    (folder / "c.toml").write_text(before + PRIVATE.format(out=folder / "run"))
    return ["federated", "simulate", str(folder / "c.toml")]


def test_epsilon_and_clip_length_by_round_are_in_all_that_a_run_leaves(tmp_path):
    pytest.importorskip("dp_accounting")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = CliRunner().invoke(app, [*private(tmp_path), "--tensorboard"])
    assert done.exit_code == 0, done.output
    rows = parquet.read_table(tmp_path / "run" / "rounds.parquet").to_pylist()
    assert "loss" not in rows[0]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    for name in ("epsilon", "clip_length"):
        values = [row[name] for row in rows]
        assert len(set(values)) == 4
        assert [event.value for event in events.Scalars(name)] == pytest.approx(values)
        assert (
            f"{name.replace('_', ' ')} against round"
            in (tmp_path / "run" / "report.html").read_text()
        )
    assert f"({rows[-1]['epsilon']:.3g}, " in done.output
    assert "loss against" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("where", ["file", "command"])
def test_a_target_epsilon_from_the_file_or_the_command(tmp_path, where):
    pytest.importorskip("dp_accounting")
    command = private(
        tmp_path, "target_epsilon = 1.5\ndelta = 0.001\n" if where == "file" else "delta = 0.5\n"
    )
    more = [] if where == "file" else ["--target-epsilon", "1.5", "--delta", "0.001"]
    done = CliRunner().invoke(app, [*command, *more])
    assert done.exit_code == 0, done.output
    assert "(epsilon, delta) = (1.5, 0.001)" in done.output


def test_ctrl_c_says_where_the_run_stopped(tmp_path, monkeypatch):
    pytest.importorskip("dp_accounting")
    from handheld.federated.learning.modules import ModuleLearner

    def evaluate(self, state):
        evaluate.calls += 1
        if evaluate.calls == 3:
            raise KeyboardInterrupt
        return {}

    evaluate.calls = 0
    monkeypatch.setattr(ModuleLearner, "evaluate", evaluate)
    stopped = CliRunner().invoke(app, private(tmp_path))
    assert stopped.exit_code == 130
    assert "stopped after round 2 of 4" in stopped.output
    assert "the same command goes on from there" in stopped.output
    with np.load(tmp_path / "run" / "state.npz") as state:
        assert '"round": 2' in state["about"].tobytes().decode()


def test_the_sentence_says_how_many_updates_a_step_applied():
    row = [{"bytes_up": 0}] * 6
    assert "6 steps of 3 updates each, 6 of 25 devices learning at any time" in summary(
        Plan(cohort=6, buffer_size=3), row, 25, 1
    )
    assert "6 rounds with 6 of 25 devices each on average" in summary(
        Plan(cohort=6, sampling="poisson"), row, 25, 1
    )
    assert "6 rounds with 6 of 25 devices each, a model" in summary(Plan(cohort=6), row, 25, 1)


def test_a_log_gets_its_first_and_last_round(tmp_path):
    done = CliRunner().invoke(app, [*private(tmp_path), "--rounds", "60"])
    lines = [line for line in done.output.splitlines() if " of 60  " in line]
    assert lines[0].startswith("rounds 2%  1 of 60")
    assert lines[-1].startswith("rounds 100%  60 of 60")
