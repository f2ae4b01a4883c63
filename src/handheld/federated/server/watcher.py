"""One pair of eyes a process: what others changed in the database is seen here, and told to all
who wait.

Devices that wait for a phase would else each ask the database, some times a second.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from handheld.federated.server.log import EventLog
from handheld.federated.server.round_store import GroupRow, RoundRow, RoundSnapshot, RoundStore

_BETWEEN_SECONDS = 0.03  # two looks: what another process did is seen so much later
_AGAIN_SECONDS = 1.0  # after a look that failed

RoundState = tuple[RoundRow, tuple[GroupRow, ...]]


class RoundWatcher:
    """Knows what is under way, and wakes who waits for a change.

    Args:
        store: of the rounds.
        executor: in which the database is asked.
        log: for what goes wrong.
    """

    def __init__(self, store: RoundStore, executor: Executor, log: EventLog) -> None:
        self.snapshot = RoundSnapshot({}, {})
        self.looked = asyncio.Event()
        self._store = store
        self._executor = executor
        self._log = log
        self._poked = asyncio.Event()
        self._versions: dict[str, int] = {}
        self._states: dict[str, RoundState] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self._is_stopping = False

    def poke(self) -> None:
        """Look at once: this process changed something. For the loop's own thread."""
        self._poked.set()

    def stop(self) -> None:
        """Let go of all who wait: the server ends. For any thread's signal handler."""
        self._is_stopping = True
        for event in list(self._waiting.values()):
            event.set()

    async def run(self, on_look: Callable[[], None]) -> None:
        """Look until it is cancelled; call a function after each look."""
        loop = asyncio.get_running_loop()
        while True:
            self._poked.clear()
            pause = _BETWEEN_SECONDS
            try:
                self._take(await loop.run_in_executor(self._executor, self._store.snapshot))
                on_look()
            except Exception as error:
                # Whatever it is, as a database that is away: those who wait must not wait for ever.
                self._log.event("watcher failed", error=f"{type(error).__name__}: {error}")
                pause = _AGAIN_SECONDS
            try:
                await asyncio.wait_for(self._poked.wait(), pause)
            except TimeoutError:
                continue

    def version(self, key: str) -> int:
        """Return a number that grows whenever something changes; 0 without that.

        Args:
            key: a round's id, or :func:`phases_of` it for its phases alone.
        """
        return self._versions.get(key, 0)

    async def changed(self, key: str, version: int, seconds: float) -> bool:
        """Wait until something is at another version than one that was seen.

        Returns:
            False where nothing changed for so many seconds, or the server ends.
        """
        if self._is_stopping:
            return False
        if self.version(key) != version:
            return True
        event = self._waiting.setdefault(key, asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), max(seconds, 0.0))
        except TimeoutError:
            return False
        return True

    def _take(self, snapshot: RoundSnapshot) -> None:
        self.snapshot = snapshot
        states = _states(snapshot)
        for key in states.keys() | self._states.keys():
            if states.get(key) != self._states.get(key):
                self._tell(key)
        self._states = states
        for key in self._versions.keys() - states.keys():
            # Who asks from now on finds it ended.
            del self._versions[key]
        self.looked.set()

    def _tell(self, key: str) -> None:
        self._versions[key] = self._versions.get(key, 0) + 1
        event = self._waiting.pop(key, None)
        if event is not None:
            event.set()


def phases_of(round_id: str) -> str:
    """Return what devices wait for, which must not wake with every message of another one."""
    return f"{round_id}/phases"


def _states(snapshot: RoundSnapshot) -> dict[str, RoundState]:
    states: dict[str, RoundState] = {}
    by_round: dict[str, list[GroupRow]] = {round_id: [] for round_id in snapshot.rounds}
    for (round_id, _), group in sorted(snapshot.groups.items()):
        if round_id in by_round:
            by_round[round_id].append(group)
    for round_id, groups in by_round.items():
        # A lease that goes on is no change.
        row = replace(snapshot.rounds[round_id], lease=0.0, owner="")
        states[round_id] = (row, tuple(groups))
        quiet = tuple(replace(group, received=0) for group in groups)
        states[phases_of(round_id)] = (replace(row, selected=0), quiet)
    return states
