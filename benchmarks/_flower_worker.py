"""Flower's simulator in an interpreter of its own, on Ray, as many clients at a time as there are
cores.

Speaks JSON on its command line, and answers in a file: ``_simulators_task.Job``.
"""

import os
from pathlib import Path
from typing import Any

from _simulators_task import EXAMPLES, Job, Watch, first, learn
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

client = ClientApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    told = message.content["config"]
    (weights,) = message.content["arrays"].to_numpy_ndarrays()
    learned = learn(
        told["step"], weights, told["server-round"] - 1, context.node_config["partition-id"]
    )
    content = {
        "arrays": ArrayRecord([learned]),
        "metrics": MetricRecord({"num-examples": EXAMPLES}),
    }
    return Message(RecordDict(content), reply_to=message)


def main() -> None:
    job = Job.told()
    watch = Watch(job.started)
    server, weights = ServerApp(), first(job.step, job.parameters)

    def note(number: int, arrays: ArrayRecord) -> None:
        if number:
            watch.round_ends()

    @server.main()
    def serve(grid: Grid, context: Context) -> None:
        strategy = FedAvg(
            fraction_train=job.cohort / job.population,
            # the fraction is one of those that it knows of when it is asked, not of all
            min_train_nodes=job.cohort,
            min_available_nodes=job.population,
            fraction_evaluate=0.0,
        )
        told = ConfigRecord({"step": job.step})
        run = strategy.start(
            grid, ArrayRecord([weights]), num_rounds=job.rounds, train_config=told, evaluate_fn=note
        )
        (learned,) = run.arrays.to_numpy_ndarrays()
        job.answer(watch, learned)

    watch.imports_end()
    backend: dict[str, Any] = {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"num_cpus": os.cpu_count(), "_temp_dir": str(Path(job.out).parent / "ray")},
    }
    run_simulation(server, client, num_supernodes=job.population, backend_config=backend)


if __name__ == "__main__":
    main()
