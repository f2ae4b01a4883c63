"""The tables as they were first: written out, as it stays when those of the program change."""

import sqlalchemy as sql
from alembic import op

revision = "challenge_1"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "handheld_challenge_facts",
        sql.Column("name", sql.String(32), primary_key=True),
        sql.Column("value", sql.Text, nullable=False),
    )
    op.create_table(
        "handheld_challenge_teams",
        sql.Column("id", sql.Integer, primary_key=True),
        sql.Column("name", sql.String(200), nullable=False),
        sql.Column("skeleton", sql.String(800), nullable=False, unique=True),
        sql.Column("token_hash", sql.String(64), nullable=False, unique=True),
        sql.Column("created", sql.Double, nullable=False),
    )
    op.create_table(
        "handheld_challenge_submissions",
        sql.Column("key", sql.String(64), primary_key=True),
        sql.Column(
            "team", sql.Integer, sql.ForeignKey("handheld_challenge_teams.id"), nullable=False
        ),
        sql.Column("number", sql.Integer, nullable=False),
        sql.Column("name", sql.String(300), nullable=False),
        sql.Column("sha256", sql.String(64), nullable=False),
        sql.Column("fingerprint", sql.String(64)),
        sql.Column("bytes", sql.BigInteger, nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("error", sql.Text),
        sql.Column("created", sql.Double, nullable=False),
        sql.Column("finished", sql.Double),
        sql.UniqueConstraint("team", "number"),
        sql.UniqueConstraint("team", "fingerprint"),
    )
    _make_measurements()
    op.create_table(
        "handheld_challenge_audit",
        sql.Column("id", sql.Integer, primary_key=True),
        sql.Column("at", sql.Double, nullable=False),
        sql.Column("actor", sql.String(200), nullable=False),
        sql.Column("action", sql.String(32), nullable=False),
        sql.Column("subject", sql.String(300), nullable=False),
        sql.Column("detail", sql.Text, nullable=False),
    )


def _make_measurements() -> None:
    op.create_table(
        "handheld_challenge_measurements",
        sql.Column(
            "submission",
            sql.String(64),
            sql.ForeignKey("handheld_challenge_submissions.key"),
            primary_key=True,
        ),
        sql.Column("data", sql.String(8), primary_key=True),
        sql.Column("device", sql.String(24), primary_key=True),
        sql.Column("job", sql.String(64), nullable=False, unique=True),
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
    )
    op.create_index(
        "handheld_challenge_open", "handheld_challenge_measurements", ["state", "created"]
    )
