"""The parts of a running server, and what its endpoints share."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from handheld.federated.server.blobs import FederationBlobs
from handheld.federated.server.config import (
    FederationSettings,
    FederationTask,
    ServerSettings,
    open_tasks,
)
from handheld.federated.server.coordinator import Coordinator, process_name
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.enrolment import EnrolmentStore
from handheld.federated.server.ledger import FederationLedger
from handheld.federated.server.log import EventLog
from handheld.federated.server.metrics import ServerMetrics
from handheld.federated.server.round_store import RoundStore
from handheld.federated.server.sessions import SessionKeys, signing_key
from handheld.federated.server.steering import BEAT_SECONDS, PaceSteering
from handheld.federated.server.watcher import RoundWatcher

_ANSWERING = 8  # threads in which the database is asked for devices
_CACHED_BYTES = 256_000_000  # of models in memory

_Result = TypeVar("_Result")


@dataclass(kw_only=True)
class FederationHost:
    """The parts of a running server.

    Args:
        settings: of the server.
        tasks: by their names.
        database, ledger, enrolment, store, blobs: what all processes share.
        keys: of sessions.
        steering: of check-ins.
        watcher, coordinator: of rounds.
        metrics, log: what is told of it.
        enrolment_token, operator_token: what devices and the operator must know; None: nobody
            enrols by token, or there is no operator's page.
        clock: seconds since the epoch.
        executor: in which devices' questions are answered.
        looking: in which the watcher looks.
        has_room: whether the disk has room.
        revoked: identities, in hexadecimal, of devices that may not take part any more.
        inflight_bytes: that may come of uploads that are being received.
    """

    settings: ServerSettings
    tasks: dict[str, FederationTask]
    database: FederationDatabase
    ledger: FederationLedger
    enrolment: EnrolmentStore
    store: RoundStore
    blobs: FederationBlobs
    keys: SessionKeys
    steering: PaceSteering
    watcher: RoundWatcher
    coordinator: Coordinator
    metrics: ServerMetrics
    log: EventLog
    enrolment_token: str | None
    operator_token: str | None
    clock: Callable[[], float]
    executor: ThreadPoolExecutor
    looking: ThreadPoolExecutor
    has_room: bool = True
    revoked: frozenset[str] = frozenset()
    inflight_bytes: int = 0
    _cached: "OrderedDict[str, bytes]" = field(default_factory=OrderedDict)
    _beating: "asyncio.Task[None] | None" = None

    async def in_thread(self, work: Callable[..., _Result], *args: object) -> _Result:
        """Return what some work in the database gives."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, work, *args)

    async def start(self) -> None:
        """Begin, in the loop that runs."""
        self.coordinator.start()
        self._beating = asyncio.create_task(self._beat(), name="host")

    async def stop(self) -> None:
        """End, and let others go on."""
        if self._beating is not None:
            self._beating.cancel()
        # First what leads and asks, then what they ask: the executors and the database.
        await self.coordinator.stop()
        try:
            await self.in_thread(self.steering.leave)
        except Exception as error:
            self.log.event("leave failed", error=f"{type(error).__name__}: {error}")
        for executor in (self.executor, self.looking):
            executor.shutdown(wait=True, cancel_futures=True)
        self.database.close()

    @property
    def is_alive(self) -> bool:
        """Whether all that was begun goes on."""
        return self.coordinator.is_alive and not (self._beating and self._beating.done())

    async def blob(self, digest: str) -> bytes:
        """Return a blob, from memory where it was asked for before.

        Raises:
            ServiceError: it cannot be had.
        """
        content = self._cached.get(digest)
        if content is None:
            content = await self.in_thread(self.blobs.get, digest)
            self._cached[digest] = content
            while sum(map(len, self._cached.values())) > _CACHED_BYTES:
                self._cached.popitem(last=False)
        else:
            self._cached.move_to_end(digest)
        return content

    async def _beat(self) -> None:
        """Say that this process lives, look at the disk and at who was revoked."""
        while True:
            try:
                await self.in_thread(self._look_around)
            except Exception as error:
                self.log.event("beat failed", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(BEAT_SECONDS)

    def _look_around(self) -> None:
        free = self.blobs.free_bytes()
        had_room = self.has_room
        self.has_room = free is None or free >= self.settings.free_bytes
        if had_room and not self.has_room:
            self.log.event("the disk is full: nothing is taken in", free_bytes=free)
        self.revoked = self.enrolment.revoked()
        self.steering.beat()


def open_host(  # what a server is made of
    settings: FederationSettings,
    folder: Path,
    *,
    enrolment_token: str | None = None,
    operator_token: str | None = None,
    log: EventLog | None = None,
    clock: Callable[[], float] = time.time,
) -> FederationHost:
    """Open what a server needs; its tasks have their first states then.

    Args:
        settings: of the federation.
        folder: of the configuration, to which paths are relative.
        enrolment_token: that devices enrol with.
        operator_token: that opens the operator's page.
        log: for what happens.
        clock: seconds since the epoch.

    Raises:
        InputError: a task cannot be made.
        ServiceError: the database, the blobs or the key cannot be used.
    """
    server = settings.server
    log = log or EventLog()
    name = process_name()
    tasks = open_tasks(settings, folder)
    database = FederationDatabase(located(server.database, folder))
    blobs = FederationBlobs(located(server.blobs, folder))
    ledger = FederationLedger(database, clock=clock)
    store = RoundStore(database, owner=name, lease_seconds=server.lease_seconds, clock=clock)
    executor = ThreadPoolExecutor(_ANSWERING, thread_name_prefix="federation-answer")
    # Eyes of its own: devices' questions must not stand before it.
    looking = ThreadPoolExecutor(1, thread_name_prefix="federation-look")
    watcher = RoundWatcher(store, looking, log)
    coordinator = Coordinator(
        tasks=tasks,
        ledger=ledger,
        store=store,
        blobs=blobs,
        watcher=watcher,
        log=log,
        lease_seconds=server.lease_seconds,
        clock=clock,
    )
    # Before the port is opened: a task without a state or a plan ends the start, not a round.
    coordinator.prepare()
    signing = signing_key(folder / server.signing_key)
    return FederationHost(
        settings=server,
        tasks=tasks,
        database=database,
        ledger=ledger,
        enrolment=EnrolmentStore(database, clock=clock),
        store=store,
        blobs=blobs,
        keys=SessionKeys(signing, session_seconds=server.session_seconds, clock=clock),
        steering=PaceSteering(database, settings.pace, name=name, clock=clock),
        watcher=watcher,
        coordinator=coordinator,
        metrics=ServerMetrics(),
        log=log,
        enrolment_token=enrolment_token,
        operator_token=operator_token,
        clock=clock,
        executor=executor,
        looking=looking,
    )


def located(name: str, folder: Path) -> str:
    """Return a path of a configuration as it is from here; a URL stays as it is."""
    if "://" in name:
        return name
    return str(folder / name)
