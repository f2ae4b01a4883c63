"""What a process does besides answering: opens rounds, leads some of them, cleans up.

Everything that can go wrong with one round or task is caught there and told; the others go on.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from handheld.errors import HandheldError, InputError
from handheld.federated.server.blobs import FederationBlobs
from handheld.federated.server.config import FederationTask
from handheld.federated.server.groups import LEAST_SECURE
from handheld.federated.server.janitor import Janitor
from handheld.federated.server.leading import (
    LeadingParts,
    LedRound,
    NoLongerLeadingError,
    checked_figures,
)
from handheld.federated.server.ledger import Commit, FederationLedger, TaskRow
from handheld.federated.server.log import EventLog
from handheld.federated.server.round_store import RoundRow, RoundStore, farthest_beginning
from handheld.federated.server.task import PlainUpload, SecureUpload, UploadTerms
from handheld.federated.server.watcher import RoundWatcher
from handheld.federated.wire.messages import BlobAddress, PlanAddress, plans_bytes

_TEND_SECONDS = 0.25  # two looks at the tasks that have no round
_AGAIN_SECONDS = 0.5  # after a step that failed
_MOST_STEPS = 8  # that fail one after the other, before a round is given up
_LEADERS = 4  # threads that rounds are led in
_LONGEST_WAIT = 3600.0


class Coordinator:
    """Opens and leads rounds.

    Args:
        tasks: by their names.
        ledger: of the federation.
        store: of the rounds, as this process.
        blobs: of the federation.
        watcher: that says what changed.
        log: for what happens.
        lease_seconds: after which a silent leader has lost its rounds.
        clock: seconds since the epoch.
    """

    def __init__(  # noqa: PLR0913  # the parts of a server
        self,
        *,
        tasks: dict[str, FederationTask],
        ledger: FederationLedger,
        store: RoundStore,
        blobs: FederationBlobs,
        watcher: RoundWatcher,
        log: EventLog,
        lease_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tasks = tasks
        self._ledger = ledger
        self._store = store
        self._blobs = blobs
        self._watcher = watcher
        self._log = log
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._parts = LeadingParts(store, blobs, log, clock)
        self._executor = ThreadPoolExecutor(_LEADERS, thread_name_prefix="federation-lead")
        # Of its own: tasks that take long to make their states must not cost the leases.
        self._beating = ThreadPoolExecutor(1, thread_name_prefix="federation-beat")
        self._plans: dict[str, bytes] = {}
        self._led: dict[str, asyncio.Task[None]] = {}
        self._running: list[asyncio.Task[None]] = []
        self._tending = asyncio.Event()
        self._janitor = Janitor(ledger, store, blobs, clock)
        self._janitor.keep = {name: task.settings.keep for name, task in tasks.items()}

    def prepare(self) -> None:
        """Bring the tasks of the configuration into the database, with their first states.

        Raises:
            HandheldError: a task has no first state or no plan.
        """
        for task in self._tasks.values():
            self._plans[task.name] = self._kept_plans(task)
        for task in self._tasks.values():
            if task.model_task == task.name:
                self._start(task, self._first(task))
        # After the others: a task that measures begins with the state of one that learns.
        for task in self._tasks.values():
            if task.model_task != task.name:
                head = self._ledger.head(task.model_task)
                self._start(task, replace(head, task=task.name, number=0, round=None, clients=0))

    def start(self) -> None:
        """Begin, in the loop that runs."""
        for name, work in (
            ("watching", self._watcher.run(self._on_look)),
            ("beating", self._repeat("beat", self._store.beat, self._lease_seconds / 4)),
            ("tending", self._tend()),
            ("sweeping", self._sweep()),
        ):
            self._running.append(asyncio.create_task(work, name=name))

    @property
    def is_alive(self) -> bool:
        """Whether all that was begun goes on."""
        return bool(self._running) and not any(task.done() for task in self._running)

    async def stop(self) -> None:
        """End, and let others lead."""
        everything = [*self._running, *self._led.values()]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._store.release)
        except Exception as error:
            self._tell("release", error)
        for executor in (self._executor, self._beating):
            executor.shutdown(wait=True, cancel_futures=True)

    def tend(self) -> None:
        """Look at the tasks at once: one was started, or a round has ended."""
        self._tending.set()

    def _start(self, task: FederationTask, first: Commit) -> None:
        self._ledger.start(first, paused=task.settings.paused)
        row = self._ledger.task(task.name)
        assert row is not None
        limit = task.settings.rounds
        # The configuration has more rounds now than when the task was done.
        if row.state == "done" and (limit is None or row.number < limit):
            self._ledger.set_state(task.name, "running")

    def _first(self, task: FederationTask) -> Commit:
        state = task.served.start()
        model = task.served.public(state)
        return Commit(
            task=task.name,
            number=0,
            state_blob=self._blobs.put(state),
            model_blob=self._blobs.put(model),
            model_bytes=len(model),
            figures=checked_figures({}),
            committed=self._clock(),
        )

    def _kept_plans(self, task: FederationTask) -> bytes:
        plans = task.served.plans()
        if not plans:
            raise InputError(f"task {task.name!r}: expected one plan or more, got none")
        addresses = []
        for plan_version, content in sorted(plans.items()):
            digest = bytes.fromhex(self._blobs.put(content))
            addresses.append(PlanAddress(plan_version, BlobAddress(digest, len(content))))
        return plans_bytes(addresses)

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    async def _repeat(self, name: str, work: Callable[[], None], seconds: float) -> None:
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._beating, work)
            except Exception as error:
                self._tell(name, error)
            await asyncio.sleep(seconds)

    async def _sweep(self) -> None:
        """Remove what nothing leads to, again and again, until it is cancelled."""
        while True:
            await self._safely("sweep", self._in_thread(self._janitor.sweep))
            await asyncio.sleep(self._janitor.pause)

    async def _tend(self) -> None:
        """Open rounds of tasks that have none, until it is cancelled."""
        await self._watcher.looked.wait()
        while True:
            # First: what is told while the tasks are looked at makes it look again.
            self._tending.clear()
            try:
                if await self._in_thread(self._open_rounds):
                    self._watcher.poke()
            except Exception as error:
                self._tell("open", error)
            try:
                await asyncio.wait_for(self._tending.wait(), _TEND_SECONDS)
            except TimeoutError:
                continue

    def _open_rounds(self) -> bool:
        """Open a round of each task that may have one; return whether there is a new one."""
        has_opened = False
        for row in self._ledger.tasks():
            task = self._tasks.get(row.name)
            is_due = row.state == "running" and row.open_round is None
            if task is None or not is_due or not self._may_begin(task, row):
                continue
            try:
                has_opened |= self._open(task, row)
            except Exception as error:
                # A task is somebody else's code: it must not keep others from theirs.
                self._tell("open", error, task=task.name)
                self._ledger.set_state(task.name, "paused", f"{type(error).__name__}: {error}")
        return has_opened

    def _may_begin(self, task: FederationTask, row: TaskRow) -> bool:
        now = self._clock()
        return not now < row.next_at <= farthest_beginning(now, task.settings.pause_seconds)

    def _open(self, task: FederationTask, row: TaskRow) -> bool:
        head = self._ledger.head(task.model_task)
        if head.state_blob is None or head.model_blob is None:
            raise InputError(f"model {head.number} of task {task.model_task!r} is not kept")
        settings = task.settings
        upload = task.served.upload(self._blobs.get(head.state_blob))
        _require_goal(settings.goal, upload)
        is_secure = isinstance(upload, SecureUpload)
        now = self._clock()
        opened = RoundRow(
            id=os.urandom(16).hex(),
            task=task.name,
            base=row.number,
            state="selecting",
            reason="",
            goal=settings.goal,
            least=max(settings.least_clients, LEAST_SECURE if is_secure else 1),
            most=settings.most_selected,
            selected=0,
            state_blob=head.state_blob,
            model_blob=head.model_blob,
            model_bytes=head.model_bytes,
            plans=self._plans[task.name],
            count=upload.count if isinstance(upload, SecureUpload) else 0,
            bits=upload.bits if isinstance(upload, SecureUpload) else 0,
            most_bytes=upload.most_bytes if isinstance(upload, PlainUpload) else 0,
            owner=self._store.owner,
            lease=now + self._lease_seconds,
            created=now,
            deadline=now + settings.selection_seconds,
            configured=None,
            finished=None,
            clients=0,
            bytes_up=0,
            bytes_down=0,
        )
        return self._store.open(opened, pause_seconds=settings.pause_seconds)

    def _on_look(self) -> None:
        """Lead rounds that are this process's, or whose leader went silent."""
        for round_id, task in list(self._led.items()):
            if task.done():
                del self._led[round_id]
        for row in self._watcher.snapshot.rounds.values():
            is_ours = row.owner == self._store.owner
            if row.id in self._led or row.task not in self._tasks:
                continue
            if is_ours or self._store.is_silent(row):
                work = self._lead(row.id, self._tasks[row.task])
                self._led[row.id] = asyncio.create_task(work, name=f"leading {row.id}")

    async def _lead(self, round_id: str, task: FederationTask) -> None:
        """Lead a round to its end, or until another process does."""
        if not await self._safely("claim", self._in_thread(self._store.claim, round_id)):
            return
        led = LedRound(self._parts, task)
        failures = 0
        while True:
            # The version before the row: what changes in between is waited for no longer than a
            # moment.
            version = self._watcher.version(round_id)
            row = self._watcher.snapshot.rounds.get(round_id)
            if row is None:
                self.tend()
                return
            pause: float | None = None
            try:
                pause = await self._in_thread(self._step, led, row)
                failures = 0
            except NoLongerLeadingError:
                return
            except Exception as error:
                failures += 1
                self._tell("step", error, task=row.task, round=row.id)
                # Begun anew from the database: what failed may have left its machines half way.
                led = LedRound(self._parts, task)
                if failures >= _MOST_STEPS:
                    reason = f"the server cannot go on: {error}"
                    await self._safely("abandon", self._in_thread(led.abandon, row, reason))
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if pause is None:
                self._watcher.poke()
                pause = _LONGEST_WAIT
            await self._watcher.changed(round_id, version, min(pause, _LONGEST_WAIT))

    def _step(self, led: LedRound, row: RoundRow) -> float | None:
        groups = self._watcher.snapshot.groups
        theirs = [groups[key] for key in sorted(groups) if key[0] == row.id]
        return led.step(row, theirs)

    async def _safely(self, name: str, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        except NoLongerLeadingError:
            return None
        except Exception as error:
            self._tell(name, error)
            return None

    def _tell(self, name: str, error: Exception, **fields: str) -> None:
        prefix = "" if isinstance(error, HandheldError) else f"{type(error).__name__}: "
        self._log.event(f"{name} failed", error=f"{prefix}{error}", **fields)


def _require_goal(goal: int, upload: UploadTerms) -> None:
    """Refuse a goal that what devices send cannot bear. Raises :class:`InputError`."""
    if upload.most_clients is not None and goal > upload.most_clients:
        raise InputError(
            f"goal: expected {upload.most_clients} devices or fewer, of whom the sum fits, "
            f"got {goal}"
        )
    if isinstance(upload, SecureUpload) and goal < LEAST_SECURE:
        raise InputError(
            f"goal: expected {LEAST_SECURE} devices or more, as a sum of fewer tells what each "
            f"sent, got {goal}"
        )


def process_name() -> str:
    """Return the name of this process among those that share a federation."""
    return f"{socket.gethostname()[:30]}-{os.getpid()}-{os.urandom(4).hex()}"
