"""The table of jobs as it was first: written out, as it stays when the program's changes."""

import sqlalchemy as sql
from alembic import op

revision = "jobs_1"
down_revision = None


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "handheld_jobs",
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
    )
    op.create_index("handheld_jobs_waiting", "handheld_jobs", ["state", "created"])
