"""What secure aggregation costs: CPU seconds by phase and party, and bytes.

    python benchmarks/secagg.py [--quick] [--without-flower] [--flower-python PYTHON]

Rounds of ``federated.secagg`` in one process: against an active adversary, with a server that is
trusted to follow the protocol, and with few peers each (Bell et al. 2020). Seconds are of the
processor (``time.process_time``), with nothing on the way between the parties. Each sum is compared
to the true one, to the bit. Beside them the server's seconds of Bonawitz et al. (2017), on another
machine, and Flower's SecAgg+ (flwr 1.41): its workflow and its mod in one process, without engine,
transport and serialisation; its clients also quantise. Each figure is the least of the passes.
"""

import argparse
import json
import math
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _report import show, write
from _secagg_round import (
    ACTIVE,
    GRAPH,
    PHASES,
    SEMI_HONEST,
    VALUE_BITS,
    Costs,
    message_bytes,
    play,
    terms_of,
)
from _simulators_env import SILENT, python_of
from _worker import ONE_THREAD

FOLDER = Path(__file__).parent
VALUES = 100_000
# Protocol, clients, share of them that leaves before it sends its values.
ROUNDS = [
    (ACTIVE, 100, 0.0),
    (ACTIVE, 100, 0.1),
    (ACTIVE, 100, 0.3),
    (SEMI_HONEST, 100, 0.1),
    (ACTIVE, 500, 0.0),
    (ACTIVE, 500, 0.1),
    (ACTIVE, 500, 0.3),
    (GRAPH, 500, 0.1),
    (GRAPH, 1000, 0.0),
    (GRAPH, 1000, 0.1),
    (GRAPH, 1000, 0.3),
]
QUICK_ROUNDS = [(ACTIVE, 20, 0.1), (SEMI_HONEST, 20, 0.1), (GRAPH, 60, 0.1)]
# Bonawitz et al. 2017, table of the server's running time, in ms, at 100,000 values.
PAPER = {
    (500, 0.0): 2_018,
    (500, 0.1): 62_239,
    (500, 0.3): 143_389,
    (1000, 0.0): 4_887,
    (1000, 0.1): 180_875,
    (1000, 0.3): 413_767,
}
# At most so many seconds: of all parties, or of the server.
ASKED_TOTAL = {(ACTIVE, 100, 0.1): 3.0, (SEMI_HONEST, 100, 0.1): 3.0}
ASKED_SERVER = {
    (ACTIVE, 500, 0.1): 10.0,
    (ACTIVE, 500, 0.3): 20.0,
    (GRAPH, 1000, 0.0): 5.0,
    (GRAPH, 1000, 0.1): 5.0,
    (GRAPH, 1000, 0.3): 5.0,
}
ASKED_EXPANSION = 1.73  # Bonawitz et al. 2017, abstract: of 2^10 users with 2^20 values
FLOWER = [(30, 0.1), (100, 0.1)]
QUICK_FLOWER = [(10, 0.1)]
SIZES = {"clients": (50, 100, 200, 400), "values": (50_000, 200_000, 800_000)}
QUICK_SIZES = {"clients": (10, 20, 40), "values": (20_000, 80_000)}
GROWTH_CLIENTS, GROWTH_DROPPED = 50, 0.1
# Bonawitz et al. 2017, section 7: a client's seconds are O(n^2 + m n), the server's O(m n^2).
THEORY = {
    ("clients", "a client"): "1 to 2",
    ("clients", "server"): "2",
    ("values", "a client"): "1",
    ("values", "server"): "1",
}
COLUMNS = (
    "protocol",
    "clients",
    "values",
    "dropped",
    "party",
    *PHASES,
    "total s",
    "paper s",
    "what",
    "asked",
)
SHOWN = [column for column in COLUMNS if column not in ("values", "what", "asked")]
SAID = ("protocol", "clients", "values", "dropped", "party", "what", "asked")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--quick", action="store_true", help="small rounds; nothing is written")
    options.add_argument("--passes", type=int, default=1)
    options.add_argument("--without-flower", action="store_true")
    options.add_argument("--flower-python", type=Path, help="that has flwr 1.41; made if missing")
    arguments = options.parse_args()
    check_message_bytes()
    rows = list(costs(QUICK_ROUNDS if arguments.quick else ROUNDS, arguments.passes))
    rows += growth(QUICK_SIZES if arguments.quick else SIZES)
    rows += expansions()
    if not arguments.without_flower:
        python = arguments.flower_python or python_of("flower")
        rows += flower(python, QUICK_FLOWER if arguments.quick else FLOWER)
    show("secure aggregation, CPU seconds", [row for row in rows if "total s" in row], SHOWN)
    for row in rows:
        if "what" in row or "asked" in row:
            print("; ".join(str(row[column]) for column in SAID if column in row))
    if not arguments.quick:
        write("secagg", rows, COLUMNS)


def costs(rounds: Sequence[tuple[str, int, float]], passes: int) -> Iterator[dict[str, Any]]:
    for protocol, clients, dropped in rounds:
        best = min(
            (play(protocol, clients, VALUES, dropped) for _ in range(passes)),
            key=lambda played: played.total,
        )
        print(
            f"{protocol}, {clients} clients, {dropped:.0%} dropped: {best.total:.2f} s", flush=True
        )
        yield from rows_of(best, protocol, clients, dropped)


def rows_of(played: Costs, protocol: str, clients: int, dropped: float) -> Iterator[dict[str, Any]]:
    """Yield the seconds of all clients, of the server, and of both."""
    case = (protocol, clients, dropped)
    row = head(protocol, clients, VALUES, dropped)
    yield row | {"party": "all clients", **phases(played.client)}
    server = row | {"party": "server", **phases(played.server)}
    if (clients, dropped) in PAPER:
        server["paper s"] = PAPER[clients, dropped] / 1000
    if case in ASKED_SERVER:
        server["asked"] = met(sum(played.server.values()), ASKED_SERVER[case])
    yield server
    both = row | {"party": "both", "total s": played.total}
    if case in ASKED_TOTAL:
        both["asked"] = met(played.total, ASKED_TOTAL[case])
    yield both


def head(protocol: str, clients: int, values: int, dropped: float) -> dict[str, Any]:
    name = protocol
    if protocol == GRAPH:
        terms = terms_of(protocol, clients, values)
        name = f"{terms.peers} peers, threshold {terms.threshold}"
    return {
        "protocol": name,
        "clients": clients,
        "values": values,
        "dropped": f"{dropped:.0%}",
    }


def phases(seconds: dict[str, float]) -> dict[str, float]:
    return {phase: seconds[phase] for phase in PHASES if phase in seconds} | {
        "total s": sum(seconds.values())
    }


def growth(sizes: dict[str, Sequence[int]]) -> Iterator[dict[str, Any]]:
    """Yield by which power seconds grow with clients and with values."""
    plays: dict[str, Callable[[int], Costs]] = {
        "clients": lambda size: play(SEMI_HONEST, size, VALUES, GROWTH_DROPPED),
        "values": lambda size: play(SEMI_HONEST, GROWTH_CLIENTS, size, GROWTH_DROPPED),
    }
    for name, measured in sizes.items():
        played = [plays[name](size) for size in measured]
        clients = [GROWTH_CLIENTS] * len(measured)
        if name == "clients":
            clients = list(measured)
        seconds = {
            "a client": [
                sum(one.client.values()) / count for one, count in zip(played, clients, strict=True)
            ],
            "server": [sum(one.server.values()) for one in played],
        }
        for party, taken in seconds.items():
            power = float(np.polyfit(np.log(measured), np.log(taken), 1)[0])
            span = ", ".join(f"{one:.3g} s" for one in taken)
            yield {
                "protocol": SEMI_HONEST,
                name: f"{measured[0]} to {measured[-1]}",
                "dropped": f"{GROWTH_DROPPED:.0%}",
                "party": party,
                "what": f"{span}: {name} to the power of {power:.2f}; "
                f"the paper's {THEORY[name, party]}",
            }


def expansions() -> Iterator[dict[str, Any]]:
    """Yield how many times the bytes of a plain upload a client sends and is sent."""
    for protocol in (ACTIVE, SEMI_HONEST, GRAPH):
        for clients, values in ((100, VALUES), (2**10, 2**20)):
            expansion = message_bytes(protocol, clients, values) / (values * VALUE_BITS / 8)
            row = head(protocol, clients, values, 0.0) | {
                "party": "a client",
                "what": f"{expansion:.3f} times the bytes of a plain upload of {VALUE_BITS} bits",
            }
            if clients == 2**10:
                row["asked"] = met(expansion, ASKED_EXPANSION)
            yield row


def check_message_bytes() -> None:
    """See that messages written out are as long as those of a round that is played."""
    for protocol, clients in ((ACTIVE, 24), (SEMI_HONEST, 24), (GRAPH, 60)):
        played = play(protocol, clients, 1000, 0.0).sent
        written = message_bytes(protocol, clients, 1000)
        assert written == played, f"{protocol}: {written} bytes written out, {played} played"


def flower(python: Path, rounds: Sequence[tuple[int, float]]) -> Iterator[dict[str, Any]]:
    for clients, dropped in rounds:
        neighbours = clients - 2  # an even number, as its graph is one, too
        job = {
            "clients": clients,
            "values": VALUES,
            "dropped": dropped,
            "neighbours": neighbours,
            "threshold": clients // 2 + 1,
        }
        done = subprocess.run(
            [str(python), str(FOLDER / "_flower_secagg_worker.py"), json.dumps(job)],
            capture_output=True,
            text=True,
            env={**os.environ, **ONE_THREAD, **SILENT},
            check=True,
        )
        seconds = json.loads(done.stdout.splitlines()[-1])
        ours = play(SEMI_HONEST, clients, VALUES, dropped)
        total = seconds["client"] + seconds["server"]
        print(f"Flower, {clients} clients: {total:.2f} s, ours {ours.total:.2f} s", flush=True)
        row = head("Flower's SecAgg+", clients, VALUES, dropped)
        yield row | {"party": "all clients", "total s": seconds["client"]}
        yield row | {"party": "server", "total s": seconds["server"]}
        yield row | {
            "party": "both",
            "total s": total,
            "what": f"{total / ours.total:.1f} times ours, {SEMI_HONEST}: {ours.total:.2f} s; "
            f"its mean is off by {seconds['off']:.1e}",
        }


def met(value: float, limit: float) -> str:
    verdict = "yes"
    if value > limit or math.isnan(value):
        verdict = "NO"
    return f"at most {limit:g}: {verdict}"


if __name__ == "__main__":
    main()
