"""The tables as they were first: written out, as it stays when those of the program change."""

import sqlalchemy as sql
from alembic import op

revision = "federation_1"
down_revision = None


def upgrade() -> None:
    """Make them."""
    _make_devices()
    _make_tasks()
    _make_commits()
    _make_rounds()
    _make_groups()
    _make_participants()
    _make_messages()
    _make_answers()
    _make_participations()
    _make_processes()


def _make_devices() -> None:
    op.create_table(
        "handheld_federation_devices",
        sql.Column("identity", sql.String(64), primary_key=True),
        sql.Column("enrolled", sql.Double, nullable=False),
        sql.Column("revoked", sql.Double),
        sql.Column("nonce_at", sql.BigInteger, nullable=False),
        sql.Column("seen", sql.Double, nullable=False),
    )


def _make_tasks() -> None:
    op.create_table(
        "handheld_federation_tasks",
        sql.Column("name", sql.String(64), primary_key=True),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("reason", sql.Text, nullable=False),
        sql.Column("number", sql.Integer, nullable=False),
        sql.Column("open_round", sql.String(32)),
        sql.Column("failures", sql.Integer, nullable=False),
        sql.Column("next_at", sql.Double, nullable=False),
    )


def _make_commits() -> None:
    op.create_table(
        "handheld_federation_commits",
        sql.Column(
            "task",
            sql.String(64),
            sql.ForeignKey("handheld_federation_tasks.name"),
            primary_key=True,
        ),
        sql.Column("number", sql.Integer, primary_key=True),
        sql.Column("round", sql.String(32)),
        sql.Column("origin", sql.Integer),
        sql.Column("state_blob", sql.String(64)),
        sql.Column("model_blob", sql.String(64)),
        sql.Column("model_bytes", sql.BigInteger, nullable=False),
        sql.Column("figures", sql.Text, nullable=False),
        sql.Column("clients", sql.Integer, nullable=False),
        sql.Column("committed", sql.Double, nullable=False),
    )


def _make_rounds() -> None:
    op.create_table(
        "handheld_federation_rounds",
        sql.Column("id", sql.String(32), primary_key=True),
        sql.Column(
            "task", sql.String(64), sql.ForeignKey("handheld_federation_tasks.name"), nullable=False
        ),
        sql.Column("base", sql.Integer, nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("reason", sql.Text, nullable=False),
        sql.Column("goal", sql.Integer, nullable=False),
        sql.Column("least", sql.Integer, nullable=False),
        sql.Column("most", sql.Integer, nullable=False),
        sql.Column("selected", sql.Integer, nullable=False),
        sql.Column("state_blob", sql.String(64), nullable=False),
        sql.Column("model_blob", sql.String(64), nullable=False),
        sql.Column("model_bytes", sql.BigInteger, nullable=False),
        sql.Column("plans", sql.LargeBinary, nullable=False),
        sql.Column("count", sql.Integer, nullable=False),
        sql.Column("bits", sql.Integer, nullable=False),
        sql.Column("most_bytes", sql.BigInteger, nullable=False),
        sql.Column("owner", sql.String(64), nullable=False),
        sql.Column("lease", sql.Double, nullable=False),
        sql.Column("created", sql.Double, nullable=False),
        sql.Column("deadline", sql.Double, nullable=False),
        sql.Column("configured", sql.Double),
        sql.Column("finished", sql.Double),
        sql.Column("clients", sql.Integer, nullable=False),
        sql.Column("bytes_up", sql.BigInteger, nullable=False),
        sql.Column("bytes_down", sql.BigInteger, nullable=False),
    )
    op.create_index("handheld_federation_open", "handheld_federation_rounds", ["state", "finished"])


def _make_groups() -> None:
    op.create_table(
        "handheld_federation_groups",
        sql.Column(
            "round",
            sql.String(32),
            sql.ForeignKey("handheld_federation_rounds.id"),
            primary_key=True,
        ),
        sql.Column("number", sql.Integer, primary_key=True),
        sql.Column("goal", sql.Integer, nullable=False),
        sql.Column("members", sql.Integer, nullable=False),
        sql.Column("terms", sql.LargeBinary, nullable=False),
        sql.Column("state", sql.String(16), nullable=False),
        sql.Column("reason", sql.Text, nullable=False),
        sql.Column("phase", sql.Integer, nullable=False),
        sql.Column("deadline", sql.Double, nullable=False),
        sql.Column("received", sql.Integer, nullable=False),
    )


def _make_participants() -> None:
    op.create_table(
        "handheld_federation_participants",
        sql.Column(
            "round",
            sql.String(32),
            sql.ForeignKey("handheld_federation_rounds.id"),
            primary_key=True,
        ),
        sql.Column("identity", sql.String(64), primary_key=True),
        sql.Column("group", sql.Integer),
        sql.Column("refused", sql.Text),
        sql.Column("joined", sql.Double, nullable=False),
    )


def _make_messages() -> None:
    op.create_table(
        "handheld_federation_messages",
        sql.Column(
            "round",
            sql.String(32),
            sql.ForeignKey("handheld_federation_rounds.id"),
            primary_key=True,
        ),
        sql.Column("group", sql.Integer, primary_key=True),
        sql.Column("phase", sql.Integer, primary_key=True),
        sql.Column("sender", sql.String(64), primary_key=True),
        sql.Column("digest", sql.String(64), nullable=False),
        sql.Column("content", sql.LargeBinary),
        sql.Column("bytes", sql.BigInteger, nullable=False),
        sql.Column("counted", sql.Boolean, nullable=False),
    )


def _make_answers() -> None:
    op.create_table(
        "handheld_federation_answers",
        sql.Column(
            "round",
            sql.String(32),
            sql.ForeignKey("handheld_federation_rounds.id"),
            primary_key=True,
        ),
        sql.Column("group", sql.Integer, primary_key=True),
        sql.Column("phase", sql.Integer, primary_key=True),
        sql.Column("recipient", sql.String(64), primary_key=True),
        sql.Column("content", sql.LargeBinary),
    )


def _make_participations() -> None:
    op.create_table(
        "handheld_federation_participations",
        sql.Column(
            "task",
            sql.String(64),
            sql.ForeignKey("handheld_federation_tasks.name"),
            primary_key=True,
        ),
        sql.Column("identity", sql.String(64), primary_key=True),
        sql.Column("times", sql.Integer, nullable=False),
        sql.Column("last", sql.Integer, nullable=False),
    )


def _make_processes() -> None:
    op.create_table(
        "handheld_federation_processes",
        sql.Column("name", sql.String(64), primary_key=True),
        sql.Column("beat", sql.Double, nullable=False),
        sql.Column("free", sql.Double, nullable=False),
    )
