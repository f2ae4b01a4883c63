"""The database of a federation, as one process uses it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handheld.errors import MissingDependencyError
from handheld.federated.server._tables import FEDERATION_SCHEMA
from handheld.service.database import Database

try:
    import sqlalchemy as sql
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a federation's server") from error


class FederationDatabase(Database):
    """SQLite or PostgreSQL, with the tables of a federation.

    Threads of a process that write into SQLite wait for one another here: its own way to wait is to
    try again after pauses of up to 0.1 s, which is longer than a phase of a round takes.

    Args:
        url: path of an SQLite file, or a ``postgresql://`` URL.

    Raises:
        ServiceError: it cannot be opened.
    """

    def __init__(self, url: str | Path) -> None:
        self._turn = threading.RLock()
        super().__init__(url, FEDERATION_SCHEMA)

    @contextmanager
    def write(self) -> Iterator[sql.Connection]:
        """Give a connection to write with."""
        if not self.is_sqlite:
            with super().write() as connection:
                yield connection
            return
        with self._turn, super().write() as connection:
            yield connection
