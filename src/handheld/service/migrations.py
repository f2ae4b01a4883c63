"""Tables that are brought to today's form, however old the database is.

A room with tables keeps their history: a package of alembic's revisions, each a small file that
changes the tables, and the rows in them, from one form to the next.
"""

import threading
from importlib.resources import as_file, files
from typing import NamedTuple

from handheld.errors import MissingDependencyError, ServiceError

try:
    import sqlalchemy as sql
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy and alembic", "server", "a database") from error

# Alembic's ``op`` is one for the whole process.
_one_at_a_time = threading.RLock()


class Schema(NamedTuple):
    """Some tables and their history.

    Args:
        metadata: the tables as the program uses them.
        revisions: package of the revisions that lead to them.
        version_table: name of the table that holds the revision which a database is at.
    """

    metadata: sql.MetaData
    revisions: str
    version_table: str


def migrate(connection: sql.Connection, schema: Schema) -> None:
    """Bring the tables of a database to their newest form, all or nothing.

    A database without them gets them; one that is older than the history of its tables is taken to
    be at the first revision.

    Args:
        connection: in an exclusive transaction.
        schema: of which tables.

    Raises:
        ServiceError: the database is at a revision that this program does not know.
    """
    with _one_at_a_time, as_file(files(schema.revisions)) as folder:
        script = ScriptDirectory(str(folder), version_locations=[str(folder)])
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.version_table}
        )
        current = _revision(context, script, schema)
        newer = list(script.iterate_revisions("head", current or "base"))
        if not newer:
            return
        with Operations.context(context):
            for revision in reversed(newer):
                revision.module.upgrade()
        context.stamp(script, "head")


def _revision(context: MigrationContext, script: ScriptDirectory, schema: Schema) -> str | None:
    current = context.get_current_revision()
    if current is not None:
        _require_known(script, current)
        return current
    there = sql.inspect(context.connection).get_table_names()
    if set(there) & set(schema.metadata.tables):
        return script.get_base()
    return None


def _require_known(script: ScriptDirectory, revision: str) -> None:
    try:
        script.get_revision(revision)
    except CommandError as error:
        raise ServiceError(
            f"the database was made by a newer program (its tables are at {revision!r}, this "
            f"program knows them to {script.get_current_head()!r}): update the program, or give "
            "another database"
        ) from error
