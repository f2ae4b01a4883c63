"""The app of these tests in Flower's own simulation, on Ray, in an interpreter of its own.

    python -m tests.federated.flower.simulated_app KIND FOLDER

Writes the model to ``FOLDER/model.json``. KIND is ``plain`` or ``secure``.
"""

import json
import sys
from pathlib import Path

from flwr.serverapp import ServerApp
from flwr.simulation import run_simulation
from tests.federated.flower.flower_app import client_app, everybody, flat, folder_in, model

from handheld.federated.algorithms import FedAvg, FedAvgM
from handheld.federated.flower import (
    FederationStrategy,
    SecureAggregationStrategy,
    UpdatePlan,
    secure_aggregation_mod,
    update_mod,
)
from handheld.federated.stages import Clip, WholeNumbers

CLIENTS = 4
ROUNDS = 2
LENGTH = 4.0
BITS = 16
SECURE = UpdatePlan((Clip(LENGTH), WholeNumbers(CLIENTS, BITS)), uniform=True)
PLAIN = UpdatePlan((Clip(LENGTH),))


def main(kind: str, folder: Path) -> None:
    if kind == "secure":
        mod = secure_aggregation_mod(SECURE, folder_in(folder))
        strategy = SecureAggregationStrategy(FedAvg(), SECURE, **everybody())
    else:
        mod = update_mod(PLAIN)
        strategy = FederationStrategy(FedAvgM(), PLAIN, **everybody())
    server = ServerApp()

    @server.main()
    def serve(grid, context):
        run = strategy.start(grid, model(), num_rounds=ROUNDS, timeout=120)
        arrays = {name: array.numpy() for name, array in run.arrays.items()}
        weights = flat(arrays).tolist()
        answered = [row["answered"] for row in run.train_metrics_clientapp.values()]
        told = {"weights": weights, "answered": answered}
        (folder / "model.json").write_text(json.dumps(told))

    backend = {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"num_cpus": 2, "_temp_dir": str(folder / "ray")},
    }
    run_simulation(server, client_app([mod]), num_supernodes=CLIENTS, backend_config=backend)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
