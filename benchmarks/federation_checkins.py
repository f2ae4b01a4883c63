"""Ten thousand devices check in at a federation's server: does pace steering hold their rate?

    python benchmarks/federation_checkins.py [--devices 10000] [--rate 100] [--seconds 300]
        [--spread 60] [--processes 1] [--postgresql]

All devices are switched on within --spread seconds, and from then on do as they are told: each
comes back when the server says. Devices share some connections with TLS, which are kept; a
check-in's time runs from when the device wants to come to its answer. Counted is what comes after
the first quarter, in pieces of 20 seconds. Exit status 1 where the rate is more than 20 % off, or
the 99th percentile of a check-in reaches 50 ms.
"""

import argparse
import asyncio
import heapq
import random
import ssl
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SERVER_TESTS = HERE.parent / "tests" / "federated" / "server"
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "service"), str(SERVER_TESTS)]

from _report import show, write  # noqa: E402
from federations import Server, write_federation  # noqa: E402
from private_postgres import private_postgres  # noqa: E402

from handheld.federated.server._tables import devices as devices_table  # noqa: E402
from handheld.federated.server.database import FederationDatabase  # noqa: E402
from handheld.federated.server.host import located  # noqa: E402
from handheld.federated.server.pki import write_certificates  # noqa: E402
from handheld.federated.server.sessions import SessionKeys, signing_key  # noqa: E402
from handheld.federated.wire.messages import CheckIn, ComeBack, answer_from  # noqa: E402

_CONNECTIONS = 16
_PIECE = 20.0  # seconds in which arrivals are counted
_MOST_OFF = 0.2
_MOST_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--spread", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = "federation.sqlite"
        if options.postgresql:
            database = stack.enter_context(private_postgres())()
        row = run(folder, options, database)
    show("Check-ins at a federation's server", [row])
    name = "federation_checkins"
    if options.postgresql:
        name += "_postgresql"
    write(name, [row])
    is_off = max(abs(row["lowest rate"] - row["wanted"]), abs(row["highest rate"] - row["wanted"]))
    if is_off > _MOST_OFF * row["wanted"] or row["p99 ms"] >= 1e3 * _MOST_SECONDS:
        sys.exit(1)


def run(folder: Path, options: Any, database: str) -> dict[str, Any]:
    """Let all devices come for a while; return what was seen."""
    certificates = folder / "certificates"
    write_certificates(certificates, ["localhost", "127.0.0.1"])
    federation = write_federation(
        folder / "federation",
        certificates,
        server={"database": database},
        pace={
            "rate": options.rate,
            "shortest": 5.0,
            "longest": 86400.0,
            "meeting": 60.0,
            "few": 100,
        },
        # No rounds: all are sent away again.
        tasks=[{"paused": True}],
    )
    tokens = enrolled(federation, database, options.devices)
    servers = [Server(federation, 0) for _ in range(options.processes)]
    try:
        ports = [int(server.url.rpartition(":")[2]) for server in servers]
        load = Load(tokens, federation / "certificates" / "authority.pem", ports)
        asyncio.run(load.run(options.spread, options.seconds))
    finally:
        for server in servers:
            server.end()
    return load.figures(options)


def enrolled(federation: Path, database: str, count: int) -> list[str]:
    """Enrol devices, as if they had opened their sessions already; return their tokens."""
    opened = FederationDatabase(located(database, federation))
    keys = SessionKeys(signing_key(federation / "signing.key"), session_seconds=86400.0)
    rng = random.Random(7)
    identities = [rng.randbytes(32) for _ in range(count)]
    now = time.time()
    rows = [
        {"identity": identity.hex(), "enrolled": now, "nonce_at": 0, "seen": now}
        for identity in identities
    ]
    with opened.write() as connection:
        connection.execute(devices_table.insert(), rows)
    opened.close()
    return [keys.session(identity) for identity in identities]


class Load:
    """Devices that do as they are told."""

    def __init__(self, tokens: list[str], authority: Path, ports: list[int]) -> None:
        self._tokens = tokens
        self._context = ssl.create_default_context(cafile=authority)
        self._ports = ports
        self._body = CheckIn(plans=[1]).to_bytes()
        self._coming: list[tuple[float, int]] = []
        self._due: asyncio.Queue[tuple[float, int]] = asyncio.Queue()
        self.begun = 0.0
        self.seen: list[tuple[float, float]] = []

    async def run(self, spread: float, seconds: float) -> None:
        """Let devices come for some seconds."""
        rng = random.Random(11)
        self.begun = time.perf_counter()
        for number in range(len(self._tokens)):
            heapq.heappush(self._coming, (self.begun + rng.random() * spread, number))
        workers = [
            asyncio.create_task(self._work(self._ports[number % len(self._ports)]))
            for number in range(_CONNECTIONS)
        ]
        until = self.begun + seconds
        while (now := time.perf_counter()) < until:
            while self._coming and self._coming[0][0] <= now:
                self._due.put_nowait(heapq.heappop(self._coming))
            await asyncio.sleep(0.002)
            for worker in workers:
                if worker.done():
                    worker.result()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=self._context)
        try:
            while True:
                wanted, number = await self._due.get()
                seconds = await self._check_in(reader, writer, number)
                now = time.perf_counter()
                self.seen.append((wanted - self.begun, now - wanted))
                heapq.heappush(self._coming, (now + seconds, number))
        finally:
            writer.close()

    async def _check_in(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> float:
        head = (
            "POST /v1/check-in HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self._tokens[number]}\r\n"
            f"Content-Length: {len(self._body)}\r\n\r\n"
        )
        writer.write(head.encode() + self._body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(line for line in lines if line.startswith("content-length"))
        content = await reader.readexactly(int(length.partition(":")[2]))
        answer = answer_from(content, 10_000)
        assert isinstance(answer, ComeBack), answer
        return answer.seconds

    def figures(self, options: Any) -> dict[str, Any]:
        """Return what was seen after the first quarter."""
        times, waits = map(np.array, zip(*self.seen, strict=True))
        start = options.seconds / 4
        pieces = int((options.seconds - start) / _PIECE)
        edges = start + _PIECE * np.arange(pieces + 1)
        rates = np.histogram(times, edges)[0] / _PIECE
        late = waits[times >= start]
        return {
            "devices": options.devices,
            "processes": options.processes,
            "wanted": options.rate,
            "lowest rate": round(float(rates.min()), 1),
            "highest rate": round(float(rates.max()), 1),
            "check-ins": len(self.seen),
            "median ms": round(1e3 * float(np.median(late)), 2),
            "p99 ms": round(1e3 * float(np.quantile(late, 0.99)), 2),
            "p99 ms from the start": round(1e3 * float(np.quantile(waits, 0.99)), 2),
        }


if __name__ == "__main__":
    main()
