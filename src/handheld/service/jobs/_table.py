"""The table of jobs, and a row of it as a value."""

import json
from dataclasses import dataclass, replace
from typing import Any

from handheld.errors import MissingDependencyError
from handheld.service.jobs.kinds import Spec
from handheld.service.migrations import Schema

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "the queue of jobs") from error

ENDED = frozenset({"done", "failed", "cancelled"})

metadata = sql.MetaData()
jobs = sql.Table(
    "handheld_jobs",
    metadata,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("kind", sql.String(32), nullable=False),
    sql.Column("spec", sql.Text, nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("fraction", sql.Double, nullable=False),
    sql.Column("message", sql.Text, nullable=False),
    sql.Column("error", sql.Text),
    sql.Column("bytes", sql.BigInteger, nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("owner", sql.String(64)),
    sql.Column("heartbeat", sql.Double),
    sql.Column("cancelling", sql.Boolean, nullable=False),
    sql.Column("created", sql.Double, nullable=False),
    sql.Column("started", sql.Double),
    sql.Column("finished", sql.Double),
    sql.Column("expires", sql.Double),
    sql.Index("handheld_jobs_waiting", "state", "created"),
)
JOBS_SCHEMA = Schema(metadata, "handheld.service.jobs.migrations", "handheld_jobs_version")
# What a record has: a beat is between servers, and changes all the time.
columns = [column for column in jobs.c if column.name != "heartbeat"]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job as it was when it was read.

    Times are seconds since the epoch; ``ahead`` counts the jobs before it in the queue.
    """

    key: str
    kind: str
    spec: Spec
    state: str
    fraction: float
    message: str
    error: str | None
    bytes: int
    attempts: int
    owner: str | None
    cancelling: bool
    created: float
    started: float | None
    finished: float | None
    expires: float | None
    ahead: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED

    def at(self, ahead: int) -> "JobRecord":
        """Return the job with its place in the queue."""
        return replace(self, ahead=ahead)


def as_job(row: sql.Row[Any] | None) -> JobRecord | None:
    """Return a row of ``columns`` as a job."""
    if row is None:
        return None
    values = dict(row._mapping)
    # A column of text, which is the same in both databases.
    values["spec"] = json.loads(row.spec)
    return JobRecord(**values)
