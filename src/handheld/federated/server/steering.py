"""The timetable of check-ins of this process, and of those beside it.

Each process has a timetable of its own for its part of the wanted rate, and writes down how far it
is given out: after a restart it goes on there, and devices that were told to come are not told so
twice.
"""

import random
import time
from collections.abc import Callable

from handheld.errors import MissingDependencyError
from handheld.federated.server._tables import processes
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.pace import Pace, PaceRules

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a federation's server") from error

BEAT_SECONDS = 2.0
_SILENT_SECONDS = 10.0  # after which a process counts no more


class PaceSteering:
    """Tells devices when to come back. For one thread, but for ``beat``.

    Args:
        database: of the federation.
        rules: of the operator.
        name: of this process.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: FederationDatabase,
        rules: PaceRules,
        *,
        name: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self.processes = 1
        self._database = database
        self._name = name
        self._clock = clock
        now = clock()
        # What is further away than devices are ever told is another clock's.
        self.pace = Pace.at(now, free=min(self._free_of_silent(now), now + rules.longest))

    def arrived(self) -> None:
        """Count a check-in."""
        self.pace = self.pace.arrived(self._clock(), self.rules, processes=self.processes)

    def come_back(self) -> float:
        """Return after how many seconds a device is to check in again."""
        # Not seeded: no two devices, and no two processes, may be told the same.
        seconds, self.pace = self.pace.come_back(
            self._clock(), random.random(), self.rules, processes=self.processes
        )
        return seconds

    def population(self) -> int:
        """Return how many devices are expected to come back, to all processes."""
        return self.pace.population(self._clock(), self.rules)

    def beat(self) -> None:
        """Say that this process lives, and see how many do."""
        now = self._clock()
        values = {"beat": now, "free": self.pace.free}
        is_it = processes.c.name == self._name
        is_live = processes.c.beat > now - _SILENT_SECONDS
        with self._database.write() as connection:
            # Those whose timetable is over are of no use any more.
            is_over = ~is_live & (processes.c.free < now)
            connection.execute(sql.delete(processes).where(is_over))
            changed = connection.execute(sql.update(processes).where(is_it).values(**values))
            # Updated first: after the first beat there is a row, unless others removed it for being
            # silent.
            if not changed.rowcount:
                connection.execute(sql.insert(processes).values(name=self._name, **values))
            counted = sql.select(sql.func.count()).where(is_live)
            self.processes = max(connection.execute(counted).scalar_one(), 1)

    def leave(self) -> None:
        """Say that this process ends; its timetable stays for the next one."""
        update = sql.update(processes).where(processes.c.name == self._name)
        with self._database.write() as connection:
            # beat 0: it counts as silent at once, and the next process goes on with its timetable.
            connection.execute(update.values(beat=0.0, free=self.pace.free))

    def _free_of_silent(self, now: float) -> float:
        """Return up to when the timetables of processes are given out that are no more."""
        is_silent = processes.c.beat <= now - _SILENT_SECONDS
        with self._database.read() as connection:
            free = connection.execute(sql.select(sql.func.max(processes.c.free)).where(is_silent))
            return free.scalar() or 0.0
