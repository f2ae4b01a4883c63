"""The tables of a federation."""

from handheld.errors import MissingDependencyError
from handheld.service.migrations import Schema

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a federation's server") from error

metadata = sql.MetaData()
FEDERATION_SCHEMA = Schema(
    metadata, "handheld.federated.server.migrations", "handheld_federation_version"
)
"""A change of the tables needs a revision there that changes those that exist."""

_HASH = sql.String(64)
_ROUND_ID = sql.String(32)
_NAME = sql.String(64)

devices = sql.Table(
    "handheld_federation_devices",
    metadata,
    # The public key, in hexadecimal.
    sql.Column("identity", _HASH, primary_key=True),
    sql.Column("enrolled", sql.Double, nullable=False),
    sql.Column("revoked", sql.Double),
    # Microseconds of the last nonce that it signed: older ones are refused, so each is good once.
    sql.Column("nonce_at", sql.BigInteger, nullable=False),
    sql.Column("seen", sql.Double, nullable=False),
)

tasks = sql.Table(
    "handheld_federation_tasks",
    metadata,
    sql.Column("name", _NAME, primary_key=True),
    # running, paused or done
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    # Of the newest commit: the head.
    sql.Column("number", sql.Integer, nullable=False),
    sql.Column("open_round", _ROUND_ID),
    # Rounds that were abandoned one after the other.
    sql.Column("failures", sql.Integer, nullable=False),
    sql.Column("next_at", sql.Double, nullable=False),
)

commits = sql.Table(
    "handheld_federation_commits",
    metadata,
    sql.Column("task", _NAME, sql.ForeignKey(tasks.c.name), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("round", _ROUND_ID),
    # The number that a rollback goes back to.
    sql.Column("origin", sql.Integer),
    # None: no longer kept.
    sql.Column("state_blob", _HASH),
    sql.Column("model_blob", _HASH),
    sql.Column("model_bytes", sql.BigInteger, nullable=False),
    sql.Column("figures", sql.Text, nullable=False),
    sql.Column("clients", sql.Integer, nullable=False),
    sql.Column("committed", sql.Double, nullable=False),
)

rounds = sql.Table(
    "handheld_federation_rounds",
    metadata,
    sql.Column("id", _ROUND_ID, primary_key=True),
    sql.Column("task", _NAME, sql.ForeignKey(tasks.c.name), nullable=False),
    sql.Column("base", sql.Integer, nullable=False),
    # selecting -> running -> committed or abandoned, each once
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("goal", sql.Integer, nullable=False),
    sql.Column("least", sql.Integer, nullable=False),
    sql.Column("most", sql.Integer, nullable=False),
    sql.Column("selected", sql.Integer, nullable=False),
    sql.Column("state_blob", _HASH, nullable=False),
    sql.Column("model_blob", _HASH, nullable=False),
    sql.Column("model_bytes", sql.BigInteger, nullable=False),
    sql.Column("plans", sql.LargeBinary, nullable=False),
    # Of a masked vector; 0 and most_bytes over 0 where uploads are plain.
    sql.Column("count", sql.Integer, nullable=False),
    sql.Column("bits", sql.Integer, nullable=False),
    sql.Column("most_bytes", sql.BigInteger, nullable=False),
    sql.Column("owner", _NAME, nullable=False),
    sql.Column("lease", sql.Double, nullable=False),
    sql.Column("created", sql.Double, nullable=False),
    sql.Column("deadline", sql.Double, nullable=False),
    sql.Column("configured", sql.Double),
    sql.Column("finished", sql.Double),
    sql.Column("clients", sql.Integer, nullable=False),
    sql.Column("bytes_up", sql.BigInteger, nullable=False),
    sql.Column("bytes_down", sql.BigInteger, nullable=False),
    sql.Index("handheld_federation_open", "state", "finished"),
)

groups = sql.Table(
    "handheld_federation_groups",
    metadata,
    sql.Column("round", _ROUND_ID, sql.ForeignKey(rounds.c.id), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("goal", sql.Integer, nullable=False),
    sql.Column("members", sql.Integer, nullable=False),
    sql.Column("terms", sql.LargeBinary, nullable=False),
    # open, done or failed
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("phase", sql.Integer, nullable=False),
    sql.Column("deadline", sql.Double, nullable=False),
    # Messages of all phases: by it others see that one has come.
    sql.Column("received", sql.Integer, nullable=False),
)

participants = sql.Table(
    "handheld_federation_participants",
    metadata,
    sql.Column("round", _ROUND_ID, sql.ForeignKey(rounds.c.id), primary_key=True),
    sql.Column("identity", _HASH, primary_key=True),
    sql.Column("group", sql.Integer),
    # Why its part has ended: what it sent is refused.
    sql.Column("refused", sql.Text),
    sql.Column("joined", sql.Double, nullable=False),
)

messages = sql.Table(
    "handheld_federation_messages",
    metadata,
    sql.Column("round", _ROUND_ID, sql.ForeignKey(rounds.c.id), primary_key=True),
    sql.Column("group", sql.Integer, primary_key=True),
    sql.Column("phase", sql.Integer, primary_key=True),
    sql.Column("sender", _HASH, primary_key=True),
    sql.Column("digest", _HASH, nullable=False),
    # None: it is large, and stands in a file.
    sql.Column("content", sql.LargeBinary),
    sql.Column("bytes", sql.BigInteger, nullable=False),
    # Set when its phase ended: it is in what came of it.
    sql.Column("counted", sql.Boolean, nullable=False),
)

answers = sql.Table(
    "handheld_federation_answers",
    metadata,
    sql.Column("round", _ROUND_ID, sql.ForeignKey(rounds.c.id), primary_key=True),
    sql.Column("group", sql.Integer, primary_key=True),
    sql.Column("phase", sql.Integer, primary_key=True),
    # Empty: the content that all others without one of their own get.
    sql.Column("recipient", _HASH, primary_key=True),
    sql.Column("content", sql.LargeBinary),
)

participations = sql.Table(
    "handheld_federation_participations",
    metadata,
    sql.Column("task", _NAME, sql.ForeignKey(tasks.c.name), primary_key=True),
    sql.Column("identity", _HASH, primary_key=True),
    sql.Column("times", sql.Integer, nullable=False),
    # Number of the last commit that it is in.
    sql.Column("last", sql.Integer, nullable=False),
)

processes = sql.Table(
    "handheld_federation_processes",
    metadata,
    sql.Column("name", _NAME, primary_key=True),
    sql.Column("beat", sql.Double, nullable=False),
    # Up to when its timetable of check-ins is given out.
    sql.Column("free", sql.Double, nullable=False),
)
