"""SQL state: SQLite in a file for one machine, PostgreSQL by URL for several.

The one file that knows their differences.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handheld.errors import MissingDependencyError, ServiceError
from handheld.service.migrations import Schema, migrate

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a server's database") from error

_BUSY_SECONDS = 30  # that a writer waits for its turn
_AGAIN_SECONDS = 0.02
_LOCK = 0x68616E64  # any number that is ours: 'hand'


class Database:
    """A database with some tables, made on first use, and brought to today's form.

    ``url`` is a path of an SQLite file, or a URL such as ``postgresql://user@host/name``. A
    transaction of ``read`` sees one state; ``write`` commits at its end or, on an exception, not at
    all; ``exclusive`` also keeps every other exclusive transaction of any server waiting, for
    decisions that rest on what is counted in several rows. Raises :class:`ServiceError` if the
    database cannot be opened, or its tables are newer than the program.
    """

    def __init__(self, url: str | Path, *schemas: Schema) -> None:
        self.engine = _open(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._address = self.engine.url.render_as_string(hide_password=True)
        if self.is_sqlite:
            sql.event.listen(self.engine, "connect", _prepare)
            sql.event.listen(self.engine, "begin", _begin)
        try:
            with self.exclusive() as connection:
                for schema in schemas:
                    migrate(connection, schema)
        except ServiceError as error:
            self.close()
            raise ServiceError(f"{self._address}: {error}") from error
        except sql.exc.SQLAlchemyError as error:
            self.close()
            raise ServiceError(
                f"{self._address}: the database cannot be opened: {_first_line(error)}"
            ) from error

    @contextmanager
    def read(self) -> Iterator[sql.Connection]:
        """Give a connection to read with."""
        with (
            self.engine.connect().execution_options(reading=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[sql.Connection]:
        """Give a connection to write with."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def exclusive(self) -> Iterator[sql.Connection]:
        """Give a connection to write with, while no other is exclusive.

        On SQLite every writer is.
        """
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(sql.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _open(url: str | Path) -> sql.Engine:
    if isinstance(url, Path) or "://" not in url:
        return _open_sqlite(Path(url).absolute())
    try:
        address = sql.make_url(url)
    except sql.exc.ArgumentError as error:
        raise ServiceError(
            "expected a path, or a URL such as postgresql://user:password@host/name"
        ) from error
    if address.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ServiceError(
            f"expected a path or a postgresql:// URL, got one of {address.drivername!r}"
        )
    address = address.set(drivername="postgresql+psycopg")
    try:
        # A connection that the other side closed meanwhile is noticed, and replaced.
        return sql.create_engine(address, pool_pre_ping=True, pool_size=10)
    except ImportError as error:
        raise MissingDependencyError("psycopg", "server", "PostgreSQL") from error


def _open_sqlite(path: Path) -> sql.Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its owner's alone, and so are the files that SQLite puts beside it: it copies the mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ServiceError(f"{path}: the database cannot be made: {error.strerror}") from error
    address = sql.URL.create("sqlite", database=str(path))
    return sql.create_engine(address, connect_args={"timeout": _BUSY_SECONDS})


def _prepare(connection: Any, _record: object) -> None:
    # sqlite3's own transactions begin late, at the first change; with this, ours begin where we
    # say.
    connection.isolation_level = None
    cursor = connection.cursor()
    _set_write_ahead(cursor)
    # Loses nothing when the process dies.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _set_write_ahead(cursor: Any) -> None:
    """Keep a write-ahead log, which lets pages be read while a job reports."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # Another server does so now: for this alone SQLite does not wait itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)


def _begin(connection: sql.Connection) -> None:
    # A transaction that begins by reading and then writes cannot wait for its turn: SQLite makes it
    # fail. Take the turn first.
    statement = "BEGIN IMMEDIATE"
    if connection.get_execution_options().get("reading"):
        statement = "BEGIN"
    connection.exec_driver_sql(statement)


def _first_line(error: sql.exc.SQLAlchemyError) -> str:
    # The driver's own words: SQLAlchemy adds the statement and a link to them.
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    if not lines:
        return type(cause).__name__
    return lines[0]
