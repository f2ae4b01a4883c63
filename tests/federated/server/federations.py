"""What the tests of a federation's server are made of."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from handheld.federated.secagg.client import ClientPolicy, SecureAggregationClient
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.secagg.messages import terms_from
from handheld.federated.server.blobs import FederationBlobs
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.host import located
from handheld.federated.server.ledger import FederationLedger
from handheld.federated.server.round_store import RoundStore
from handheld.federated.wire.connection import ConnectionPatience, FederationConnection
from handheld.federated.wire.messages import ComeBack, RoundOutcome
from handheld.federated.wire.session import FederationSession

TOKEN = "a token to enrol"
OPERATOR = "a token to operate"
QUICK = ConnectionPatience(seconds=20.0, attempts=100, pause=0.02, longest_pause=0.2)
PACE = {"rate": 1000.0, "shortest": 0.01, "longest": 60.0, "meeting": 0.05, "few": 1000}


def write_federation(folder, certificates, *, server=None, pace=None, tasks=None):
    folder.mkdir(exist_ok=True)
    shutil.copy(Path(__file__).parent / "tiny_tasks.py", folder)
    shutil.copytree(certificates, folder / "certificates", dirs_exist_ok=True)
    tables = {
        "server": {
            "certificate": "certificates/server.pem",
            "key": "certificates/server.key",
            "lease_seconds": 1.0,
            "poll_seconds": 5.0,
            "free_bytes": 1000,
        }
        | (server or {}),
        "pace": PACE | (pace or {}),
    }
    text = "\n".join(f"[{name}]\n{_lines(table)}" for name, table in tables.items())
    for table in tasks or [{}]:
        table = {"task": "tiny_tasks:sum_task", "goal": 3, "over_selection": 1.0} | table
        text += f"\n[[tasks]]\n{_lines(table)}"
    (folder / "federation.toml").write_text(text)
    return folder


def _lines(table):
    return "".join(f"{name} = {_toml(value)}\n" for name, value in table.items())


def _toml(value):
    if isinstance(value, dict):
        inside = ", ".join(f"{name} = {_toml(entry)}" for name, entry in value.items())
        return f"{{ {inside} }}"
    return json.dumps(value)


SERVER = """
import sys
from pathlib import Path
from handheld.federated.server import hosting
hosting.serve_federation(
    Path(sys.argv[1]),
    enrolment_token=sys.argv[3],
    operator_token=sys.argv[4],
    port=int(sys.argv[2]),
    on_start=lambda url: print(url, flush=True),
)
"""


class Server:
    """A server in a process of its own."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port
        command = [sys.executable, "-c", SERVER, str(folder / "federation.toml"), str(port)]
        # Into a file: a pipe that nobody reads would stop it.
        self._log = (folder / "log").open("a")
        self.process = subprocess.Popen(
            [*command, TOKEN, OPERATOR],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.url = self.process.stdout.readline().strip().rstrip("/")
        assert self.url, (folder / "log").read_text()

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=30)
        self._log.close()

    def log(self):
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Device:
    """A device that sends the same number in each place."""

    def __init__(self, url, folder, *, value=1, graph=None, patience=QUICK, **options):
        self.value = value
        self.graph = graph
        self.identity = SigningKey()
        self.connection = FederationConnection(
            url, authority=folder / "certificates" / "authority.pem", patience=patience, **options
        )
        self.session = FederationSession(self.connection, self.identity)

    def enrol(self, token=TOKEN):
        self.session.enrol(token)
        return self

    def selected(self, tasks=(), seconds=30.0, plans=(1,), abilities=()):
        """Check in until the device is selected: the first round may not be open yet."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = self.session.check_in(plans=plans, abilities=abilities, tasks=tasks)
            if not isinstance(answer, ComeBack):
                return answer
            time.sleep(min(answer.seconds, 0.2))
        raise AssertionError("the device was never selected")

    def client(self, offer):
        terms = terms_from(offer.terms)
        values = np.full(terms.count, self.value, np.uint32)
        policy = ClientPolicy(
            context=offer.context,
            bits=terms.bits,
            needs_consistency=terms.is_active,
            graph=self.graph,
            is_enrolled=lambda identity: True,
            is_new_round=lambda round_id: True,
        )
        return SecureAggregationClient(self.identity, values, policy)

    def send(self, offer):
        if offer.terms:
            return self.session.send_securely(offer, self.client(offer))
        return self.session.send_plainly(offer, json.dumps([self.value] * 5).encode())

    def take_part(self, tasks=(), seconds=30.0):
        """Take part in one round, from the check-in to the end."""
        offer = self.session.offer(self.selected(tasks, seconds))
        if isinstance(offer, RoundOutcome):
            return offer
        self.session.blob(offer.model)
        return self.send(offer)


def together(*calls):
    """Call all at once, each in a thread of its own; return what each returned."""
    results = [None] * len(calls)

    def run(number, call):
        try:
            results[number] = call()
        except Exception as error:
            results[number] = error

    threads = [
        threading.Thread(target=run, args=(number, call)) for number, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


class Book:
    """What the database says, beside the servers."""

    def __init__(self, folder, url):
        self.database = FederationDatabase(located(url, folder))
        self.ledger = FederationLedger(self.database)
        self.store = RoundStore(self.database, owner="a test", lease_seconds=1.0)
        self.blobs = FederationBlobs(folder / "blobs")

    def head(self, task="sum"):
        commit = self.ledger.head(task)
        return commit.number, json.loads(self.blobs.get(commit.state_blob))

    def until(self, condition, seconds=30.0):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if result := condition():
                return result
            time.sleep(0.02)
        raise AssertionError("it did not happen in time")
