"""Rounds of a federation's server over real TLS: how long one takes, and what kills cost.

    python benchmarks/federation_rounds.py [--clients 100] [--rounds 20] [--kills 3]
        [--processes 1] [--postgresql]

First, secure rounds of 3 clients with 100,000 numbers each, one after the other: the time from the
first check-in to the last answer, in the clients. Then many clients, each a process, take part in
secure rounds of groups while the server (or one of the servers) is killed (SIGKILL) and started
again. All send ones, so each model must be the one before it and as many as its round had clients.
Exit status 1 where one is not, or is missing, or the median round of three takes over 0.5 s.
"""

import argparse
import itertools
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SERVER_TESTS = HERE.parent / "tests" / "federated" / "server"
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "service"), str(SERVER_TESTS)]

from _report import show, write  # noqa: E402
from federations import Book, Device, Server, free_port, write_federation  # noqa: E402
from private_postgres import private_postgres  # noqa: E402

from handheld.errors import HandheldError  # noqa: E402
from handheld.federated.server.pki import write_certificates  # noqa: E402

_VALUES = 100_000
_TIMED = 20
_MOST_SECONDS = 0.5
_PATIENCE = 900.0
# Forked: a hundred processes share what was imported once.
_FORK = multiprocessing.get_context("fork")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_certificates(folder / "certificates", ["localhost", "127.0.0.1"])
        new_database = lambda: "federation.sqlite"  # noqa: E731
        if options.postgresql:
            new_database = stack.enter_context(private_postgres())
        row = timed(folder, new_database()) | killed(folder, options, new_database())
    show("Rounds of a federation's server", [row])
    name = "federation_rounds"
    if options.postgresql:
        name += "_postgresql"
    write(name, [row])
    if row["wrong models"] or row["models"] != row["rounds"] or row["median s"] > _MOST_SECONDS:
        sys.exit(1)


def timed(folder: Path, database: str) -> dict[str, Any]:
    """Return how long rounds of three take."""
    federation = write_federation(
        folder / "timed",
        folder / "certificates",
        server={"database": database},
        tasks=[{"options": {"count": _VALUES, "bits": 20}}],
    )
    server = Server(federation, 0)
    barrier = _FORK.Barrier(4)
    clients = [
        _FORK.Process(target=_take_turns, args=(server.url, str(federation), barrier))
        for _ in range(3)
    ]
    for client in clients:
        client.start()
    seconds = []
    for _ in range(_TIMED):
        barrier.wait()
        start = time.perf_counter()
        barrier.wait()
        seconds.append(time.perf_counter() - start)
    for client in clients:
        client.join()
    server.end()
    return {
        "values": _VALUES,
        "median s": round(statistics.median(seconds), 3),
        "slowest s": round(max(seconds), 3),
    }


def _take_turns(url: str, folder: str, barrier: Barrier) -> None:
    device = Device(url, Path(folder)).enrol()
    for _ in range(_TIMED):
        barrier.wait()
        outcome = device.take_part()
        assert outcome.counted, outcome
        barrier.wait()


def killed(folder: Path, options: Any, database: str) -> dict[str, Any]:
    """Let clients take part while servers are killed; return what became of the models."""
    goal = options.clients * 4 // 5
    task = {
        "goal": goal,
        "least": options.clients // 2,
        "over_selection": 1.2,
        "group": 25,
        "selection_seconds": 10.0,
        "report_seconds": 10.0,
        "phase_seconds": 5.0,
        "rounds": options.rounds,
        "most_failures": 1000,
    }
    federation = write_federation(
        folder / "killed", folder / "certificates", server={"database": database}, tasks=[task]
    )
    servers = [Server(federation, free_port()) for _ in range(options.processes)]
    stopping = _FORK.Event()
    clients = []
    start = time.monotonic()
    for number in range(options.clients):
        url = servers[number % len(servers)].url
        clients.append(_FORK.Process(target=_live, args=(url, str(federation), stopping)))
        clients[-1].start()
    book = Book(federation, database)
    rng = random.Random(13)
    for kill in range(options.kills):
        after = 1 + kill * options.rounds // (options.kills + 1)
        book.until(lambda number=after: book.head()[0] >= number, _PATIENCE)
        time.sleep(rng.random() * 2)
        place = kill % len(servers)
        servers[place].kill()
        servers[place] = Server(federation, servers[place].port)
    book.until(lambda: book.head()[0] >= options.rounds, _PATIENCE)
    seconds = time.monotonic() - start
    stopping.set()
    for client in clients:
        client.join(60)
    for server in servers:
        server.end()
    history = book.ledger.history("sum")[::-1]
    abandoned = [row for row in book.store.last_rounds("sum", 1000) if row.state == "abandoned"]
    # Of older ones only the figures are kept.
    kept = [commit for commit in history if commit.state_blob]
    states = [(commit, json.loads(book.blobs.get(commit.state_blob))) for commit in kept]
    wrong = sum(
        after["clients"] != before["clients"] + commit.clients
        or after["total"] != [after["clients"]] * 5
        for (_, before), (commit, after) in itertools.pairwise(states)
    )
    in_models = sum(commit.clients for commit in history)
    return {
        "clients": options.clients,
        "processes": options.processes,
        "rounds": options.rounds,
        "kills": options.kills,
        "models": len(history) - 1,
        "wrong models": wrong + (states[-1][1]["clients"] != in_models),
        "abandoned": len(abandoned),
        "seconds": round(seconds),
    }


def _live(url: str, folder: str, stopping: Event) -> None:
    """Take part in rounds until told to stop, whatever happens to the server."""
    device = Device(url, Path(folder))
    is_enrolled = False
    while not stopping.is_set():
        try:
            if not is_enrolled:
                device.enrol()
                is_enrolled = True
            device.take_part(seconds=5.0)
        except (HandheldError, AssertionError):
            time.sleep(0.2)


if __name__ == "__main__":
    main()
