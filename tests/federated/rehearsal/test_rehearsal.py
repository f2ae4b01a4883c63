"""A simulation made into a real federation: files, processes, rounds."""

import json
import tomllib

import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("starlette")

from handheld.cli import main
from handheld.errors import HandheldError, InputError
from handheld.federated.config import read
from handheld.federated.device import ExampleStore
from handheld.federated.device.config import read as read_device
from handheld.federated.rehearsal import run_rehearsal, write_rehearsal

POPULATION = """
import numpy as np
from handheld.data.users.partitions import evenly
from handheld.federated.learning import Examples, Users

def users():
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=160)
    inputs = (np.eye(3, 5)[targets] * 3 + rng.normal(size=(160, 5))).astype(np.float32)
    train, test = Examples(inputs[:100], targets[:100]), Examples(inputs[100:], targets[100:])
    return Users(train, evenly(100, 4, seed=0)), test
"""
SIMULATION = """
rounds = 10
cohort = 4
[data]
factory = "made_for_rehearsal:users"
[model]
network = "linear"
[work]
epochs = 5
batch = 5
rate = 0.2
"""


@pytest.fixture
def simulation(tmp_path, monkeypatch):
    (tmp_path / "made_for_rehearsal.py").write_text(POPULATION)
    monkeypatch.syspath_prepend(tmp_path)

    def write(text=SIMULATION):
        (tmp_path / "simulation.toml").write_text(text)
        return read(tmp_path / "simulation.toml")

    return write


def written(settings, folder, **options):
    options = {"devices": 3, "clip": 2.0} | options
    learner = settings.learner()
    return write_rehearsal(settings.plan, learner, folder, model=settings.model, **options)


def test_each_device_gets_its_users_examples(simulation, tmp_path):
    settings = simulation()
    for _ in range(2):  # once more adds none twice
        rehearsal = written(settings, tmp_path / "out")
    users = settings.learner().users
    for number in range(3):
        store = ExampleStore(rehearsal.device_file(number).parent / "examples.sqlite")
        expected = users.examples.of(users.partition.of(number))
        assert store.examples().inputs.tolist() == expected.inputs.tolist()
        assert store.examples().targets.tolist() == expected.targets.tolist()


def test_what_the_files_say(simulation, tmp_path):
    rehearsal = written(simulation(), tmp_path / "out", port=8499)
    table = tomllib.loads(rehearsal.server_file.read_text())
    training, evaluation = table["tasks"]
    assert table["server"]["port"] == 8499
    assert (training["goal"], training["rounds"]) == (3, 10)
    assert evaluation["model_of"] == training["options"]["name"]
    assert [stage["name"] for stage in training["options"]["stages"]] == ["clip", "whole_numbers"]
    device = read_device(rehearsal.device_file(2)).settings
    assert device.server == "https://localhost:8499"
    assert device.demands == {"secure": True, "least_clients": 3}


def test_without_a_clip_uploads_are_the_plans_and_devices_know_it(simulation, tmp_path):
    rehearsal = written(simulation(), tmp_path / "out", clip=None)
    device = read_device(rehearsal.device_file(0)).settings
    assert device.demands["secure"] is False


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        (SIMULATION, {"devices": 5}, "4 users are there, got 5"),
        (SIMULATION, {"devices": 2}, "devices: expected"),
        (SIMULATION, {"clip": -1.0}, "length"),
        (SIMULATION + '[algorithm]\nname = "scaffold"', {"clip": None}, None),
    ],
)
def test_what_no_federation_can_be_made_of(simulation, tmp_path, text, options, why):
    settings = simulation(text)
    if why is None:
        rehearsal = written(settings, tmp_path / "out", **options)
        with pytest.raises(HandheldError, match="ended"):
            run_rehearsal(rehearsal, 1)
        assert "keep no state" in (rehearsal.folder / "server.log").read_text()
        return
    with pytest.raises(InputError, match=why):
        written(settings, tmp_path / "out", **options)


def test_devices_in_processes_learn_and_go_on(simulation, tmp_path, capsys):
    settings = simulation()
    rehearsal = written(settings, tmp_path / "out")
    first = run_rehearsal(rehearsal, 2, patience=120)
    again = run_rehearsal(rehearsal, 1, patience=120)
    assert [one.number for one in first] == [1, 2]
    assert again[0].number >= 3
    assert all(one.clients == 3 for one in first)
    assert again[-1].test["accuracy"] > 0.8


def test_the_command_writes_files_alone_where_no_rounds_are_asked(
    simulation, tmp_path, capsys, monkeypatch
):
    simulation()
    arguments = ["federated", "rehearse", str(tmp_path / "simulation.toml"), "--devices", "3"]
    arguments += ["--out", str(tmp_path / "out"), "--clip", "2", "--json", "-"]
    monkeypatch.setattr("sys.argv", ["handheld", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    assert json.loads(capsys.readouterr().out)["rounds"] == []
    assert (tmp_path / "out" / "device-002" / "device.toml").exists()
