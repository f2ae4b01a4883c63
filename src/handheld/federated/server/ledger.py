"""The tasks of a federation and the models that came of them, in SQL.

A task's commits are numbered from 0, the start, and only ever added to: a rollback adds one with
the model of an earlier one. The newest is the head.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from handheld.errors import InputError, MissingDependencyError
from handheld.federated.server._tables import commits, rounds, tasks
from handheld.federated.server.database import FederationDatabase
from handheld.service.jobs.texts import storable

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a federation's server") from error

OPEN_STATES = ("selecting", "running")


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task as it was when it was read.

    Args:
        name: of the task.
        state: "running", "paused" or "done".
        reason: why it is not running, in words.
        number: of the head.
        open_round: id of the round that is under way, if any.
        failures: rounds that were abandoned one after the other.
        next_at: when the next round may begin, in seconds since the epoch.
    """

    name: str
    state: str
    reason: str
    number: int
    open_round: str | None
    failures: int
    next_at: float


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A state of a task.

    Args:
        task: its name.
        number: from 0, the start.
        round: that it came of; None: the start, or a rollback.
        origin: number that a rollback went back to.
        state_blob: hash of the state; None: it is no longer kept.
        model_blob: hash of what devices get of it.
        model_bytes: size of that.
        figures: of the round.
        clients: whose values are in it.
        committed: seconds since the epoch.
    """

    task: str
    number: int
    round: str | None = None
    origin: int | None = None
    state_blob: str | None
    model_blob: str | None
    model_bytes: int
    figures: Mapping[str, float]
    clients: int = 0
    committed: float


class FederationLedger:
    """Tasks and their commits.

    Args:
        database: of the federation.
        clock: seconds since the epoch.
    """

    def __init__(
        self, database: FederationDatabase, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock

    def start(self, first: Commit, *, paused: bool = False) -> None:
        """Add a task with its first state, where there is none of that name."""
        values = {
            "name": first.task,
            "state": "paused" if paused else "running",
            "reason": "it was not started yet" if paused else "",
            "number": 0,
            "failures": 0,
            "next_at": 0.0,
        }
        # Alone: processes that start at the same time must not both add it.
        with self._database.exclusive() as connection:
            if self._task(connection, first.task) is not None:
                return
            connection.execute(sql.insert(tasks).values(**values))
            connection.execute(sql.insert(commits).values(**_values(first)))

    def tasks(self) -> list[TaskRow]:
        """Return all tasks, by their names."""
        with self._database.read() as connection:
            rows = connection.execute(sql.select(tasks).order_by(tasks.c.name))
            return [TaskRow(**row._mapping) for row in rows]

    def task(self, name: str) -> TaskRow | None:
        """Return a task; None if there is none."""
        with self._database.read() as connection:
            return self._task(connection, name)

    def head(self, name: str) -> Commit:
        """Return the newest commit of a task.

        Raises:
            InputError: there is no such task.
        """
        with self._database.read() as connection:
            selected = sql.select(commits).where(commits.c.task == name)
            row = connection.execute(selected.order_by(commits.c.number.desc()).limit(1)).first()
        if row is None:
            raise InputError(f"there is no task {name!r}")
        return _commit(row)

    def history(self, name: str, limit: int = 1000) -> list[Commit]:
        """Return the last commits of a task, the newest first."""
        selected = sql.select(commits).where(commits.c.task == name)
        selected = selected.order_by(commits.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return [_commit(row) for row in connection.execute(selected)]

    def set_state(self, name: str, state: str, reason: str = "") -> None:
        """Start a task, or pause it. A round that is under way goes on; one that is done and is
        started has one round more.

        Raises:
            InputError: there is no such task.
        """
        values = {"state": state, "reason": storable(reason), "failures": 0}
        update = sql.update(tasks).where(tasks.c.name == name)
        with self._database.write() as connection:
            if not connection.execute(update.values(**values)).rowcount:
                raise InputError(f"there is no task {name!r}")

    def roll_back(self, name: str, number: int) -> Commit:
        """Make an earlier state of a task its head; a round that is under way comes to nothing.

        Raises:
            InputError: there is no such commit, or its state is no longer kept.
        """
        is_it = (commits.c.task == name) & (commits.c.number == number)
        with self._database.exclusive() as connection:
            row = connection.execute(sql.select(commits).where(is_it)).first()
            task = self._task(connection, name)
            if row is None or task is None:
                raise InputError(f"task {name!r} has no model {number}")
            if row.state_blob is None:
                raise InputError(f"model {number} of task {name!r} is no longer kept")
            values = dict(row._mapping) | {
                "number": task.number + 1,
                "round": None,
                "origin": number,
                "committed": self._clock(),
            }
            connection.execute(sql.insert(commits).values(**values))
            is_task = tasks.c.name == name
            connection.execute(sql.update(tasks).where(is_task).values(number=task.number + 1))
            values["figures"] = json.loads(row.figures)
            return Commit(**values)

    def forget(self, name: str, keep: int) -> frozenset[str]:
        """Say that all states of a task but the newest are no longer kept.

        Args:
            name: of the task.
            keep: states that stay, 1 or more.

        Returns:
            The hashes that these commits had; others may still have them.
        """
        blobs: set[str] = set()
        with self._database.write() as connection:
            task = self._task(connection, name)
            if task is None:
                return frozenset()
            is_old = (
                (commits.c.task == name)
                & (commits.c.number <= task.number - keep)
                & commits.c.state_blob.is_not(None)
            )
            selected = sql.select(commits.c.state_blob, commits.c.model_blob).where(is_old)
            for state_blob, model_blob in connection.execute(selected):
                blobs |= {state_blob, model_blob}
            update = sql.update(commits).where(is_old)
            connection.execute(update.values(state_blob=None, model_blob=None))
        return frozenset(blobs)

    def kept_blobs(self) -> frozenset[str]:
        """Return the hashes of all blobs that something leads to."""
        is_open = rounds.c.state.in_(OPEN_STATES)
        selects = [
            sql.select(commits.c.state_blob, commits.c.model_blob),
            sql.select(rounds.c.state_blob, rounds.c.model_blob).where(is_open),
        ]
        kept: set[str | None] = set()
        with self._database.read() as connection:
            for selected in selects:
                for state_blob, model_blob in connection.execute(selected):
                    kept |= {state_blob, model_blob}
        return frozenset(digest for digest in kept if digest is not None)

    def _task(self, connection: sql.Connection, name: str) -> TaskRow | None:
        row = connection.execute(sql.select(tasks).where(tasks.c.name == name)).first()
        if row is None:
            return None
        return TaskRow(**row._mapping)


def add_commit(connection: sql.Connection, commit: Commit) -> None:
    """Write a commit within a transaction that makes it the head."""
    connection.execute(sql.insert(commits).values(**_values(commit)))


def figure_names(history: Collection[Commit]) -> list[str]:
    """Return the names of all figures that some commits have, in alphabetical order."""
    names: set[str] = set()
    for commit in history:
        names |= commit.figures.keys()
    return sorted(names)


def _values(commit: Commit) -> dict[str, Any]:
    return {
        "task": commit.task,
        "number": commit.number,
        "round": commit.round,
        "origin": commit.origin,
        "state_blob": commit.state_blob,
        "model_blob": commit.model_blob,
        "model_bytes": commit.model_bytes,
        # NaN is no JSON: other programs could not read it.
        "figures": json.dumps(dict(commit.figures), allow_nan=False),
        "clients": commit.clients,
        "committed": commit.committed,
    }


def _commit(row: sql.Row[Any]) -> Commit:
    values = dict(row._mapping)
    values["figures"] = json.loads(row.figures)
    return Commit(**values)
