"""What names look like moves to a table of its own: a name has more than one look.

Two teams whose names are told apart no more keep them: the later one's looks that are taken are
left out.
"""

import sqlalchemy as sql
from alembic import op

from handheld.bench.challenge.names import looks_of

revision = "challenge_2"
down_revision = "challenge_1"

_TEAMS = "handheld_challenge_teams"


def upgrade() -> None:
    """Make the table, fill it, drop the column."""
    looks = op.create_table(
        "handheld_challenge_looks",
        sql.Column("look", sql.String(1600), primary_key=True),
        sql.Column("team", sql.Integer, sql.ForeignKey(f"{_TEAMS}.id"), nullable=False),
    )
    connection = op.get_bind()
    taken: dict[str, int] = {}
    for row in connection.execute(sql.text(f"SELECT id, name FROM {_TEAMS} ORDER BY id")):
        for look in looks_of(row.name):
            taken.setdefault(look, row.id)
    if taken:
        rows = [{"look": look, "team": team} for look, team in taken.items()]
        connection.execute(sql.insert(looks), rows)
    # SQLite drops no column that is unique: the table is made anew.
    with op.batch_alter_table(_TEAMS) as table:
        table.drop_column("skeleton")
