"""The queue of jobs, in SQL, shared by any number of server processes."""

import json
import time
from collections.abc import Callable, Collection

from handheld.errors import BusyError, MissingDependencyError
from handheld.service.database import Database
from handheld.service.jobs._table import Job, as_job, columns, jobs, metadata
from handheld.service.jobs._texts import storable
from handheld.service.jobs.kinds import Spec
from handheld.service.jobs.limits import DAY, Limits

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "the queue of jobs") from error

__all__ = ["Job", "JobQueue", "metadata"]


class JobQueue:
    """Jobs waiting, running and finished.

    A server claims a job as ``owner`` and then says with ``beat`` that it lives; one that is silent
    for longer than the lease loses its jobs to whoever calls ``reclaim``. Every change by an owner
    holds only while the job is still its own.
    """

    def __init__(
        self, database: Database, limits: Limits, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.limits, self._database, self._clock = limits, database, clock

    def room(self) -> int:
        """Return how many bytes may still be stored.

        Raises :class:`BusyError` when the queue or the disk is full.
        """
        with self._database.read() as connection:
            return self._room(connection)

    def submit(self, key: str, kind: str, spec: Spec, *, size: int) -> None:
        """Put a job at the end of the queue. Raises :class:`BusyError`, having queued nothing."""
        fresh = {
            "state": "queued",
            "fraction": 0.0,
            "message": "",
            "attempts": 0,
            "cancelling": False,
        }
        values = fresh | {
            "key": key,
            "kind": kind,
            "spec": json.dumps(spec),
            "bytes": size,
            "created": self._clock(),
        }
        with self._database.exclusive() as connection:
            if size > self._room(connection):
                raise BusyError(
                    "expected room on the disk for this upload, but others took it; try again later"
                )
            connection.execute(jobs.insert().values(**values))

    def get(self, key: str) -> Job | None:
        """Return a job, or None if there is none or it is about to be removed."""
        with self._database.read() as connection:
            job = as_job(connection.execute(sql.select(*columns).where(jobs.c.key == key)).first())
            if job is None or (job.expires is not None and job.expires <= self._clock()):
                return None
            return job if job.state != "queued" else job.at(self._ahead(connection, job))

    def claim(self, owner: str, kinds: Collection[str]) -> Job | None:
        """Take the oldest waiting job of some kinds, or None.

        No two owners ever get the same one.
        """
        waiting = (jobs.c.state == "queued") & jobs.c.kind.in_(kinds)
        oldest = sql.select(jobs.c.key).where(waiting).order_by(jobs.c.created, jobs.c.key).limit(1)
        now = self._clock()
        with self._database.write() as connection:
            # Servers pass over the row that another is just taking. SQLite has no such lock, but one writer at a time.
            key = connection.execute(oldest.with_for_update(skip_locked=True)).scalar()
            if key is None:
                return None
            taken = (
                sql.update(jobs)
                .where(jobs.c.key == key, jobs.c.state == "queued")
                .returning(*columns)
            )
            started = sql.func.coalesce(jobs.c.started, now)
            run = {
                "state": "running",
                "owner": owner,
                "heartbeat": now,
                "attempts": jobs.c.attempts + 1,
                "started": started,
            }
            return as_job(connection.execute(taken.values(**run)).first())

    def beat(self, job: Job, *, fraction: float, message: str, size: int) -> Job | None:
        """Say that a job runs, and how far it is; return it as it is now, or None if it is the
        owner's no more.
        """
        values = {
            "fraction": fraction,
            "message": storable(message),
            "bytes": size,
            "heartbeat": self._clock(),
        }
        with self._database.write() as connection:
            return as_job(
                connection.execute(_owned(job).values(**values).returning(*columns)).first()
            )

    def finish(
        self, job: Job, state: str, *, error: str | None = None, message: str = "", size: int = 0
    ) -> bool:
        """Record how a job ended (done, failed, cancelled); return False if it is the owner's no
        more.
        """
        texts = {"error": error and storable(error), "message": storable(message)}
        values = {"state": state, "bytes": size} | texts | self._end()
        if state == "done":
            values["fraction"] = 1.0
        with self._database.write() as connection:
            return connection.execute(_owned(job).values(**values)).rowcount == 1

    def release(self, job: Job) -> None:
        """Put a job back because its server stops; that counts as no attempt."""
        values = {"state": "queued", "owner": None, "attempts": jobs.c.attempts - 1}
        with self._database.write() as connection:
            connection.execute(_owned(job).values(**values))

    def cancel(self, key: str, *, remove: bool = False) -> None:
        """Cancel a job, and remove it once it has ended if wanted.

        A finished job stays as it is, but for that.
        """
        mine, expires = jobs.c.key == key, {"expires": self._clock()} if remove else {}
        with self._database.write() as connection:
            connection.execute(
                sql.update(jobs)
                .where(mine, jobs.c.state == "queued")
                .values(state="cancelled", **(self._end() | expires))
            )
            connection.execute(
                sql.update(jobs)
                .where(mine, jobs.c.state == "running")
                .values(cancelling=True, **expires)
            )
            if remove:
                connection.execute(sql.update(jobs).where(mine).values(**expires))

    def reclaim(self) -> None:
        """Put jobs whose server went silent back into the queue, or end those that did so too
        often.
        """
        silent = (jobs.c.state == "running") & (
            jobs.c.heartbeat < self._clock() - self.limits.lease_seconds
        )
        too_often = f"the server stopped {self.limits.attempts} times while this job ran; it may need more memory than there is"
        update = sql.update(jobs)
        with self._database.write() as connection:
            connection.execute(
                update.where(silent, jobs.c.cancelling).values(state="cancelled", **self._end())
            )
            spent = silent & (jobs.c.attempts >= self.limits.attempts)
            connection.execute(
                update.where(spent).values(state="failed", error=too_often, **self._end())
            )
            connection.execute(update.where(silent).values(state="queued", owner=None))

    def expired(self) -> tuple[str, ...]:
        """Return the keys of jobs whose files are to be removed."""
        ended = jobs.c.state.in_(("done", "failed", "cancelled")) & (
            jobs.c.expires <= self._clock()
        )
        with self._database.read() as connection:
            return tuple(connection.execute(sql.select(jobs.c.key).where(ended)).scalars())

    def forget(self, keys: Collection[str]) -> None:
        """Remove jobs from the database, after their files."""
        with self._database.write() as connection:
            connection.execute(sql.delete(jobs).where(jobs.c.key.in_(keys)))

    def keys(self) -> set[str]:
        """Return the keys of all jobs. For cleaning up alone: no answer to anyone lists them."""
        with self._database.read() as connection:
            return set(connection.execute(sql.select(jobs.c.key)).scalars())

    def _room(self, connection: sql.Connection) -> int:
        waiting = sql.func.count().filter(jobs.c.state == "queued")
        counted, used = connection.execute(
            sql.select(waiting, sql.func.coalesce(sql.func.sum(jobs.c.bytes), 0))
        ).one()
        if counted >= self.limits.queued:
            raise BusyError(
                f"expected fewer than {self.limits.queued} jobs waiting, but the queue is full; try again later"
            )
        if used >= self.limits.total_bytes:
            raise BusyError(
                "expected room on the disk, but other jobs take all of it; try again later"
            )
        return self.limits.total_bytes - int(used)

    def _ahead(self, connection: sql.Connection, job: Job) -> int:
        earlier = (jobs.c.state == "queued") & (jobs.c.created < job.created)
        return connection.execute(sql.select(sql.func.count()).where(earlier)).scalar_one()

    def _end(self) -> dict[str, object]:
        now = self._clock()
        kept_until = now + self.limits.retention_days * DAY
        return {
            "finished": now,
            "owner": None,
            "expires": sql.func.coalesce(jobs.c.expires, kept_until),
        }


def _owned(job: Job) -> sql.Update:
    """Change a job only while it is the owner's, and the same run of it."""
    still = (
        jobs.c.key == job.key,
        jobs.c.owner == job.owner,
        jobs.c.attempts == job.attempts,
        jobs.c.state == "running",
    )
    return sql.update(jobs).where(*still)
