"""Teams, submissions and measurements of a challenge, in SQL.

What becomes of a submission is a row that goes one way: its measurements are planned with it in one
transaction, each becomes a job in one transaction, and each result is taken in while its row is
still "queued". So whatever dies in between, nothing is lost, and nothing counts twice.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from handheld.bench.challenge._tables import (
    CHALLENGE_SCHEMA,
    audit,
    facts,
    looks,
    measurements,
    submissions,
    teams,
)
from handheld.bench.challenge.names import MAX_MODEL, MAX_TEAM, clean_name, looks_of
from handheld.bench.challenge.rules import HIDDEN, PUBLIC, ChallengeRules
from handheld.errors import BusyError, InputError, MissingDependencyError
from handheld.service.database import Database
from handheld.service.jobs.limits import DAY
from handheld.service.jobs.texts import storable

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a challenge") from error

__all__ = [
    "CHALLENGE_SCHEMA",
    "ChallengeStore",
    "Measurement",
    "MeasurementKey",
    "Outcome",
    "Submission",
    "Team",
]

_TOKEN_BYTES = 24  # 192 random bits
_HOUR = 3600.0
_OPEN = ("planned", "queued")
_CLOSED = "closed"
_FINALS = "finals"


@dataclass(frozen=True)
class Team:
    """Who takes part."""

    id: int
    name: str
    created: float


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A model that a team sent.

    Times are seconds since the epoch; ``state`` is queued, done or failed; ``number`` counts the
    team's.
    """

    key: str
    team: int
    team_name: str
    number: int
    name: str
    sha256: str
    bytes: int
    state: str
    error: str | None
    created: float
    finished: float | None


@dataclass(frozen=True)
class MeasurementKey:
    """Which measurement of which submission: the part of the data, and the device."""

    submission: str
    data: str
    device: str

    @property
    def job(self) -> str:
        """Key of its job: always the same, so that it has one."""
        text = f"{self.submission}/{self.data}/{self.device}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a measurement gave.

    Args:
        error: why there are no figures; None if there are.
        score: the task's metric within the wall time, in [0, 1].
        accuracy: the metric over all examples, in [0, 1]; ``accuracy_low`` and ``accuracy_high``
            are the ends of its 95 % interval.
        latency: median seconds of one example; ``latency_p90`` is exceeded by a tenth.
        reached: examples that were answered within the wall time, of ``examples``.
        valid: whether the run can be trusted; ``reasons`` say why not.
        result: all figures, as JSON has them; "" where they were not read.
    """

    error: str | None = None
    score: float | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    latency: float | None = None
    latency_p90: float | None = None
    reached: int | None = None
    examples: int | None = None
    valid: bool | None = None
    reasons: tuple[str, ...] = ()
    result: str = ""

    @property
    def state(self) -> str:
        """How it ended."""
        if self.error is None:
            return "done"
        return "failed"


@dataclass(frozen=True)
class Measurement:
    """A row of measurements: which, how far it is, and what came out."""

    key: MeasurementKey
    state: str
    outcome: Outcome
    created: float
    finished: float | None

    @property
    def is_open(self) -> bool:
        """Whether it is still to come."""
        return self.state in _OPEN


class ChallengeStore:
    """The state of a challenge.

    Args:
        database: with the tables of ``CHALLENGE_SCHEMA``.
        rules: of the challenge.
        clock: seconds since the epoch.

    """

    def __init__(
        self,
        database: Database,
        rules: ChallengeRules,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self._database = database
        self._clock = clock

    # Teams

    def register(self, name: str) -> tuple[Team, str]:
        """Let a team in; return it and its token, which is kept nowhere.

        Raises:
            InputError: the name is none, or taken.
            BusyError: too many came lately.
        """
        name = clean_name("team", name, MAX_TEAM)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock()
        values = {
            "name": name,
            "token_hash": _hash(token),
            "created": now,
        }
        with self._database.exclusive() as connection:
            self._ensure_room(connection, now)
            if _teams_like(connection, name):
                raise InputError(f"team: {name!r}, or a name that looks like it, is taken")
            row = connection.execute(teams.insert().values(**values).returning(teams.c.id)).one()
            rows = [{"look": look, "team": row.id} for look in looks_of(name)]
            connection.execute(looks.insert(), rows)
            self._note(connection, name, "register", name)
        return Team(row.id, name, now), token

    def _ensure_room(self, connection: sql.Connection, now: float) -> None:
        limits = self.rules.limits
        count = sql.select(sql.func.count()).select_from(teams)
        if connection.execute(count).scalar_one() >= limits.teams:
            raise BusyError(f"expected fewer than {limits.teams} teams, but all places are taken")
        lately = count.where(teams.c.created > now - _HOUR)
        if connection.execute(lately).scalar_one() >= limits.registrations_per_hour:
            raise BusyError("too many teams came within an hour; try again later")

    def team_of(self, token: str) -> Team | None:
        """Return whose token that is, or None."""
        # By the hash: the time of a look-up tells nothing about a token.
        return self._team(teams.c.token_hash == _hash(token))

    def team(self, number: int) -> Team | None:
        """Return a team by its number."""
        return self._team(teams.c.id == number)

    def _team(self, condition: Any) -> Team | None:
        selected = sql.select(teams.c.id, teams.c.name, teams.c.created).where(condition)
        with self._database.read() as connection:
            row = connection.execute(selected).first()
        if row is None:
            return None
        return Team(row.id, row.name, row.created)

    def renew_token(self, name: str) -> str:
        """Give a team another token; the one before is worth nothing any more.

        Raises:
            InputError: there is no such team.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._database.write() as connection:
            team = _team_called(connection, name)
            update = sql.update(teams).where(teams.c.id == team)
            connection.execute(update.values(token_hash=_hash(token)))
            self._note(connection, "host", "renew token", name)
        return token

    # Submissions

    def why_not(self, team: int) -> str:
        """Return why a team may not submit now; "" if it may."""
        with self._database.read() as connection:
            return self._why_not(connection, team)

    def submit(self, team: Team, *, key: str, name: str, sha256: str, size: int) -> Submission:
        """Take a model in, and plan its measurements on the public part.

        Args:
            team: that sent it.
            key: hash of the id by which the sender knows it.
            name: of the model.
            sha256: of the file.
            size: of the file, in bytes.

        Raises:
            InputError: the name is none, or the team has sent this file before.
            BusyError: the team, or all together, have sent too much.
        """
        name = clean_name("name", name, MAX_MODEL)
        now = self._clock()
        values = {
            "key": key,
            "team": team.id,
            "name": name,
            "sha256": sha256,
            "fingerprint": sha256,
            "bytes": size,
            "state": "queued",
            "created": now,
        }
        # Exclusive: of two that race, the second one sees what the first one did.
        with self._database.exclusive() as connection:
            if reason := self._why_not(connection, team.id):
                raise BusyError(reason)
            self._refuse_again(connection, team.id, sha256)
            count = sql.select(sql.func.count()).where(submissions.c.team == team.id)
            values["number"] = connection.execute(count).scalar_one() + 1
            connection.execute(submissions.insert().values(**values))
            self._plan(connection, [key], PUBLIC)
            self._note(connection, team.name, "submit", key, f"{name}, {size} bytes, {sha256}")
        submission = self.submission(key)
        assert submission is not None
        return submission

    def _why_not(self, connection: sql.Connection, team: int) -> str:
        now = self._clock()
        if not self.rules.has_opened(now):
            return "this challenge has not opened yet"
        if self.rules.has_closed(now) or _is_ended(connection):
            return "this challenge is closed: no more models are taken"
        limits = self.rules.limits
        mine = sql.select(sql.func.count()).where(submissions.c.team == team)
        waiting = mine.where(submissions.c.state == "queued")
        if connection.execute(waiting).scalar_one() >= limits.waiting:
            return f"expected fewer than {limits.waiting} models of a team waiting; wait for one"
        lately = mine.where(submissions.c.created > now - DAY)
        if connection.execute(lately).scalar_one() >= limits.submissions_per_day:
            return f"a team may submit {limits.submissions_per_day} models within 24 hours"
        everybody = sql.select(sql.func.count()).where(submissions.c.state == "queued")
        if connection.execute(everybody).scalar_one() >= limits.queued:
            return "the queue is full; try again later"
        return ""

    def _refuse_again(self, connection: sql.Connection, team: int, sha256: str) -> None:
        same = sql.select(submissions.c.number).where(
            submissions.c.team == team, submissions.c.fingerprint == sha256
        )
        before = connection.execute(same).scalar()
        # Else the luckiest of many runs of one file would count.
        if before is not None:
            raise InputError(f"this file is the team's submission {before} already")

    def stored_bytes(self) -> int:
        """Return the bytes of all models that were sent, each file once."""
        files = sql.select(submissions.c.sha256, submissions.c.bytes).distinct().subquery()
        # Of no rows a sum is NULL.
        total = sql.select(sql.func.coalesce(sql.func.sum(files.c.bytes), 0))
        with self._database.read() as connection:
            return int(connection.execute(total).scalar_one())

    def largest_bytes(self) -> int:
        """Return the bytes of the largest model that was sent; 0 before the first."""
        largest = sql.select(sql.func.coalesce(sql.func.max(submissions.c.bytes), 0))
        with self._database.read() as connection:
            return int(connection.execute(largest).scalar_one())

    def submission(self, key: str) -> Submission | None:
        """Return a submission by its key."""
        rows = self._submissions(submissions.c.key == key)
        return rows[0] if rows else None

    def submissions_of(self, team: int) -> list[Submission]:
        """Return what a team sent, the latest first."""
        return self._submissions(submissions.c.team == team)

    def all_submissions(self) -> list[Submission]:
        """Return what everybody sent, the latest first."""
        return self._submissions(sql.true())

    def _submissions(self, condition: Any) -> list[Submission]:
        columns = [column for column in submissions.c if column.name != "fingerprint"]
        selected = (
            sql.select(*columns, teams.c.name.label("team_name"))
            .join(teams, teams.c.id == submissions.c.team)
            .where(condition)
            .order_by(submissions.c.created.desc(), submissions.c.number.desc())
        )
        with self._database.read() as connection:
            return [Submission(**row._mapping) for row in connection.execute(selected)]

    # Measurements

    def measurements(self, *states: str, submission: str | None = None) -> list[Measurement]:
        """Return measurements, the earliest first.

        Args:
            states: that they are in; without any, all.
            submission: whose; None: everybody's.
        """
        # Without all of the figures, which take some thousand bytes a row.
        columns = [column for column in measurements.c if column.name != "result"]
        selected = sql.select(*columns).order_by(
            measurements.c.created, measurements.c.submission, measurements.c.device
        )
        if states:
            selected = selected.where(measurements.c.state.in_(states))
        if submission is not None:
            selected = selected.where(measurements.c.submission == submission)
        with self._database.read() as connection:
            return list(map(_measurement, connection.execute(selected)))

    def result_of(self, key: MeasurementKey) -> str:
        """Return all figures of a measurement as JSON has them; "" without any."""
        selected = sql.select(measurements.c.result)
        for name, value in _columns(key).items():
            selected = selected.where(measurements.c[name] == value)
        with self._database.read() as connection:
            return connection.execute(selected).scalar() or ""

    def mark_queued(self, key: MeasurementKey) -> Callable[[sql.Connection], None]:
        """Return what writes, in the transaction of a job, that the measurement has that job."""

        def mark(connection: sql.Connection) -> None:
            update = _where(sql.update(measurements), key, "planned").values(state="queued")
            if connection.execute(update).rowcount != 1:
                raise InputError("this measurement has its job already")

        return mark

    def settle(self, key: MeasurementKey, outcome: Outcome) -> bool:
        """Take in what a measurement gave; return False if that has been done before."""
        now = self._clock()
        values = {
            "state": outcome.state,
            "error": outcome.error and storable(outcome.error),
            "score": outcome.score,
            "accuracy": outcome.accuracy,
            "accuracy_low": outcome.accuracy_low,
            "accuracy_high": outcome.accuracy_high,
            "latency": outcome.latency,
            "latency_p90": outcome.latency_p90,
            "reached": outcome.reached,
            "examples": outcome.examples,
            "valid": outcome.valid,
            "reasons": json.dumps(outcome.reasons),
            "result": outcome.result,
            "finished": now,
        }
        with self._database.exclusive() as connection:
            update = _where(sql.update(measurements), key, "queued").values(**values)
            if connection.execute(update).rowcount != 1:
                return False
            detail = f"{key.data} on {key.device}: {outcome.state}"
            self._note(connection, "referee", "measure", key.submission, detail)
            if key.data == PUBLIC:
                self._conclude(connection, key.submission, now)
        return True

    def _conclude(self, connection: sql.Connection, submission: str, now: float) -> None:
        """End a submission once all of its public measurements have ended."""
        selected = sql.select(measurements.c.state, measurements.c.error).where(
            measurements.c.submission == submission, measurements.c.data == PUBLIC
        )
        rows = connection.execute(selected).all()
        if any(row.state in _OPEN for row in rows):
            return
        errors = [row.error for row in rows if row.state == "failed"]
        values: dict[str, Any] = {"state": "done", "finished": now}
        if errors:
            values |= {"state": "failed", "error": errors[0], "fingerprint": None}
        update = sql.update(submissions).where(submissions.c.key == submission)
        connection.execute(update.values(**values))

    # The end

    def closed(self) -> bool:
        """Whether no more models are taken."""
        with self._database.read() as connection:
            is_ended = _is_ended(connection)
        return is_ended or self.rules.has_closed(self._clock())

    def close(self) -> None:
        """Take no more models; what waits is still measured. Twice is fine."""
        with self._database.exclusive() as connection:
            if _fact(connection, _CLOSED) is None:
                _set_fact(connection, _CLOSED, str(self._clock()))
                self._note(connection, "host", "close", "")

    def plan_finals(self, chosen: Sequence[str]) -> bool:
        """Plan the measurements on the hidden part, once.

        Args:
            chosen: keys of submissions.

        Returns:
            False, and nothing is planned, if that has been done before, or if a model came in after
            these were chosen.
        """
        with self._database.exclusive() as connection:
            if _fact(connection, _FINALS) is not None or self._has_waiting(connection):
                return False
            _set_fact(connection, _FINALS, str(self._clock()))
            self._plan(connection, chosen, HIDDEN)
            self._note(connection, "referee", "finals", "", f"{len(chosen)} submissions")
        return True

    def _has_waiting(self, connection: sql.Connection) -> bool:
        waiting = sql.select(submissions.c.key).where(submissions.c.state == "queued").limit(1)
        return connection.execute(waiting).first() is not None

    def has_finals(self) -> bool:
        """Whether the measurements on the hidden part were planned."""
        with self._database.read() as connection:
            return _fact(connection, _FINALS) is not None

    def audit_log(self) -> list[dict[str, Any]]:
        """Return what happened, in order: when, who, what, on what."""
        with self._database.read() as connection:
            rows = connection.execute(sql.select(audit).order_by(audit.c.id))
            return [dict(row._mapping) for row in rows]

    def _plan(self, connection: sql.Connection, keys: Sequence[str], data: str) -> None:
        now = self._clock()
        for submission in keys:
            for device in self.rules.devices:
                key = MeasurementKey(submission, data, device.name)
                values = {"job": key.job, "state": "planned", "created": now}
                connection.execute(measurements.insert().values(**values, **_columns(key)))

    def _note(
        self, connection: sql.Connection, actor: str, action: str, subject: str, detail: str = ""
    ) -> None:
        values = {"actor": actor, "action": action, "subject": subject, "detail": storable(detail)}
        connection.execute(audit.insert().values(at=self._clock(), **values))


def _columns(key: MeasurementKey) -> dict[str, str]:
    return {"submission": key.submission, "data": key.data, "device": key.device}


def _where(update: sql.Update, key: MeasurementKey, state: str) -> sql.Update:
    """Change a measurement only while it is in a state."""
    for name, value in _columns(key).items():
        update = update.where(measurements.c[name] == value)
    return update.where(measurements.c.state == state)


def _measurement(row: sql.Row[Any]) -> Measurement:
    outcome = Outcome(
        error=row.error,
        score=row.score,
        accuracy=row.accuracy,
        accuracy_low=row.accuracy_low,
        accuracy_high=row.accuracy_high,
        latency=row.latency,
        latency_p90=row.latency_p90,
        reached=row.reached,
        examples=row.examples,
        valid=row.valid,
        reasons=tuple(json.loads(row.reasons or "[]")),
    )
    key = MeasurementKey(row.submission, row.data, row.device)
    return Measurement(key, row.state, outcome, row.created, row.finished)


def _teams_like(connection: sql.Connection, name: str) -> Sequence[Any]:
    """Return the teams whose names share a look with this one."""
    alike = sql.select(looks.c.team).where(looks.c.look.in_(looks_of(name)))
    return connection.execute(
        sql.select(teams.c.id, teams.c.name).where(teams.c.id.in_(alike))
    ).all()


def _team_called(connection: sql.Connection, name: str) -> int:
    alike = _teams_like(connection, name)
    exact = [team for team in alike if team.name == name]
    chosen = exact or alike
    if len(chosen) != 1:
        raise InputError(f"there is no team {name!r}")
    return int(chosen[0].id)


def _fact(connection: sql.Connection, name: str) -> str | None:
    return connection.execute(sql.select(facts.c.value).where(facts.c.name == name)).scalar()


def _is_ended(connection: sql.Connection) -> bool:
    """Whether the host has closed the challenge, or its finals have begun.

    After that no model comes in any more, wherever a clock or ``closes`` is moved to: it would
    have no part in the finals.
    """
    return any(_fact(connection, name) is not None for name in (_CLOSED, _FINALS))


def _set_fact(connection: sql.Connection, name: str, value: str) -> None:
    connection.execute(facts.insert().values(name=name, value=value))


def _hash(token: str) -> str:
    # Tokens are random: they need no salt and no slow hash, and no letter that cannot be stored.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
