"""Databases of any age are brought to today's tables, or left as they are."""

import sys

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from handheld.errors import ServiceError
from handheld.service.database import Database
from handheld.service.jobs.queue import JOBS_SCHEMA
from handheld.service.migrations import Schema

FIRST = """
import sqlalchemy as sql
from alembic import op
revision = "1"
down_revision = None
def upgrade():
    op.create_table("notes", sql.Column("id", sql.Integer, primary_key=True))
"""
SECOND = """
import sqlalchemy as sql
from alembic import op
revision = "2"
down_revision = "1"
def upgrade():
    op.add_column("notes", sql.Column("text", sql.Text))
    op.execute("UPDATE notes SET text = 'old'")
"""


@pytest.fixture
def make_schema(tmp_path, monkeypatch):
    """Tables of notes with a history of some revisions."""
    (tmp_path / "src").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "src")

    def make(name, *revisions):
        folder = tmp_path / "src" / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        for number, text in enumerate(revisions):
            (folder / f"r{number}.py").write_text(text)
        metadata = sql.MetaData()
        sql.Table("notes", metadata, sql.Column("id", sql.Integer, primary_key=True))
        return Schema(metadata, name, "notes_version")

    yield make
    for name in [name for name in sys.modules if name.startswith("history_")]:
        del sys.modules[name]


def differences(database, schema, other_tables=()):
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.version_table}
        )
        ours = {*schema.metadata.tables, *other_tables}
        return [
            change
            for change in compare_metadata(context, schema.metadata)
            if not (change[0] == "remove_table" and change[1].name not in ours)
        ]


def notes_in(database):
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(sql.text("SELECT * FROM notes"))]


def test_a_new_database_has_the_tables_of_the_program(database_url):
    database = Database(database_url, JOBS_SCHEMA)
    try:
        assert differences(database, JOBS_SCHEMA) == []
    finally:
        database.close()


def test_what_differs_is_seen(database_url):
    database = Database(database_url, JOBS_SCHEMA)
    try:
        with database.write() as connection:
            connection.execute(sql.text("ALTER TABLE handheld_jobs ADD COLUMN more INTEGER"))
        assert [change[0] for change in differences(database, JOBS_SCHEMA)] == ["remove_column"]
    finally:
        database.close()


def test_a_database_from_before_its_history_keeps_its_rows(database_url, make_schema):
    engine = Database(database_url)
    with engine.write() as connection:
        connection.execute(sql.text("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))
        connection.execute(sql.text("INSERT INTO notes (id) VALUES (7)"))
    engine.close()
    schema = make_schema("history_two", FIRST, SECOND)
    for _ in range(2):  # the second time nothing is left to do
        database = Database(database_url, schema)
        assert notes_in(database) == [(7, "old")]
        database.close()


def test_a_database_a_step_behind_takes_that_step_alone(database_url, make_schema):
    database = Database(database_url, make_schema("history_one", FIRST))
    with database.write() as connection:
        connection.execute(sql.text("INSERT INTO notes (id) VALUES (7)"))
    database.close()
    database = Database(database_url, make_schema("history_two", FIRST, SECOND))
    assert notes_in(database) == [(7, "old")]
    database.close()


def test_a_newer_database_is_refused_and_left_alone(database_url, make_schema):
    newer = make_schema("history_two", FIRST, SECOND)
    Database(database_url, newer).close()
    older = make_schema("history_one", FIRST)
    with pytest.raises(ServiceError, match=r"newer program \(its tables are at .2., this program"):
        Database(database_url, older)
    database = Database(database_url, newer)
    assert notes_in(database) == []
    database.close()


def test_a_step_that_fails_undoes_those_before_it(database_url, make_schema):
    broken = SECOND + "    op.execute('SELECT no_such_column FROM notes')\n"
    database = Database(database_url, make_schema("history_one", FIRST))
    with database.write() as connection:
        connection.execute(sql.text("INSERT INTO notes (id) VALUES (7)"))
    database.close()
    with pytest.raises(ServiceError, match=r"cannot be opened: .*no_such_column"):
        Database(database_url, make_schema("history_broken", FIRST, broken))
    # As it was: without the column, and at its revision.
    database = Database(database_url)
    assert notes_in(database) == [(7,)]
    database.close()
    database = Database(database_url, make_schema("history_two", FIRST, SECOND))
    assert notes_in(database) == [(7, "old")]
    database.close()
