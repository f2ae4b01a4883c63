"""A federation on this machine: a server and devices in processes of their own."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from handheld.errors import HandheldError
from handheld.federated.algorithms import ServerState
from handheld.federated.device.config import TOKEN
from handheld.federated.rehearsal.writing import TASK, Rehearsal
from handheld.federated.rounds import FederationState
from handheld.federated.server.blobs import FederationBlobs
from handheld.federated.server.config import read_settings
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.host import located
from handheld.federated.server.ledger import Commit, FederationLedger

_LOOK_SECONDS = 0.1
_END_SECONDS = 20.0
_STATE_BYTES = 1 << 33


@dataclass(frozen=True, eq=False)
class RehearsedRound:
    """A round that was committed.

    Attributes:
        number: counted from 1.
        clients: whose updates are in it.
        seconds: since the devices began.
        state: of the server after it.
        test: figures of the population's test examples.
    """

    number: int
    clients: int
    seconds: float
    state: ServerState
    test: dict[str, float]


def run_rehearsal(
    rehearsal: Rehearsal,
    rounds: int,
    *,
    progress: Callable[[RehearsedRound], None] | None = None,
    patience: float = 300.0,
) -> list[RehearsedRound]:
    """Let a server and all devices run until so many rounds are committed, beside those that are.

    Args:
        rehearsal: see ``write_rehearsal``.
        rounds: that are waited for.
        progress: told of each.
        patience: seconds without a round after which it is given up.

    Raises:
        HandheldError: a process ended, or no round came; the last lines of the logs are told.
    """
    seen: list[RehearsedRound] = []
    if not rounds:
        return seen
    began = time.monotonic()
    with ExitStack() as stack:
        processes = stack.enter_context(_processes(rehearsal))
        book = stack.enter_context(opened_book(rehearsal))
        last = book.newest
        until = last + rounds
        deadline = time.monotonic() + patience
        while last < until:
            _require_alive(processes, rehearsal.folder)
            for commit in book.after(last):
                last = commit.number
                deadline = time.monotonic() + patience
                seen.append(_round_of(rehearsal, book, commit, time.monotonic() - began))
                if progress is not None:
                    progress(seen[-1])
            if time.monotonic() > deadline:
                raise HandheldError(
                    f"no round in {patience:g} s: see the logs in {rehearsal.folder}"
                )
            time.sleep(_LOOK_SECONDS)
    return seen


@dataclass(frozen=True)
class RehearsalBook:
    """What the server has committed, read beside it."""

    ledger: FederationLedger
    blobs: FederationBlobs

    @property
    def newest(self) -> int:
        """Number of the newest model; 0 before the first round."""
        if self.ledger.task(TASK) is None:
            return 0
        return self.ledger.head(TASK).number

    def after(self, number: int) -> list[Commit]:
        """Return the models after one, the oldest first."""
        # Asked ten times a second: the head is one row, the history is all of them.
        if self.newest <= number:
            return []
        history = self.ledger.history(TASK)
        later = [commit for commit in history if commit.number > number]
        return sorted(later, key=lambda commit: commit.number)


@contextmanager
def opened_book(rehearsal: Rehearsal) -> Iterator[RehearsalBook]:
    """Give what the server of a rehearsal has committed, while it runs or not."""
    server = read_settings(rehearsal.server_file).server
    database = FederationDatabase(located(server.database, rehearsal.folder))
    try:
        yield RehearsalBook(
            FederationLedger(database), FederationBlobs(located(server.blobs, rehearsal.folder))
        )
    finally:
        database.close()


def _round_of(
    rehearsal: Rehearsal, book: RehearsalBook, commit: Commit, seconds: float
) -> RehearsedRound:
    assert commit.state_blob is not None, "the newest states are kept"
    content = book.blobs.get(commit.state_blob)
    state = FederationState.from_bytes(content, _STATE_BYTES).server
    test = dict(rehearsal.learner.evaluate(state))
    return RehearsedRound(commit.number, commit.clients, seconds, state, test)


def _environment(rehearsal: Rehearsal) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(rehearsal.code), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {
        TOKEN: secrets.token_urlsafe(),
        "PYTHONPATH": path,
        # Devices share the machine's cores.
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def _processes(rehearsal: Rehearsal) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Give the processes of the server and of the devices, which are ended at the end."""
    environment = _environment(rehearsal)
    commands = [("serve", rehearsal.server_file, rehearsal.folder / "server.log")]
    for number in range(rehearsal.devices):
        file = rehearsal.device_file(number)
        commands.append(("join", file, file.with_suffix(".log")))
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, file, log in commands:
            command = [sys.executable, "-m", "handheld", "federated", name, str(file)]
            # Appended: a rehearsal can be gone on with, after what its last run said.
            with log.open("ab") as output:
                started.append(
                    subprocess.Popen(command, stdout=output, stderr=output, env=environment)
                )
        yield started
    finally:
        _end(started)


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    # All at once, and only then waited for: the server's devices wait for it else.
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _require_alive(processes: Sequence["subprocess.Popen[bytes]"], folder: Path) -> None:
    if any(process.poll() is not None for process in processes):
        raise HandheldError(f"the server or a device ended: the logs in {folder} say why")
