"""What the leader of a round does at each look: end its selection, its phases, itself.

Nothing that matters is kept in memory alone: a new leader is built from what the database has, by
the same code that the old one used.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handheld.errors import HandheldError, InputError
from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.messages import terms_from
from handheld.federated.server.blobs import FederationBlobs, UploadSequence
from handheld.federated.server.config import CLOCK_SECONDS, FederationTask
from handheld.federated.server.groups import (
    INPUTS_PHASE,
    GroupRules,
    PlainGroup,
    SecureGroup,
    deal_secure,
)
from handheld.federated.server.ledger import Commit
from handheld.federated.server.log import EventLog
from handheld.federated.server.round_store import (
    GroupPlan,
    GroupRow,
    RoundRow,
    RoundStore,
    StoredMessage,
)
from handheld.federated.server.task import ClosedRound, Received
from handheld.federated.wire.messages import BlobAddress, context_of, plans_from

_AT_ONCE = 64  # messages that are read from the database at once: a few MB each at most
# What was read before this leader's last change of it shows the past: nothing is done by it.
_STALE_SECONDS = 1.0
_MOST_FIGURES = 64
_LONGEST_NAME = 64


class NoLongerLeadingError(Exception):
    """Another process leads the round, or it has ended."""


@dataclass(frozen=True)
class LeadingParts:
    """What leaders need.

    Args:
        store: of the rounds.
        blobs: of the federation.
        log: for what happens.
        clock: seconds since the epoch.
    """

    store: RoundStore
    blobs: FederationBlobs
    log: EventLog
    clock: Callable[[], float] = time.time


@dataclass
class _LedGroup:
    """A group's machine, and of this phase the senders whose messages it has seen, and why some
    were refused.
    """

    machine: SecureGroup | PlainGroup
    phase: int = 0
    seen: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)

    def to_next_phase(self) -> None:
        """Go on to the next phase."""
        self.phase += 1
        self.seen = set()
        self.refused = {}


class LedRound:
    """A round that this process leads.

    Args:
        leading: of the server.
        task: that it is a round of.
    """

    def __init__(self, leading: LeadingParts, task: FederationTask) -> None:
        self._leading = leading
        self._task = task
        self._groups: dict[int, _LedGroup] = {}
        self._is_configured = False
        self._has_ended = False

    def step(self, row: RoundRow, groups: Sequence[GroupRow]) -> float | None:
        """Do what there is to do now.

        Args:
            row: of the round.
            groups: of the round, by their numbers.

        Returns:
            Seconds after which there may be more to do though nothing has come; None: something
            changed, look again.

        Raises:
            NoLongerLeadingError: another process leads.
        """
        is_stale = row.state == "selecting" and self._is_configured
        if is_stale or self._has_ended:
            return _STALE_SECONDS
        if row.state == "selecting":
            return self._select(row)
        still_open = [group for group in groups if group.state == "open"]
        if not still_open:
            self._close(row, groups)
            return None
        return self._step_groups(row, still_open)

    def abandon(self, row: RoundRow, reason: str) -> None:
        """End a round that gives nothing."""
        settings = self._task.settings
        next_at = self._leading.clock() + settings.pause_seconds
        self._require_lead(
            self._leading.store.abandon(
                row, reason, next_at=next_at, most_failures=settings.most_failures
            )
        )
        self._has_ended = True
        self._leading.log.event("round abandoned", task=row.task, round=row.id, reason=reason)

    def _select(self, row: RoundRow) -> float | None:
        now = self._leading.clock()
        remaining = _seconds_left(row.deadline, now, self._task.settings.selection_seconds)
        if row.selected < row.most and remaining > 0:
            return remaining
        if row.selected < row.least:
            self.abandon(row, f"expected {row.least} devices or more to come, got {row.selected}")
            return None
        settings = self._task.settings
        deadline = now + settings.report_seconds
        deal = self._deal_plain if not row.count else self._deal_secure
        # In the transaction that ends the selection: who joins while devices are dealt would be in
        # no group.
        self._require_lead(
            self._leading.store.configure(row, lambda identities: deal(row, identities), deadline)
        )
        self._is_configured = True
        self._leading.log.event(
            "round configured", task=row.task, round=row.id, selected=row.selected
        )
        return None

    def _deal_plain(self, row: RoundRow, identities: list[str]) -> list[GroupPlan]:
        return [GroupPlan(goal=min(row.goal, len(identities)), members=identities)]

    def _deal_secure(self, row: RoundRow, identities: list[str]) -> list[GroupPlan]:
        model = BlobAddress(bytes.fromhex(row.model_blob), row.model_bytes)
        rules = GroupRules(
            goal=row.goal,
            size=self._task.settings.group,
            count=row.count,
            bits=row.bits,
            context=context_of(model, plans_from(row.plans)),
            is_active=self._task.settings.is_active,
            risks=self._task.settings.few_peers,
        )
        # Not seeded: who could foretell the groups could fill one with accomplices.
        return deal_secure(identities, rules, np.random.default_rng())

    def _step_groups(self, row: RoundRow, groups: Sequence[GroupRow]) -> float | None:
        pauses: list[float] = []
        has_changed = False
        # All of them at each look: one that goes on must not keep others past their deadlines.
        for group in groups:
            pause = self._step_group(row, group)
            if pause is None:
                has_changed = True
            else:
                pauses.append(pause)
        if has_changed:
            return None
        return min(pauses)

    def _step_group(self, row: RoundRow, group: GroupRow) -> float | None:
        before = self._groups.get(group.number)
        if before is not None and before.phase > group.phase:
            return _STALE_SECONDS
        led = self._led(row, group)
        # Before the deadline is looked at: what came in time counts, however late the look is.
        self._feed(row, group, led)
        now = self._leading.clock()
        settings = self._task.settings
        longest = max(settings.report_seconds, settings.phase_seconds)
        remaining = _seconds_left(group.deadline, now, longest)
        if not led.machine.is_full and remaining > 0:
            return remaining
        counted = {identity.hex() for identity in led.machine.accepted}
        try:
            answers = led.machine.advance()
        except RoundFailedError as error:
            # A machine that failed is over: where the group is seen open once more, it is built
            # anew.
            self._groups.pop(group.number)
            self._require_lead(self._leading.store.fail_group(group, str(error), led.refused))
            self._leading.log.event(
                "group failed", task=row.task, round=row.id, group=group.number, reason=str(error)
            )
            return None
        state = "done" if led.machine.is_done else "open"
        self._require_lead(
            self._leading.store.end_phase(
                group,
                counted=counted,
                refused=led.refused,
                answers_by_recipient={key.hex(): content for key, content in answers.items()},
                state=state,
                deadline=now + self._task.settings.phase_seconds,
            )
        )
        led.to_next_phase()
        return None

    def _led(self, row: RoundRow, group: GroupRow) -> _LedGroup:
        """Return a group's machine, in the phase that the group is in."""
        led = self._groups.get(group.number)
        if led is None or led.phase != group.phase:
            led = _LedGroup(self._machine(row, group))
            while led.phase < group.phase:
                self._feed(row, group, led, counted_only=True)
                led.machine.advance()
                led.to_next_phase()
            self._groups[group.number] = led
        return led

    def _machine(self, row: RoundRow, group: GroupRow) -> SecureGroup | PlainGroup:
        members = self._leading.store.members(row.id, group.number)
        if not group.terms:
            return PlainGroup(goal=group.goal, least_uploads=row.least, members=members)
        return SecureGroup(terms_from(group.terms), goal=group.goal, members=members)

    def _feed(
        self, row: RoundRow, group: GroupRow, led: _LedGroup, *, counted_only: bool = False
    ) -> None:
        """Give a machine the messages of its phase that it has not seen."""
        store = self._leading.store
        # Sorted: which come first is decided by names, the same for every leader.
        new = sorted(store.senders(group, led.phase) - led.seen)
        for start in range(0, len(new), _AT_ONCE):
            for message in store.messages_of(group, led.phase, new[start : start + _AT_ONCE]):
                led.seen.add(message.sender)
                if counted_only and not message.counted:
                    continue
                self._give(row, group, led, message)

    def _give(self, row: RoundRow, group: GroupRow, led: _LedGroup, message: StoredMessage) -> None:
        content = message.content
        # Plain uploads are counted alone: the task reads their files when the round closes.
        if content is None and group.terms:
            content = self._leading.blobs.get_upload(row.id, message.upload_name(group, led.phase))
        try:
            led.machine.receive(bytes.fromhex(message.sender), content or b"")
        except RefusedMessageError as error:
            led.refused[message.sender] = str(error)
            self._leading.log.event(
                "message refused",
                task=row.task,
                round=row.id,
                device=message.sender[:12],
                phase=led.phase,
                reason=str(error),
            )

    def _close(self, row: RoundRow, groups: Sequence[GroupRow]) -> None:
        """Make the next state of what came, and name it the head; or give the round up."""
        done = [group for group in groups if group.state == "done"]
        received = self._received(row, done)
        if received.clients < row.least:
            reasons = "; ".join(group.reason for group in groups if group.reason)
            self.abandon(
                row,
                f"expected values of {row.least} devices or more, got {received.clients}: "
                f"{reasons}",
            )
            return
        try:
            commit = self._made(row, received)
        except HandheldError as error:
            self.abandon(row, f"nothing can be made of it: {error}")
            return
        self._commit(row, commit)

    def _commit(self, row: RoundRow, commit: Commit) -> None:
        """Name a state the head."""
        settings = self._task.settings
        is_last = settings.rounds is not None and commit.number >= settings.rounds
        is_committed = self._leading.store.commit(
            row,
            commit,
            phase=INPUTS_PHASE if row.count else 0,
            next_at=self._leading.clock() + settings.pause_seconds,
            is_last=is_last,
        )
        if not is_committed:
            self.abandon(row, "the task was rolled back meanwhile")
            return
        self._has_ended = True
        self._leading.log.event(
            "round committed",
            task=row.task,
            round=row.id,
            number=commit.number,
            clients=commit.clients,
            **{f"figure_{name}": value for name, value in commit.figures.items()},
        )

    def _received(self, row: RoundRow, done: Sequence[GroupRow]) -> Received:
        if not row.count:
            names: list[str] = []
            for group in done:
                names += self._counted_uploads(group)
            uploads = UploadSequence(self._leading.blobs, row.id, names)
            return Received(clients=len(names), uploads=uploads)
        # Sums of 32 bits go around as the modulus does, so groups need no wider type.
        total = np.zeros(row.count, np.uint32)
        clients = 0
        for group in done:
            machine = self._led(row, group).machine
            assert isinstance(machine, SecureGroup)
            total += machine.total.astype(np.uint32)
            clients += machine.clients
        return Received(clients=clients, total=_in_modulus(total, row.bits))

    def _counted_uploads(self, group: GroupRow) -> list[str]:
        store = self._leading.store
        senders = store.senders(group, 0)
        messages = store.messages_of(group, 0, senders)
        return [message.upload_name(group, 0) for message in messages if message.counted]

    def _made(self, row: RoundRow, received: Received) -> Commit:
        blobs = self._leading.blobs
        served = self._task.served
        base = blobs.get(row.state_blob)
        try:
            closed = served.close(base, received)
            state, model = self._kept(row, base, closed)
        except HandheldError:
            raise
        except Exception as error:
            # A task is somebody else's code: what it raises ends its round, not the server.
            raise InputError(f"{type(error).__name__}: {error}") from error
        figures = checked_figures(closed.figures)
        return Commit(
            task=row.task,
            number=row.base + 1,
            round=row.id,
            state_blob=blobs.put(state),
            model_blob=blobs.put(model),
            model_bytes=len(model),
            figures=figures,
            clients=received.clients,
            committed=self._leading.clock(),
        )

    def _kept(self, row: RoundRow, base: bytes, closed: ClosedRound) -> tuple[bytes, bytes]:
        """Return the next state and what devices get of it: those that were where the task only
        measures another one's.
        """
        if self._task.model_task != self._task.name:
            return base, self._leading.blobs.get(row.model_blob)
        return closed.state, self._task.served.public(closed.state)

    def _require_lead(self, still: bool) -> None:
        if not still:
            raise NoLongerLeadingError


def checked_figures(figures: Mapping[str, float]) -> dict[str, float]:
    """Return a task's figures as the page and the database can have them.

    Raises:
        InputError: they are too many, or one is no finite number.
    """
    if len(figures) > _MOST_FIGURES:
        raise InputError(f"figures: expected {_MOST_FIGURES} at most, got {len(figures)}")
    checked = {}
    for name, value in figures.items():
        number = float(value)
        if not math.isfinite(number) or len(name) > _LONGEST_NAME:
            raise InputError(f"figures: expected a finite number, got {name[:40]!r}: {number}")
        checked[name] = number
    return checked


def _seconds_left(deadline: float, now: float, longest: float) -> float:
    """Return the seconds until a deadline; 0 where it has passed, or a wrong clock set it."""
    remaining = deadline - now
    if remaining > longest + CLOCK_SECONDS:
        return 0.0
    return max(remaining, 0.0)


def _in_modulus(total: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return total & np.uint32((1 << bits) - 1)
