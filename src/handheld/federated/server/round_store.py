"""Rounds that are under way, in SQL: who takes part, what was sent, what comes next.

A round has one leader at a time, by a lease; whatever a leader changes holds only while it is one.
A phase ends in one transaction, which says what was counted in it and what each device is told:
whoever leads next counts the same, whatever else has come since.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from handheld.errors import MissingDependencyError
from handheld.federated.server._tables import (
    answers,
    devices,
    groups,
    messages,
    participants,
    participations,
    rounds,
    tasks,
)
from handheld.federated.server.config import CLOCK_SECONDS, LONGEST_LEASE
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.ledger import OPEN_STATES, Commit, add_commit
from handheld.service.jobs.texts import storable

try:
    import sqlalchemy as sql
    from sqlalchemy.exc import IntegrityError
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a federation's server") from error

EVERYBODY = ""
"""The recipient of what all are told who have nothing of their own."""

_LONGEST_REASON = 300


class _OtherHeadError(Exception):
    """A task was rolled back while a round was under way."""


class Joined(Enum):
    """What became of a device that would take part."""

    SELECTED = auto()
    FULL = auto()
    RESTING = auto()
    REVOKED = auto()


class Taken(Enum):
    """What became of a message."""

    NEW = auto()
    AGAIN = auto()
    DIFFERENT = auto()
    LATE = auto()


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """A round as it was when it was read; times are seconds since the epoch.

    Args:
        id: of the round, 32 hexadecimal digits.
        task: its name.
        base: number of the commit that it goes on from.
        state: "selecting", "running", "committed" or "abandoned".
        reason: why it was abandoned.
        goal: devices whose values are wanted.
        least: with fewer it is abandoned.
        most: devices that are selected.
        selected: so far.
        state_blob, model_blob, model_bytes: of the base.
        plans: addresses of the plans, see ``wire.messages.plans_from``.
        count, bits: of a masked vector; 0 where uploads are plain.
        most_bytes: of a plain upload.
        owner: process that leads it, until ``lease``.
        lease: end of the leadership.
        created: when selection began.
        deadline: when it ends.
        configured: when it ended.
        finished: when the round did.
        clients: whose values are in it.
        bytes_up, bytes_down: that went over the network.
    """

    id: str
    task: str
    base: int
    state: str
    reason: str
    goal: int
    least: int
    most: int
    selected: int
    state_blob: str
    model_blob: str
    model_bytes: int
    plans: bytes
    count: int
    bits: int
    most_bytes: int
    owner: str
    lease: float
    created: float
    deadline: float
    configured: float | None
    finished: float | None
    clients: int
    bytes_up: int
    bytes_down: int

    @property
    def is_open(self) -> bool:
        """Whether it is under way."""
        return self.state in OPEN_STATES


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """A group of a round.

    Args:
        round: its id.
        number: of the group, from 0.
        goal: devices whose values are wanted.
        members: devices that are in it.
        terms: of its secure aggregation; empty where uploads are plain.
        state: "open", "done" or "failed".
        reason: why it failed.
        phase: that it is in, from 0.
        deadline: of the phase, in seconds since the epoch.
        received: messages so far.
    """

    round: str
    number: int
    goal: int
    members: int
    terms: bytes
    state: str
    reason: str
    phase: int
    deadline: float
    received: int


@dataclass(frozen=True)
class RoundSnapshot:
    """All that is under way.

    Args:
        rounds: by their ids.
        groups: by the ids of their rounds and their numbers.
    """

    rounds: Mapping[str, RoundRow]
    groups: Mapping[tuple[str, int], GroupRow]


@dataclass(frozen=True)
class StoredMessage:
    """What a device sent.

    Args:
        sender: its identity, in hexadecimal.
        digest: hash of the content.
        content: None: it stands in a file.
        counted: whether it is in what came of its phase.
    """

    sender: str
    digest: str
    content: bytes | None
    counted: bool

    def upload_name(self, group: GroupRow, phase: int) -> str:
        """Return the name of its file among those of the round."""
        return upload_name(group.number, phase, self.digest)


@dataclass(frozen=True, kw_only=True)
class Participant:
    """A device in a round.

    Args:
        group: its number; None: devices are still selected.
        refused: why its part has ended, if it has.
    """

    group: int | None
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """A group that a round is dealt into.

    Args:
        goal: devices whose values are wanted.
        members: identities, in hexadecimal.
        terms: of its secure aggregation; empty where uploads are plain.
    """

    goal: int
    members: Sequence[str]
    terms: bytes = b""


class RoundStore:
    """Rounds, groups, and what devices send in them.

    Args:
        database: of the federation.
        owner: name of this process.
        lease_seconds: after which a leader that says nothing has lost its rounds.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: FederationDatabase,
        *,
        owner: str,
        lease_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.owner = owner
        self._lease_seconds = lease_seconds
        self._database = database
        self._clock = clock

    # What all processes do

    def snapshot(self) -> RoundSnapshot:
        """Return what is under way."""
        is_open = rounds.c.state.in_(OPEN_STATES)
        ids = sql.select(rounds.c.id).where(is_open)
        with self._database.read() as connection:
            rows = connection.execute(sql.select(rounds).where(is_open)).all()
            their_groups = []
            # Most looks find nothing under way, and there are thirty a second: one query is enough
            # then.
            if rows:
                selected = sql.select(groups).where(groups.c.round.in_(ids))
                their_groups = list(connection.execute(selected).all())
        return RoundSnapshot(
            {row.id: RoundRow(**row._mapping) for row in rows},
            {(row.round, row.number): GroupRow(**row._mapping) for row in their_groups},
        )

    def get(self, round_id: str) -> RoundRow | None:
        """Return a round, whether it is under way or has ended."""
        with self._database.read() as connection:
            row = connection.execute(sql.select(rounds).where(rounds.c.id == round_id)).first()
        if row is None:
            return None
        return RoundRow(**row._mapping)

    def last_rounds(self, task: str, limit: int = 50) -> list[RoundRow]:
        """Return the last rounds of a task that have ended or are under way, the newest first."""
        selected = sql.select(rounds).where(rounds.c.task == task)
        selected = selected.order_by(rounds.c.created.desc()).limit(limit)
        with self._database.read() as connection:
            return [RoundRow(**row._mapping) for row in connection.execute(selected)]

    def is_silent(self, row: RoundRow) -> bool:
        """Return whether nobody leads a round any more, as far as its lease tells."""
        now = self._clock()
        return not now <= row.lease <= _farthest_lease(now)

    def open(self, row: RoundRow, *, pause_seconds: float = 0.0) -> bool:
        """Begin a round; return False where its task has another one, another head, or is not
        running.

        Args:
            row: of the round.
            pause_seconds: between two rounds of the task.
        """
        now = self._clock()
        is_far = tasks.c.next_at > farthest_beginning(now, pause_seconds)
        is_free = (
            (tasks.c.name == row.task)
            & tasks.c.open_round.is_(None)
            & (tasks.c.state == "running")
            & ((tasks.c.next_at <= now) | is_far)
        )
        update = sql.update(tasks).where(is_free).values(open_round=row.id)
        values = {column.name: getattr(row, column.name) for column in rounds.c}
        with self._database.write() as connection:
            if not connection.execute(update).rowcount:
                return False
            connection.execute(sql.insert(rounds).values(**values))
        return True

    def join(self, round_id: str, identity: str, *, resting: int = 0) -> Joined:
        """Select a device for a round, if there is room; once more does no harm.

        Args:
            round_id: of a round that selects.
            identity: of the device, in hexadecimal.
            resting: commits that must lie between two rounds of one device.
        """
        is_here = (participants.c.round == round_id) & (participants.c.identity == identity)
        has_room = (
            (rounds.c.id == round_id)
            & (rounds.c.state == "selecting")
            & (rounds.c.selected < rounds.c.most)
        )
        update = sql.update(rounds).where(has_room).values(selected=rounds.c.selected + 1)
        values = {"round": round_id, "identity": identity, "joined": self._clock()}
        try:
            with self._database.write() as connection:
                # A device that did not get the answer asks again, and has its seat already.
                if connection.execute(sql.select(participants.c.joined).where(is_here)).first():
                    return Joined.SELECTED
                if self._is_revoked(connection, identity):
                    return Joined.REVOKED
                if resting and self._is_resting(connection, round_id, identity, resting):
                    return Joined.RESTING
                if not connection.execute(update).rowcount:
                    return Joined.FULL
                connection.execute(sql.insert(participants).values(**values))
        except IntegrityError:
            # Twice at the same moment: the other one was first.
            return Joined.SELECTED
        return Joined.SELECTED

    def participant(self, round_id: str, identity: str) -> Participant | None:
        """Return a device's part in a round; None if it has none."""
        is_here = (participants.c.round == round_id) & (participants.c.identity == identity)
        selected = sql.select(participants.c.group, participants.c.refused).where(is_here)
        with self._database.read() as connection:
            row = connection.execute(selected).first()
        if row is None:
            return None
        return Participant(group=row.group, refused=row.refused)

    def take(  # the key of a message
        self,
        group: GroupRow,
        phase: int,
        sender: str,
        content: bytes | None,
        *,
        digest: str,
        size: int,
    ) -> Taken:
        """Keep a message of a phase, once, while the phase lasts.

        Args:
            group: of the sender.
            phase: that the message is for.
            sender: its identity, in hexadecimal.
            content: None: it stands in a file already.
            digest: hash of the content.
            size: of the content, in bytes.
        """
        # Read first: repeats are common on poor networks, and a read locks nobody.
        before = self.taken(group, phase, sender, digest)
        if before is not None:
            return before
        is_open = (
            _is_group(group.round, group.number)
            & (groups.c.phase == phase)
            & (groups.c.state == "open")
        )
        update = sql.update(groups).where(is_open).values(received=groups.c.received + 1)
        values = {
            "round": group.round,
            "group": group.number,
            "phase": phase,
            "sender": sender,
            "digest": digest,
            "content": content,
            "bytes": size,
            "counted": False,
        }
        try:
            with self._database.write() as connection:
                # The row of the group is locked with it: the phase does not end meanwhile.
                if not connection.execute(update).rowcount:
                    return Taken.LATE
                connection.execute(sql.insert(messages).values(**values))
        except IntegrityError:
            # The same message twice at the same moment: the other one was first.
            return self.taken(group, phase, sender, digest) or Taken.LATE
        return Taken.NEW

    def taken(self, group: GroupRow, phase: int, sender: str, digest: str) -> Taken | None:
        """Return whether a message of that phase came before; None if not."""
        is_it = _is_phase(group.round, group.number, phase) & (messages.c.sender == sender)
        with self._database.read() as connection:
            before = connection.execute(sql.select(messages.c.digest).where(is_it)).scalar()
        if before is None:
            return None
        return Taken.AGAIN if before == digest else Taken.DIFFERENT

    def answer(self, round_id: str, group: int, phase: int, recipient: str) -> bytes | None:
        """Return what a device is told at the beginning of a phase; None: nothing, its part has
        ended.
        """
        is_it = (
            (answers.c.round == round_id) & (answers.c.group == group) & (answers.c.phase == phase)
        )
        selected = sql.select(answers.c.recipient, answers.c.content).where(
            is_it, answers.c.recipient.in_((recipient, EVERYBODY))
        )
        with self._database.read() as connection:
            contents = {row.recipient: row.content for row in connection.execute(selected)}
        if recipient not in contents:
            return None
        content = contents[recipient]
        if content is None:
            content = contents[EVERYBODY]
        return bytes(content)

    def has_sent(self, round_id: str, group: int, phase: int, sender: str) -> bool:
        """Return whether a device's message of a phase counts: it came, and where the phase has
        ended, in time.
        """
        is_it = _is_phase(round_id, group, phase) & (messages.c.sender == sender)
        is_on = _is_group(round_id, group) & (groups.c.phase == phase) & (groups.c.state == "open")
        selected = sql.select(messages.c.counted).where(is_it)
        with self._database.read() as connection:
            # In this order: where the phase has ended, what was counted changes no more.
            is_still_on = connection.execute(sql.select(groups.c.phase).where(is_on)).first()
            counted = connection.execute(selected).scalar()
        if counted is None:
            return False
        return bool(counted) or is_still_on is not None

    # What the leader of a round does

    def claim(self, round_id: str) -> bool:
        """Lead a round whose leader went silent."""
        now = self._clock()
        is_silent = (rounds.c.lease < now) | (rounds.c.lease > _farthest_lease(now))
        is_free = (
            (rounds.c.id == round_id)
            & rounds.c.state.in_(OPEN_STATES)
            & (is_silent | (rounds.c.owner == self.owner))
        )
        values = {"owner": self.owner, "lease": now + self._lease_seconds}
        with self._database.write() as connection:
            return (
                connection.execute(sql.update(rounds).where(is_free).values(**values)).rowcount == 1
            )

    def beat(self) -> None:
        """Say that this process lives: its leases go on."""
        is_ours = (rounds.c.owner == self.owner) & rounds.c.state.in_(OPEN_STATES)
        values = {"lease": self._clock() + self._lease_seconds}
        with self._database.write() as connection:
            connection.execute(sql.update(rounds).where(is_ours).values(**values))

    def release(self) -> None:
        """Let go of all rounds: this process ends."""
        is_ours = (rounds.c.owner == self.owner) & rounds.c.state.in_(OPEN_STATES)
        with self._database.write() as connection:
            # An end that lies in the past: others need not wait until the lease is over.
            connection.execute(sql.update(rounds).where(is_ours).values(lease=0.0))

    def configure(
        self, row: RoundRow, deal: Callable[[list[str]], Sequence[GroupPlan]], deadline: float
    ) -> bool:
        """End the selection; deal the devices into groups.

        Args:
            row: of the round.
            deal: gets the identities, returns the groups.
            deadline: of the first phase.

        Returns:
            False where this process leads the round no more.
        """
        values = {"state": "running", "configured": self._clock()}
        with self._database.write() as connection:
            if not self._lead(connection, row.id, "selecting", values):
                return False
            selected = sql.select(participants.c.identity).where(participants.c.round == row.id)
            identities = sorted(connection.execute(selected).scalars())
            for number, plan in enumerate(deal(identities)):
                self._add_group(connection, row.id, number, plan, deadline)
        return True

    def members(self, round_id: str, group: int) -> frozenset[bytes]:
        """Return the identities of a group."""
        is_member = (participants.c.round == round_id) & (participants.c.group == group)
        with self._database.read() as connection:
            rows = connection.execute(sql.select(participants.c.identity).where(is_member))
            return frozenset(bytes.fromhex(identity) for identity in rows.scalars())

    def senders(self, group: GroupRow, phase: int) -> set[str]:
        """Return whose messages of a phase have come."""
        selected = sql.select(messages.c.sender).where(_is_phase(group.round, group.number, phase))
        with self._database.read() as connection:
            return set(connection.execute(selected).scalars())

    def messages_of(
        self, group: GroupRow, phase: int, senders: Collection[str]
    ) -> list[StoredMessage]:
        """Return messages of a phase, in the order of their senders."""
        columns = (
            messages.c.sender,
            messages.c.digest,
            messages.c.content,
            messages.c.counted,
        )
        selected = sql.select(*columns).where(
            _is_phase(group.round, group.number, phase), messages.c.sender.in_(senders)
        )
        with self._database.read() as connection:
            rows = connection.execute(selected.order_by(messages.c.sender))
            return [StoredMessage(*row) for row in rows]

    def end_phase(  # what holds from then on, in one transaction
        self,
        group: GroupRow,
        *,
        counted: Iterable[str],
        refused: Mapping[str, str],
        answers_by_recipient: Mapping[str, bytes],
        state: str,
        deadline: float,
    ) -> bool:
        """End a phase of a group.

        Args:
            group: as it was.
            counted: senders whose messages are in what came of the phase.
            refused: why what others sent is no message, by sender: their part has ended.
            answers_by_recipient: what devices are told, by identity.
            state: of the group: "open", or "done" where that was the last phase.
            deadline: of the next phase.

        Returns:
            False where this process leads the round no more.
        """
        values = {"phase": group.phase + 1, "state": state, "deadline": deadline}
        with self._database.write() as connection:
            if not self._change_group(connection, group, values):
                return False
            is_counted = _is_phase(group.round, group.number, group.phase) & messages.c.sender.in_(
                sorted(counted)
            )
            connection.execute(sql.update(messages).where(is_counted).values(counted=True))
            self._refuse(connection, group.round, refused)
            rows = list(_answer_rows(group, answers_by_recipient))
            if rows:
                connection.execute(sql.insert(answers), rows)
        return True

    def fail_group(self, group: GroupRow, reason: str, refused: Mapping[str, str]) -> bool:
        """End a group that gives nothing.

        Args:
            group: as it was.
            reason: why.
            refused: why what some sent is no message, by sender.

        Returns:
            False where this process leads the round no more.
        """
        values = {"state": "failed", "reason": _cut(reason)}
        with self._database.write() as connection:
            if not self._change_group(connection, group, values):
                return False
            self._refuse(connection, group.round, refused)
        return True

    def commit(
        self, row: RoundRow, commit: Commit, *, phase: int, next_at: float, is_last: bool
    ) -> bool:
        """End a round with a new head of its task.

        Args:
            row: of the round.
            commit: that comes of it; its blobs are kept already.
            phase: whose counted messages say who took part.
            next_at: when the task's next round may begin.
            is_last: whether the task is done.

        Returns:
            False where this process leads the round no more, or the task has another head.
        """
        is_head = (tasks.c.name == row.task) & (tasks.c.number == row.base)
        changes: dict[str, Any] = {
            "number": commit.number,
            "open_round": None,
            "failures": 0,
            "next_at": next_at,
        }
        if is_last:
            changes |= {"state": "done", "reason": "all rounds are done"}
        values = {
            "state": "committed",
            "finished": self._clock(),
            "clients": commit.clients,
            "bytes_up": self._bytes_up(row.id),
            "bytes_down": self._bytes_down(row),
        }
        update = sql.update(tasks).where(is_head).values(**changes)
        try:
            with self._database.write() as connection:
                if not self._lead(connection, row.id, "running", values):
                    return False
                if not connection.execute(update).rowcount:
                    # Not returned: what the statement above changed must not stay.
                    raise _OtherHeadError
                add_commit(connection, commit)
                self._count_participations(connection, row, phase, commit.number)
                self._forget_contents(connection, row.id)
        except _OtherHeadError:
            return False
        return True

    def abandon(self, row: RoundRow, reason: str, *, next_at: float, most_failures: int) -> bool:
        """End a round that gives nothing. False where this process leads it no more.

        Args:
            row: of the round.
            reason: why.
            next_at: when the task's next round may begin.
            most_failures: after so many one after the other the task is paused; one to which too
                few devices came does not count.
        """
        reason = _cut(reason)
        values = {
            "state": "abandoned",
            "reason": reason,
            "finished": self._clock(),
            "bytes_up": self._bytes_up(row.id),
            "bytes_down": self._bytes_down(row),
        }
        # With its open round: a task that was given another one meanwhile is left alone.
        is_task = (tasks.c.name == row.task) & (tasks.c.open_round == row.id)
        with self._database.write() as connection:
            if not self._lead(connection, row.id, row.state, values):
                return False
            # That few devices came, as at night, is no fault of the task.
            failures = tasks.c.failures + int(row.state != "selecting")
            changes = {"open_round": None, "failures": failures, "next_at": next_at}
            connection.execute(sql.update(tasks).where(is_task).values(**changes))
            is_spent = is_task_spent(row.task, most_failures)
            paused = {"state": "paused", "reason": f"{most_failures} rounds failed: {reason}"}
            connection.execute(sql.update(tasks).where(is_spent).values(**paused))
            self._forget_contents(connection, row.id)
        return True

    def sweep(self, before: float) -> None:
        """Forget who took part in rounds that ended before a time, and what they sent."""
        is_over = ~rounds.c.state.in_(OPEN_STATES) & (rounds.c.finished < before)
        ids = sql.select(rounds.c.id).where(is_over)
        with self._database.write() as connection:
            for table in (answers, messages, participants, groups):
                connection.execute(sql.delete(table).where(table.c.round.in_(ids)))

    def _lead(
        self, connection: sql.Connection, round_id: str, state: str, values: Mapping[str, Any]
    ) -> bool:
        """Change a round while this process leads it and it is in a state."""
        is_ours = (
            (rounds.c.id == round_id) & (rounds.c.owner == self.owner) & (rounds.c.state == state)
        )
        return connection.execute(sql.update(rounds).where(is_ours).values(**values)).rowcount == 1

    def _change_group(
        self, connection: sql.Connection, group: GroupRow, values: Mapping[str, Any]
    ) -> bool:
        """Change a group while this process leads its round and its phase is the same."""
        leads = sql.select(rounds.c.id).where(
            rounds.c.id == group.round, rounds.c.owner == self.owner, rounds.c.state == "running"
        )
        is_it = (
            _is_group(group.round, group.number)
            & (groups.c.phase == group.phase)
            & (groups.c.state == "open")
            & groups.c.round.in_(leads)
        )
        return connection.execute(sql.update(groups).where(is_it).values(**values)).rowcount == 1

    def _refuse(
        self, connection: sql.Connection, round_id: str, refused: Mapping[str, str]
    ) -> None:
        for identity, reason in refused.items():
            is_here = (participants.c.round == round_id) & (participants.c.identity == identity)
            update = sql.update(participants).where(is_here)
            connection.execute(update.values(refused=_cut(reason)))

    def _add_group(
        self,
        connection: sql.Connection,
        round_id: str,
        number: int,
        plan: GroupPlan,
        deadline: float,
    ) -> None:
        values = {
            "round": round_id,
            "number": number,
            "goal": plan.goal,
            "members": len(plan.members),
            "terms": plan.terms,
            "state": "open",
            "reason": "",
            "phase": 0,
            "deadline": deadline,
            "received": 0,
        }
        connection.execute(sql.insert(groups).values(**values))
        is_member = (participants.c.round == round_id) & participants.c.identity.in_(plan.members)
        connection.execute(sql.update(participants).where(is_member).values(group=number))

    def _forget_contents(self, connection: sql.Connection, round_id: str) -> None:
        """Remove what devices sent and were told; that they sent it stays for a while."""
        connection.execute(sql.delete(answers).where(answers.c.round == round_id))
        update = sql.update(messages).where(messages.c.round == round_id)
        # The rows stay: devices may still ask whether what they sent was counted.
        connection.execute(update.values(content=None))

    def _is_revoked(self, connection: sql.Connection, identity: str) -> bool:
        is_fine = (devices.c.identity == identity) & devices.c.revoked.is_(None)
        return connection.execute(sql.select(devices.c.seen).where(is_fine)).first() is None

    def _is_resting(
        self, connection: sql.Connection, round_id: str, identity: str, resting: int
    ) -> bool:
        """Whether a device took part in one of the last commits."""
        selected = (
            sql.select(participations.c.last)
            .join(rounds, rounds.c.task == participations.c.task)
            .where(
                rounds.c.id == round_id,
                participations.c.identity == identity,
                participations.c.last > rounds.c.base - resting,
            )
        )
        return connection.execute(selected).first() is not None

    def _bytes_up(self, round_id: str) -> int:
        total = sql.func.coalesce(sql.func.sum(messages.c.bytes), 0)
        with self._database.read() as connection:
            selected = sql.select(total).where(messages.c.round == round_id)
            return int(connection.execute(selected).scalar_one())

    def _bytes_down(self, row: RoundRow) -> int:
        """Return the bytes of models and of answers; plans are small."""
        if row.configured is None:
            return 0
        key = (answers.c.group, answers.c.phase)
        is_everybody = answers.c.recipient == EVERYBODY
        length = sql.func.sum(sql.func.length(answers.c.content))
        is_here = answers.c.round == row.id
        common = sql.select(*key, length).where(is_here, is_everybody).group_by(*key)
        others = (
            sql.select(*key, sql.func.coalesce(length, 0), sql.func.count())
            .where(is_here, ~is_everybody)
            .group_by(*key)
        )
        with self._database.read() as connection:
            # What all are told is kept once, and travels to each.
            common_bytes = {(one.group, one.phase): one[2] for one in connection.execute(common)}
            shared_rows = connection.execute(others).all()
        answered = 0
        for group, phase, own_bytes, recipients in shared_rows:
            answered += own_bytes + recipients * common_bytes.get((group, phase), 0)
        # As if each had fetched it: what was really sent, processes count each for itself.
        return int(answered) + row.selected * row.model_bytes

    def _count_participations(
        self, connection: sql.Connection, row: RoundRow, phase: int, number: int
    ) -> None:
        selected = sql.select(messages.c.sender).where(
            messages.c.round == row.id, messages.c.phase == phase, messages.c.counted
        )
        senders = list(connection.execute(selected).scalars())
        is_theirs = (participations.c.task == row.task) & participations.c.identity.in_(senders)
        known = set(
            connection.execute(sql.select(participations.c.identity).where(is_theirs)).scalars()
        )
        changes = {"times": participations.c.times + 1, "last": number}
        connection.execute(sql.update(participations).where(is_theirs).values(**changes))
        new = [
            {"task": row.task, "identity": sender, "times": 1, "last": number}
            for sender in senders
            if sender not in known
        ]
        if new:
            connection.execute(sql.insert(participations), new)


def farthest_beginning(now: float, pause_seconds: float) -> float:
    """Return the latest time at which a round may begin that was put off by a right clock."""
    return now + pause_seconds + CLOCK_SECONDS


def _farthest_lease(now: float) -> float:
    return now + LONGEST_LEASE + CLOCK_SECONDS


def upload_name(group: int, phase: int, digest: str) -> str:
    """Return the name of a message's file: another content has another one."""
    return f"{group}-{phase}-{digest}"


def digest_of(content: bytes) -> str:
    """Return the hash by which a message is known again."""
    return hashlib.sha256(content).hexdigest()


def is_task_spent(name: str, most_failures: int) -> sql.ColumnElement[bool]:
    """Return the condition that a task failed too often, and runs."""
    return (
        (tasks.c.name == name) & (tasks.c.state == "running") & (tasks.c.failures >= most_failures)
    )


def _is_group(round_id: str, number: int) -> sql.ColumnElement[bool]:
    return (groups.c.round == round_id) & (groups.c.number == number)


def _is_phase(round_id: str, group: int, phase: int) -> sql.ColumnElement[bool]:
    return (
        (messages.c.round == round_id) & (messages.c.group == group) & (messages.c.phase == phase)
    )


def _answer_rows(group: GroupRow, by_recipient: Mapping[str, bytes]) -> Iterable[dict[str, Any]]:
    """Return the rows of answers; what all are told is kept once."""
    key = {"round": group.round, "group": group.number, "phase": group.phase + 1}
    contents = set(by_recipient.values())
    is_common = len(contents) == 1
    if is_common:
        yield key | {"recipient": EVERYBODY, "content": contents.pop()}
    for recipient, content in by_recipient.items():
        yield key | {"recipient": recipient, "content": None if is_common else content}


def _cut(reason: str) -> str:
    return storable(reason[:_LONGEST_REASON])
