"""The tables of a challenge, beside that of its jobs."""

from handheld.errors import MissingDependencyError
from handheld.service.migrations import Schema

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a challenge") from error

metadata = sql.MetaData()
CHALLENGE_SCHEMA = Schema(
    metadata, "handheld.bench.challenge.migrations", "handheld_challenge_version"
)
"""A change of the tables needs a revision there that changes those that exist."""

facts = sql.Table(
    "handheld_challenge_facts",
    metadata,
    sql.Column("name", sql.String(32), primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)

teams = sql.Table(
    "handheld_challenge_teams",
    metadata,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("name", sql.String(200), nullable=False),
    sql.Column("token_hash", sql.String(64), nullable=False, unique=True),
    sql.Column("created", sql.Double, nullable=False),
)

# Two names that share a look are one.
looks = sql.Table(
    "handheld_challenge_looks",
    metadata,
    sql.Column("look", sql.String(1600), primary_key=True),
    sql.Column("team", sql.Integer, sql.ForeignKey(teams.c.id), nullable=False),
)

submissions = sql.Table(
    "handheld_challenge_submissions",
    metadata,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("team", sql.Integer, sql.ForeignKey(teams.c.id), nullable=False),
    sql.Column("number", sql.Integer, nullable=False),
    sql.Column("name", sql.String(300), nullable=False),
    sql.Column("sha256", sql.String(64), nullable=False),
    # The same until it has failed: then the file may be sent once more.
    sql.Column("fingerprint", sql.String(64)),
    sql.Column("bytes", sql.BigInteger, nullable=False),
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("error", sql.Text),
    sql.Column("created", sql.Double, nullable=False),
    sql.Column("finished", sql.Double),
    sql.UniqueConstraint("team", "number"),
    sql.UniqueConstraint("team", "fingerprint"),
)

measurements = sql.Table(
    "handheld_challenge_measurements",
    metadata,
    sql.Column("submission", sql.String(64), sql.ForeignKey(submissions.c.key), primary_key=True),
    # 'public' or 'hidden'
    sql.Column("data", sql.String(8), primary_key=True),
    sql.Column("device", sql.String(24), primary_key=True),
    sql.Column("job", sql.String(64), nullable=False, unique=True),
    # planned -> queued -> done or failed, each once
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("error", sql.Text),
    sql.Column("score", sql.Double),
    sql.Column("accuracy", sql.Double),
    sql.Column("accuracy_low", sql.Double),
    sql.Column("accuracy_high", sql.Double),
    sql.Column("latency", sql.Double),
    sql.Column("latency_p90", sql.Double),
    sql.Column("reached", sql.Integer),
    sql.Column("examples", sql.Integer),
    sql.Column("valid", sql.Boolean),
    sql.Column("reasons", sql.Text),
    sql.Column("result", sql.Text),
    sql.Column("created", sql.Double, nullable=False),
    sql.Column("finished", sql.Double),
    sql.Index("handheld_challenge_open", "state", "created"),
)

audit = sql.Table(
    "handheld_challenge_audit",
    metadata,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("at", sql.Double, nullable=False),
    sql.Column("actor", sql.String(200), nullable=False),
    sql.Column("action", sql.String(32), nullable=False),
    sql.Column("subject", sql.String(300), nullable=False),
    sql.Column("detail", sql.Text, nullable=False),
)
