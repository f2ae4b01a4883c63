"""``handheld bench`` on devices: spellings, what is kept when one is lost, results side by side."""

import importlib.util
import json
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import handheld
from handheld.bench.calibration import CalibrationProfile, CalibrationTime, write_profile
from handheld.cli.app import app
from handheld.errors import DeviceError, InputError

RUNNER = CliRunner()
FIXTURES = Path(__file__).parents[1] / "fixtures"
SOURCE = Path(handheld.__file__).parents[1]
SHORT = ["--queries", "20", "--seconds", "0"]
REMOTE = f"env PYTHONPATH={SOURCE} {sys.executable} -m handheld.cli"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model that knows three colours, and an ``ssh`` that runs its command here."""
    spec = importlib.util.spec_from_file_location("make_models", FIXTURES / "make_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    graph = module.Graph("classifier")
    picture = graph.tensor("picture", (1, 2, 2, 3))
    flat = graph.reshape("flat", picture, [1, 12])
    weights = np.eye(3, 12, dtype=np.float32)
    scores = graph.dense("scores", flat, weights, np.zeros(3, np.float32))
    (tmp_path / "one.tflite").write_bytes(bytes(graph.finish([picture], [scores])))
    (tmp_path / "broken.tflite").write_bytes(b"nothing")
    labels = np.arange(30) % 3
    pictures = np.zeros((30, 2, 2, 3), np.uint8)
    pictures[np.arange(30), 0, 0, labels] = 255
    np.savez(tmp_path / "d.npz", x_test=pictures, y_test=labels, x_train=pictures, y_train=labels)
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nfor word; do :; done\nexec sh -c "$word"\n', "utf-8")
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def call(*words):
    return RUNNER.invoke(app, ["bench", *map(str, words)])


def profile(name, median, path):
    time = CalibrationTime(
        work="float", sha256="ab" * 32, median=median, low=median / 1.01, high=median * 1.01
    )
    write_profile(path, CalibrationProfile(name=name, times=(time,), machine={"cpu": name}))


def test_a_model_on_another_machine(files):
    done = call(
        files / "one.tflite", "--device", "ssh:lab", "--remote-command", REMOTE, *SHORT, "--data",
        files / "d.npz", "--budget", "33ms", "--json", "-",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (value,) = json.loads(done.stdout)
    assert (value["device"], value["model"]["name"]) == ("ssh:lab", "one")
    assert (value["accuracy"]["value"], value["scores"][0]["budget"]) == (1.0, 0.033)


def test_what_was_measured_before_a_failure_is_kept(files):
    done = call(
        files / "one.tflite", files / "broken.tflite", "--device", "ssh:lab", "--remote-command",
        REMOTE, *SHORT, "--record", files / "r.jsonl", "--json", files / "r.json",
    )  # fmt: skip
    assert done.exit_code == 1
    assert "broken.tflite on ssh:lab" in str(done.exception)
    assert len((files / "r.jsonl").read_text().splitlines()) == 1
    assert len(json.loads((files / "r.json").read_text())) == 1
    assert "one" in done.stdout


def test_a_machine_without_handheld(files):
    done = call(files / "one.tflite", "--device", "ssh:lab", "--remote-command", "no-such")
    assert isinstance(done.exception, DeviceError)
    assert "handheld is missing there" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "lab"], "--device: expected this, ssh:"),
        (["--device", "ssh:-oProxyCommand=x"], "--device: expected ssh:"),
        (["--device", "ssh:lab", "--data", "none.npz"], "--data: there is no none.npz"),
        (["--device", "ssh:lab", "--loadgen"], "--loadgen: LoadGen drives models on this machine"),
        (["--profile", "none.toml"], "none.toml"),
    ],
)
def test_what_it_refuses(files, words, message):
    done = call(files / "one.tflite", *words)
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


def test_devices_are_listed(files):
    done = call("devices", "--json", "-")
    assert done.exit_code == 0, done.output
    listed = json.loads(done.stdout)
    assert (listed[0]["device"], listed[0]["state"]) == ("this", "ready")
    assert "--device ssh:" in call("devices").stdout


def test_two_machines_side_by_side(files):
    for name, median in (("fast", 1e-6), ("slow", 4e-6)):
        profile(name, median, files / f"{name}.toml")
        done = call(
            files / "one.tflite", *SHORT, "--profile", files / f"{name}.toml", "--record",
            files / f"{name}.jsonl",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
    records = [files / "fast.jsonl", files / "slow.jsonl"]
    done = call("report", *records, "--json", files / "r.json", "--out", files / "p.html")
    assert done.exit_code == 0, done.output
    assert "x float" in done.stdout
    assert "an estimate" in done.stdout
    fast, slow = json.loads((files / "r.json").read_text())
    assert (fast["profile"], slow["profile"]) == ("fast", "slow")
    (ratio,) = [time["ratio"]["value"] for time in slow["times"]]
    assert ratio == pytest.approx(slow["median"]["value"] / 4e-6)
    page = (files / "p.html").read_text("utf-8")
    assert "Devices side by side" in page
    assert "an estimate" in page


def test_results_without_a_profile_have_no_multiples(files):
    call(files / "one.tflite", *SHORT, "--record", files / "r.jsonl")
    done = call("report", files / "r.jsonl", "--out", files / "p.html")
    assert done.exit_code == 0, done.output
    assert "estimate" not in done.stdout
    assert "side by side" not in (files / "p.html").read_text("utf-8")
    (files / "none.jsonl").write_text("")
    done = call("report", files / "none.jsonl")
    assert "there is no result in it" in str(done.exception)


def test_a_machine_is_calibrated(files):
    done = call("calibrate", "--out", files / "p.toml", "--name", "mine", *SHORT, "--json", "-")
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    assert [time["work"] for time in value["times"]] == [
        "float convolution",
        "float depthwise",
        "int8 convolution",
    ]
    done = call(files / "one.tflite", *SHORT, "--profile", files / "p.toml", "--json", "-")
    (value,) = json.loads(done.stdout)
    assert value["calibration"]["name"] == "mine"
