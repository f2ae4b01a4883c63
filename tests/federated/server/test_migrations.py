"""The tables that the program uses are those that its history makes."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from handheld.federated.server._tables import FEDERATION_SCHEMA, metadata
from handheld.federated.server.database import FederationDatabase


def test_the_history_leads_to_today(database_url, tmp_path):
    url = database_url
    if "://" not in url:
        url = str(tmp_path / url)
    database = FederationDatabase(url)
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": FEDERATION_SCHEMA.version_table}
        )
        assert compare_metadata(context, metadata) == []
    database.close()
