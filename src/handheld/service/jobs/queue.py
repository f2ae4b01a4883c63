"""The queue of jobs, in SQL, shared by any number of server processes."""

import json
import time
from collections.abc import Callable, Collection

from handheld.errors import BusyError, MissingDependencyError
from handheld.service.database import Database
from handheld.service.jobs._table import ENDED, JOBS_SCHEMA, JobRecord, as_job, columns, jobs
from handheld.service.jobs.kinds import Spec
from handheld.service.jobs.limits import DAY, Limits
from handheld.service.jobs.texts import storable

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "the queue of jobs") from error

__all__ = ["JOBS_SCHEMA", "JobQueue", "JobRecord"]


class JobQueue:
    """Jobs waiting, running and finished.

    A server claims a job as ``owner`` and then says with ``beat`` that it lives; one that is silent
    for longer than the lease loses its jobs to whoever calls ``reclaim``. Every change by an owner
    holds only while the job is still its own.
    """

    def __init__(
        self, database: Database, limits: Limits, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.limits = limits
        self._database = database
        self._clock = clock

    def room(self) -> int:
        """Return how many bytes may still be stored.

        Raises :class:`BusyError` when the queue or the disk is full.
        """
        with self._database.read() as connection:
            return self._room(connection)

    def submit(
        self,
        key: str,
        job_kind: str,
        spec: Spec,
        *,
        size: int,
        also: Callable[[sql.Connection], None] | None = None,
    ) -> None:
        """Put a job at the end of the queue. Raises :class:`BusyError`, having queued nothing.

        Args:
            key: of the job.
            job_kind: name of its kind.
            spec: as JSON has it.
            size: bytes of its files.
            also: writes what belongs to it in the same transaction; what it raises leaves neither.
        """
        values = {
            "state": "queued",
            "fraction": 0.0,
            "message": "",
            "attempts": 0,
            "cancelling": False,
            "key": key,
            "kind": job_kind,
            "spec": json.dumps(spec),
            "bytes": size,
            "created": self._clock(),
        }
        # Exclusive: two uploads that both fit alone may not fit together.
        with self._database.exclusive() as connection:
            if size > self._room(connection):
                raise BusyError(
                    "expected room on the disk for this upload, but others took it; try again later"
                )
            connection.execute(jobs.insert().values(**values))
            if also is not None:
                also(connection)

    def get(self, key: str) -> JobRecord | None:
        """Return a job, or None if there is none or it is about to be removed."""
        with self._database.read() as connection:
            selected = sql.select(*columns).where(jobs.c.key == key)
            job = as_job(connection.execute(selected).first())
            if job is None or (job.expires is not None and job.expires <= self._clock()):
                return None
            if job.state != "queued":
                return job
            return job.at(self._ahead(connection, job))

    def claim(self, owner: str, kinds: Collection[str]) -> JobRecord | None:
        """Take the oldest waiting job of some kinds, or None.

        No two owners ever get the same one.
        """
        waiting = (jobs.c.state == "queued") & jobs.c.kind.in_(kinds)
        oldest = sql.select(jobs.c.key).where(waiting).order_by(jobs.c.created, jobs.c.key).limit(1)
        now = self._clock()
        with self._database.write() as connection:
            # Servers pass over the row that another is just taking. SQLite has no such lock, but
            # one writer at a time.
            key = connection.execute(oldest.with_for_update(skip_locked=True)).scalar()
            if key is None:
                return None
            update = sql.update(jobs).where(jobs.c.key == key, jobs.c.state == "queued")
            update = update.values(
                state="running",
                owner=owner,
                heartbeat=now,
                attempts=jobs.c.attempts + 1,
                # The first start counts: a job that goes on has run since then.
                started=sql.func.coalesce(jobs.c.started, now),
            )
            return as_job(connection.execute(update.returning(*columns)).first())

    def beat(self, job: JobRecord, *, fraction: float, message: str, size: int) -> JobRecord | None:
        """Say that a job runs, and how far it is; return it as it is now, or None if it is the
        owner's no more.
        """
        values = {
            "fraction": fraction,
            "message": storable(message),
            "bytes": size,
            "heartbeat": self._clock(),
        }
        update = _owned(job).values(**values).returning(*columns)
        with self._database.write() as connection:
            return as_job(connection.execute(update).first())

    def finish(
        self,
        job: JobRecord,
        state: str,
        *,
        error: str | None = None,
        message: str = "",
        size: int = 0,
    ) -> bool:
        """Record how a job ended (done, failed, cancelled); return False if it is the owner's no
        more.
        """
        texts = {"error": error and storable(error), "message": storable(message)}
        values = {"state": state, "bytes": size} | texts | self._end()
        if state == "done":
            values["fraction"] = 1.0
        update = _owned(job).values(**values)
        with self._database.write() as connection:
            return connection.execute(update).rowcount == 1

    def release(self, job: JobRecord) -> None:
        """Put a job back because its server stops; that counts as no attempt."""
        values = {"state": "queued", "owner": None, "attempts": jobs.c.attempts - 1}
        with self._database.write() as connection:
            connection.execute(_owned(job).values(**values))

    def cancel(self, key: str, *, remove: bool = False) -> None:
        """Cancel a job, and remove it once it has ended if wanted.

        A finished job stays as it is, but for that.
        """
        update = sql.update(jobs).where(jobs.c.key == key)
        queued = update.where(jobs.c.state == "queued")
        running = update.where(jobs.c.state == "running")
        cancelled = self._end() | {"state": "cancelled"}
        with self._database.write() as connection:
            connection.execute(queued.values(**cancelled))
            # Its owner ends it with the next beat.
            connection.execute(running.values(cancelling=True))
            if remove:
                connection.execute(update.values(expires=self._clock()))

    def reclaim(self) -> None:
        """Put jobs whose server went silent back into the queue, or end those that did so too
        often.
        """
        lease_began = self._clock() - self.limits.lease_seconds
        silent = (jobs.c.state == "running") & (jobs.c.heartbeat < lease_began)
        failed = {
            "state": "failed",
            "error": f"the server stopped {self.limits.attempts} times while this job ran; "
            "it may need more memory than there is",
        }
        update = sql.update(jobs).where(silent)
        is_spent = jobs.c.attempts >= self.limits.attempts
        with self._database.write() as connection:
            # In this order: what ends is running no more, and is not put back.
            ended = update.where(jobs.c.cancelling)
            connection.execute(ended.values(state="cancelled", **self._end()))
            connection.execute(update.where(is_spent).values(**failed, **self._end()))
            connection.execute(update.values(state="queued", owner=None))

    def expired(self) -> tuple[str, ...]:
        """Return the keys of jobs whose files are to be removed."""
        has_ended = jobs.c.state.in_(ENDED)
        is_old = jobs.c.expires <= self._clock()
        with self._database.read() as connection:
            selected = sql.select(jobs.c.key).where(has_ended, is_old)
            return tuple(connection.execute(selected).scalars())

    def forget(self, keys: Collection[str]) -> None:
        """Remove jobs from the database, after their files."""
        with self._database.write() as connection:
            connection.execute(sql.delete(jobs).where(jobs.c.key.in_(keys)))

    def ended(self) -> set[str]:
        """Return the keys of jobs that have ended, and whose results are still there.

        One look for whoever waits for many jobs.
        """
        is_kept = jobs.c.expires.is_(None) | (jobs.c.expires > self._clock())
        with self._database.read() as connection:
            selected = sql.select(jobs.c.key).where(jobs.c.state.in_(ENDED), is_kept)
            return set(connection.execute(selected).scalars())

    def keys(self) -> set[str]:
        """Return the keys of all jobs. For cleaning up alone: no answer to anyone lists them."""
        with self._database.read() as connection:
            return set(connection.execute(sql.select(jobs.c.key)).scalars())

    def _room(self, connection: sql.Connection) -> int:
        waiting = sql.func.count().filter(jobs.c.state == "queued")
        # Of no rows a sum is NULL.
        total_bytes = sql.func.coalesce(sql.func.sum(jobs.c.bytes), 0)
        counted, used = connection.execute(sql.select(waiting, total_bytes)).one()
        if counted >= self.limits.queued:
            raise BusyError(
                f"expected fewer than {self.limits.queued} jobs waiting, but the queue is full; "
                "try again later"
            )
        if used >= self.limits.total_bytes:
            raise BusyError(
                "expected room on the disk, but other jobs take all of it; try again later"
            )
        return self.limits.total_bytes - int(used)

    def _ahead(self, connection: sql.Connection, job: JobRecord) -> int:
        earlier = (jobs.c.state == "queued") & (jobs.c.created < job.created)
        return connection.execute(sql.select(sql.func.count()).where(earlier)).scalar_one()

    def _end(self) -> dict[str, object]:
        now = self._clock()
        kept_until = now + self.limits.retention_days * DAY
        return {
            "finished": now,
            "owner": None,
            # A job that is to be removed has a time already, and keeps it.
            "expires": sql.func.coalesce(jobs.c.expires, kept_until),
        }


def _owned(job: JobRecord) -> sql.Update:
    """Change a job only while it is the owner's, and the same run of it."""
    still = (
        jobs.c.key == job.key,
        jobs.c.owner == job.owner,
        jobs.c.attempts == job.attempts,
        jobs.c.state == "running",
    )
    return sql.update(jobs).where(*still)
