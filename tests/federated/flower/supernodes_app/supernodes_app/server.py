"""Writes the model and how many answered to where it is told."""

import json
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from handheld.federated.algorithms import FedAvg
from handheld.federated.flower import SecureAggregationStrategy
from supernodes_app import CLIENTS, PLAN

PHASE_SECONDS = 60.0

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    strategy = SecureAggregationStrategy(
        FedAvg(),
        PLAN,
        phase_seconds=PHASE_SECONDS,
        min_train_nodes=CLIENTS,
        min_available_nodes=CLIENTS,
        fraction_evaluate=0.0,
    )
    start = ArrayRecord({"weight": Array(np.zeros(5, np.float32))})
    run = strategy.start(
        grid, start, num_rounds=context.run_config["rounds"], timeout=PHASE_SECONDS
    )
    told = {
        "weight": run.arrays["weight"].numpy().tolist(),
        "rounds": {number: dict(row) for number, row in run.train_metrics_clientapp.items()},
    }
    Path(context.run_config["out"]).write_text(json.dumps(told))
