"""A simulation's population and plan, written as the files of a server and its devices."""

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch

from handheld.errors import InputError
from handheld.federated import choices
from handheld.federated.device.store import ExampleStore
from handheld.federated.learning.learner import PopulationLearner
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.trainable import batch_of
from handheld.federated.population import NetworkConfig
from handheld.federated.server.pki import write_certificates
from handheld.federated.simulator import Plan
from handheld.federated.stages import Clip, Stage, WholeNumbers
from handheld.files import atomic_path
from handheld.ranges import whole_in_range

SERVER_FILE = "federation.toml"
DEVICE_FILE = "device.toml"
ABOUT_FILE = "rehearsal.json"
TASK = "model"
EVALUATION = "model-evaluation"
_HOSTS = ("localhost", "127.0.0.1")
_LEAST_CLIENTS = 3  # of a secure sum
_OVER_SELECTION = 1.3
_SECONDS = {"selection_seconds": 3.0, "report_seconds": 120.0, "phase_seconds": 20.0}


@dataclass(frozen=True)
class Rehearsal:
    """Files of a federation on this machine.

    Attributes:
        folder: of all of them.
        devices: how many there are.
        code: folder in which the user's own modules are looked for.
        learner: the population whose devices they are.
    """

    folder: Path
    devices: int
    code: Path
    learner: ModuleLearner

    @property
    def server_file(self) -> Path:
        """The server's configuration."""
        return self.folder / SERVER_FILE

    def device_file(self, number: int) -> Path:
        """Return the configuration of a device, counted from 0."""
        return self.folder / _name(number) / DEVICE_FILE


def write_rehearsal(  # noqa: PLR0913  # options by keyword, each by itself
    plan: Plan,
    learner: PopulationLearner,
    folder: Path,
    *,
    model: NetworkConfig,
    devices: int,
    port: int = 0,
    clip: float | None = None,
    code: Path = Path(),
) -> Rehearsal:
    """Write the files of a federation whose devices are the first of a simulation's population.

    Args:
        plan: of the simulation.
        learner: its population.
        folder: for the files; what is there is kept, and examples are added to no device twice.
        model: the network that the population learns.
        devices: that take part, 3 or more.
        port: of the server; 0: one that is free now.
        clip: length at which devices clip their updates, so that these can be whole numbers, of
            which the server sees the sum alone; None: the plan's stages, as they are.
        code: folder in which the user's own modules are looked for.

    Raises:
        InputError: fewer users than devices, a learner of the user's own, or a plan that a real
            server cannot follow.
    """
    whole_in_range("devices", devices, low=_LEAST_CLIENTS)
    if not isinstance(learner, ModuleLearner):
        raise InputError(f"expected data and a model, got a {type(learner).__name__}")
    if devices > len(learner.users):
        raise InputError(f"devices: {len(learner.users)} users are there, got {devices}")
    stages = _stages(plan, devices, clip)
    task = _task_of(model, learner)
    port = port or _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    write_certificates(folder / "certificates", _HOSTS)
    _write(folder / SERVER_FILE, _server_table(plan, stages, task, devices, port))
    for number in range(devices):
        _write_device(folder / _name(number), learner, number, task, port, stages)
    with atomic_path(folder / ABOUT_FILE) as temporary:
        temporary.write_text(json.dumps({"devices": devices, "port": port}))
    return Rehearsal(folder, devices, code, learner)


def _free_port() -> int:
    # Free for as long as nobody else takes it: the server does so seconds later.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _name(number: int) -> str:
    return f"device-{number:03d}"


def _stages(plan: Plan, devices: int, clip: float | None) -> tuple[Stage, ...]:
    if clip is None:
        return plan.stages
    return (*plan.stages, Clip(clip), WholeNumbers(devices))


def _is_secure(stages: tuple[Stage, ...]) -> bool:
    return any(isinstance(stage, WholeNumbers) for stage in stages)


def _task_of(network: NetworkConfig, learner: ModuleLearner) -> dict[str, Any]:
    """Return the entries of a task that server and devices say alike."""
    model = {name: value for name, value in asdict(network).items() if value}
    # Metrics are of the simulation's test set.
    model.pop("metrics", None)
    examples = learner.users.examples
    inputs, _ = batch_of(examples, slice(0, 1))
    with torch.no_grad():
        outputs = learner.module.eval()(inputs)
    return {
        "shape": list(examples.inputs.shape[1:]),
        "classes": int(outputs.shape[-1]),
        "model": model,
    }


def _server_table(
    plan: Plan, stages: tuple[Stage, ...], task: Mapping[str, Any], devices: int, port: int
) -> dict[str, Any]:
    options = {
        **task,
        "algorithm": choices.table_of(choices.ALGORITHM, plan.algorithm),
        "work": {name: value for name, value in asdict(plan.work).items() if value is not None},
        "stages": [choices.table_of(choices.STAGE, stage) for stage in stages],
        "uniform": plan.uniform,
        "clients": float(min(plan.cohort, devices)),
        "population": devices,
        "seed": plan.seed,
    }
    goal = max(_LEAST_CLIENTS, min(plan.cohort, devices))
    rounds = {"goal": goal, "over_selection": _over_selection(goal, devices), **_SECONDS}
    training = {"task": "handheld.federated.tasks:training", **rounds, "rounds": plan.rounds}
    evaluation = {"task": "handheld.federated.tasks:evaluation", **rounds, "model_of": TASK}
    return {
        "server": {
            "port": port,
            "certificate": "certificates/server.pem",
            "key": "certificates/server.key",
            "free_bytes": 1_000_000,
        },
        # All on one machine: nobody has to be spared.
        "pace": {"rate": 1000.0, "shortest": 0.1, "longest": 10.0, "meeting": 0.2, "few": 1000},
        "tasks": [
            {**training, "options": {"name": TASK, **options}},
            {**evaluation, "options": {"name": EVALUATION, **options}},
        ],
    }


def _over_selection(goal: int, devices: int) -> float:
    # Were more to be selected than there are, each selection would last to its end.
    return min(_OVER_SELECTION, devices / goal)


def _write_device(  # each is told apart
    folder: Path,
    learner: ModuleLearner,
    number: int,
    task: Mapping[str, Any],
    port: int,
    stages: tuple[Stage, ...],
) -> None:
    folder.mkdir(exist_ok=True)
    store = ExampleStore(folder / "examples.sqlite")
    if not len(store):
        rows = np.asarray(learner.users.partition.of(number))
        store.add_all(learner.users.examples.of(rows))
    tasks = [{"name": name, "examples": "examples.sqlite", **task} for name in (TASK, EVALUATION)]
    table = {
        "server": f"https://localhost:{port}",
        "authority": "../certificates/authority.pem",
        "demands": {"secure": _is_secure(stages), "least_clients": _LEAST_CLIENTS},
        "tasks": tasks,
    }
    _write(folder / DEVICE_FILE, table)


def _write(path: Path, table: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(tomli_w.dumps(table))
