"""Flower's own simulation with our mods and strategies comes to the model of our simulator."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: docs/use-with-flower.md says how")
pytest.importorskip("ray", reason="Flower's simulation runs on Ray")

from tests.federated.flower.flower_app import SameTraining
from tests.federated.flower.simulated_app import BITS, CLIENTS, LENGTH, ROUNDS

from handheld.federated.algorithms import FedAvg, FedAvgM
from handheld.federated.simulator import Plan, simulate
from handheld.federated.stages import Clip

ROOT = Path(__file__).parents[3]
SECONDS = 240
STEP = 2 * LENGTH / (1 << BITS)  # of the grid


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("kind", ["plain", "secure"])
def test_reference_of_our_simulator(kind):
    more = {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    # Ray's sockets lie in it, whose paths may not be long.
    with tempfile.TemporaryDirectory(prefix="fl") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.federated.flower.simulated_app", kind, folder],
            cwd=ROOT,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        path = Path(folder) / "model.json"
        assert path.exists(), done.stdout[-3000:] + done.stderr[-3000:]
        told = json.loads(path.read_text())
    assert told["answered"] == [CLIENTS] * ROUNDS
    algorithm = FedAvgM()
    tolerance = 1e-6
    if kind == "secure":
        algorithm = FedAvg()
        # Each of the clients' numbers is rounded to one step or less, in each round.
        tolerance = ROUNDS * STEP
    plan = Plan(
        rounds=ROUNDS,
        cohort=CLIENTS,
        algorithm=algorithm,
        stages=(Clip(LENGTH),),
        uniform=kind == "secure",
    )
    expected = simulate(plan, SameTraining()).state.weights
    assert np.allclose(told["weights"], expected, atol=tolerance)
