"""A challenge that an older program hosted goes on."""

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from handheld.bench.challenge.migrations import first
from handheld.bench.challenge.store import CHALLENGE_SCHEMA, ChallengeStore
from handheld.errors import InputError
from handheld.service.database import Database
from handheld.service.jobs.queue import JOBS_SCHEMA

TEAMS = "handheld_challenge_teams"
TEAM = (
    "INSERT INTO handheld_challenge_teams (name, skeleton, token_hash, created) "
    "VALUES (:name, :skeleton, :hash, 1000)"
)
SUBMISSION = (
    "INSERT INTO handheld_challenge_submissions "
    "VALUES (:key, 1, 1, 'net', :key, :key, 10, 'queued', NULL, 1000, NULL)"
)


@pytest.fixture
def old_database(database_url):
    """The tables as they were before they had a history, with two teams of one look."""
    database = Database(database_url, JOBS_SCHEMA)
    with database.exclusive() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            first.upgrade()
        connection.execute(sql.text("INSERT INTO handheld_challenge_facts VALUES ('schema', '1')"))
        for name in ("Alpha", "Alph\u0430", "Beta"):
            values = {"name": name, "skeleton": name.casefold(), "hash": f"hash of {name}"}
            connection.execute(sql.text(TEAM), values)
        connection.execute(sql.text(SUBMISSION), {"key": "a" * 64})
    database.close()
    return database_url


def test_teams_and_submissions_are_kept(old_database, rules):
    database = Database(old_database, JOBS_SCHEMA, CHALLENGE_SCHEMA)
    store = ChallengeStore(database, rules, clock=lambda: 5000.0)
    try:
        assert [store.team(number).name for number in (1, 2, 3)] == ["Alpha", "Alph\u0430", "Beta"]
        assert [one.team_name for one in store.all_submissions()] == ["Alpha"]
        for name in ("alpha", "ALPH\u0410", "beta"):
            with pytest.raises(InputError, match="is taken"):
                store.register(name)
        team, token = store.register("Gamma")
        assert store.team_of(token) == team
        # Each of the two is found by its own name.
        assert store.team_of(store.renew_token("Alpha")).id == 1
        with pytest.raises(InputError, match="taken"):
            store.register("Alph\u0430")
    finally:
        database.close()


def test_old_and_new_databases_have_the_same_tables(old_database, tmp_path):
    for url in (old_database, str(tmp_path / "new.sqlite")):
        database = Database(url, CHALLENGE_SCHEMA)
        with database.read() as connection:
            options = {"version_table": CHALLENGE_SCHEMA.version_table}
            context = MigrationContext.configure(connection, opts=options)
            constraints = sql.inspect(connection).get_unique_constraints(TEAMS)
            changes = compare_metadata(context, CHALLENGE_SCHEMA.metadata)
        database.close()
        uniques = [constraint["column_names"] for constraint in constraints]
        others = [change for change in changes if change[0] in ("remove_table", "remove_index")]
        names = [change[1].name for change in others]
        assert changes == others
        assert uniques == [["token_hash"]]
        assert all(name.startswith("handheld_jobs") for name in names)
