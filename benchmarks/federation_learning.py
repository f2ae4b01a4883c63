"""A federation that learns while its processes are killed, beside the simulator.

    python benchmarks/federation_learning.py [--devices 100] [--rounds 20] [--kills 3]

Handwritten digits (scikit-learn's), dealt out to devices by kinds; each device is a process with a
real client, and the server another, over TLS on loopback. Rounds go through secure aggregation in
groups. After each round a tenth of the devices is killed (SIGKILL) at a random moment and started
again; the server is killed some times. The simulator learns by the same plan with the drop-outs
that the federation had, for five seeds. Exit status 1 where a committed round is lost, or the
federation's accuracy lies further from the simulator's mean than three of its deviations and a
hundredth.
"""

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from _report import show, write

from handheld.demo.devices import digit_users
from handheld.federated.device.config import TOKEN, read
from handheld.federated.learning import ClientWork
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.population import NetworkConfig
from handheld.federated.rehearsal import Rehearsal, write_rehearsal
from handheld.federated.rehearsal.running import opened_book
from handheld.federated.rehearsal.writing import TASK
from handheld.federated.rounds import FederationState
from handheld.federated.simulator import Devices, Plan, simulate
from handheld.federated.stages import Clip, WholeNumbers
from handheld.networks.zoo.federated import make

_CLIP = 5.0
_SEEDS = 5
_KILLED = 0.1
_PATIENCE = 600.0
_FORK = multiprocessing.get_context("fork")
_MODEL_BYTES = 1 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ[TOKEN] = "a token of the benchmark"
    plan = Plan(
        rounds=options.rounds,
        cohort=options.devices * 7 // 10,
        work=ClientWork(epochs=5, batch=10),
        uniform=True,
    )
    learner = learner_of(options.devices)
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = write_rehearsal(
            plan,
            learner,
            Path(folder),
            model=NetworkConfig("two_layers"),
            devices=options.devices,
            clip=_CLIP,
        )
        hurry(rehearsal.server_file)
        row = federation(rehearsal, options)
    row |= simulated(plan, learner, row)
    show("A federation that learns while processes are killed", [row])
    write("federation_learning", [row])
    far = abs(row["accuracy"] - row["simulated accuracy"])
    if row["lost rounds"] or far > 3 * row["simulated deviation"] + 0.01:
        sys.exit(1)


def learner_of(devices: int) -> ModuleLearner:
    users, test = digit_users(devices)
    return ModuleLearner(make("two_layers", (64,), 10, seed=0), users, test)


def hurry(server_file: Path) -> None:
    """Make the server wait for killed devices no longer than a test of minutes bears."""
    table = tomllib.loads(server_file.read_text())
    table["tasks"] = table["tasks"][:1]
    table["tasks"][0] |= {
        "selection_seconds": 10.0,
        "report_seconds": 15.0,
        "phase_seconds": 5.0,
        "group": 25,
        "least": max(3, table["tasks"][0]["goal"] // 3),
        "most_failures": 1000,
        "keep": 1000,
    }
    table["server"]["lease_seconds"] = 1.0
    server_file.write_text(tomli_w.dumps(table))


def federation(rehearsal: Rehearsal, options: Any) -> dict[str, Any]:
    """Let all learn while some are killed; return what came of it."""
    rng = random.Random(7)
    server = serve(rehearsal)
    devices = [live(rehearsal, number) for number in range(rehearsal.devices)]
    kill_at = {1 + kill * options.rounds // options.kills for kill in range(options.kills)}
    seen: dict[int, str] = {}
    lost = killed = server_kills = 0
    began = time.monotonic()
    with opened_book(rehearsal) as book:
        newest = 0
        while newest < options.rounds:
            if time.monotonic() - began > _PATIENCE * max(1, newest):
                raise SystemExit("no round came in time")
            for commit in book.after(newest):
                newest = commit.number
                seen[newest] = str(commit.state_blob)
                print(f"round {newest}: {commit.clients} devices", flush=True)
                if newest in kill_at:
                    kill_at.remove(newest)
                    time.sleep(rng.random())
                    server.kill()
                    server.wait()
                    lost += lost_of(book, seen)
                    server = serve(rehearsal)
                    server_kills += 1
                killed += kill_some(rehearsal, devices, rng)
            time.sleep(0.1)
        seconds = time.monotonic() - began
        lost += lost_of(book, seen)
        history = [commit for commit in book.ledger.history(TASK) if commit.number > 0]
        last = max(history, key=lambda commit: commit.number)
        content = book.blobs.get(str(last.state_blob))
    server.kill()
    for device in devices:
        device.kill()
        device.join()
    state = FederationState.from_bytes(content, _MODEL_BYTES).server
    clients = [commit.clients for commit in history]
    return {
        "devices": rehearsal.devices,
        "rounds": len(history),
        "devices a round": round(float(np.mean(clients)), 1),
        "devices killed": killed,
        "server killed": server_kills,
        "lost rounds": lost,
        "seconds": round(seconds),
        "accuracy": round(rehearsal.learner.evaluate(state)["accuracy"], 4),
    }


def lost_of(book: Any, seen: dict[int, str]) -> int:
    """Return how many committed rounds are not what they were."""
    now = {commit.number: str(commit.state_blob) for commit in book.ledger.history(TASK)}
    return sum(now.get(number) != blob for number, blob in seen.items())


def serve(rehearsal: Rehearsal) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "handheld", "federated", "serve", str(rehearsal.server_file)]
    with (rehearsal.folder / "server.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def live(rehearsal: Rehearsal, number: int) -> ForkProcess:
    """Start a device. Forked: a hundred processes share what was imported once."""
    process = _FORK.Process(target=_live, args=(rehearsal.device_file(number),))
    process.start()
    return process


def _live(file: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    read(file).client().run(threading.Event())


def kill_some(rehearsal: Rehearsal, devices: list[ForkProcess], rng: random.Random) -> int:
    """Kill a tenth of the devices, each at a moment of the next second, and start them again."""
    chosen = rng.sample(range(len(devices)), max(1, round(_KILLED * len(devices))))
    for number in chosen:
        time.sleep(rng.random() / len(chosen))
        devices[number].kill()
        devices[number].join()
        devices[number] = live(rehearsal, number)
    return len(chosen)


def simulated(plan: Plan, learner: ModuleLearner, row: dict[str, Any]) -> dict[str, Any]:
    """Return what the simulator reaches with as many devices a round."""
    answered = row["devices a round"]
    devices = Devices(dropout_rate=max(0.0, 1 - answered / plan.cohort))
    stages = (Clip(_CLIP), WholeNumbers(len(learner.users)))
    accuracies: Sequence[float] = [
        simulate(
            replace(plan, devices=devices, stages=stages, seed=seed, rounds=row["rounds"]), learner
        ).rows[-1]["test_accuracy"]
        for seed in range(_SEEDS)
    ]
    return {
        "simulated accuracy": round(float(np.mean(accuracies)), 4),
        "simulated deviation": round(float(np.std(accuracies, ddof=1)), 4),
    }


if __name__ == "__main__":
    main()
