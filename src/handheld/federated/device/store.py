"""A device's own examples, in a file that never leaves it."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.users import Examples

_TABLES = """
create table if not exists kind (what text primary key, type text not null, shape text not null) strict;
create table if not exists examples
    (id integer primary key autoincrement, added real not null, input blob not null, target blob not null) strict;
create index if not exists by_age on examples (added);
"""
_KINDS = "biuf"  # of numbers: whether, whole, without sign, with a point


class Store:
    """Examples in an SQLite file, within limits of age, number and size; the oldest go first, and leave no trace in the file.

    All inputs have the type and shape of the first, and all targets.

    Args:
        path: of the file, made if it is not there. Only its owner may read it.
        most: examples that are kept, 1 or more.
        megabytes: of all inputs and targets together, above 0.
        days: that an example is kept, above 0.
        clock: seconds since 1970.

    Raises:
        InputError: limits that make no sense, or a file that is not such a store; it is left as it is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        most: int = 10_000,
        megabytes: float = 50.0,
        days: float = 90.0,
        clock: Callable[[], float] = time.time,
    ):
        if most < 1 or not (megabytes > 0 and days > 0):
            raise InputError(f"expected limits above 0, got {most} examples, {megabytes} MB and {days} days")
        self.path, self.most, self.bytes, self.seconds = Path(path), most, megabytes * 1e6, days * 86_400
        self._clock = clock
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with self._open() as connection:
            connection.executescript(_TABLES)

    def __len__(self) -> int:
        """Return how many examples there are, the aged ones counted until something is added or read."""
        with self._open() as connection:
            return int(connection.execute("select count(*) from examples").fetchone()[0])

    def add(self, value: NDArray[np.generic], target: NDArray[np.generic] | int) -> None:
        """Keep an example.

        Args:
            value: what the model is given.
            target: what it should say: a class, or an array.

        Raises:
            InputError: another type or shape than those before, numbers that are not finite, or more than all that may be kept.
        """
        wanted = [np.asarray(value), np.asarray(target)]
        for name, array in zip(("input", "target"), wanted, strict=True):
            if array.dtype.kind not in _KINDS or (array.dtype.kind == "f" and not np.isfinite(array).all()):
                raise InputError(f"{name}: expected an array of finite numbers, got {array.dtype}")
        if sum(array.nbytes for array in wanted) > self.bytes:
            raise InputError(f"an example of {sum(array.nbytes for array in wanted):,} bytes is more than may be kept in all")
        with self._open() as connection:
            for name, array in zip(("input", "target"), wanted, strict=True):
                self._expect(connection, name, array)
            row = (self._clock(), *(np.ascontiguousarray(array).tobytes() for array in wanted))
            connection.execute("insert into examples (added, input, target) values (?, ?, ?)", row)
            self._limit(connection)

    def examples(self) -> Examples:
        """Return all examples, the oldest first. Raises :class:`InputError` if there are none, or the file is damaged."""
        with self._open() as connection:
            self._limit(connection)
            kinds = {what: (kind, shape) for what, kind, shape in connection.execute("select what, type, shape from kind")}
            rows = connection.execute("select input, target from examples order by id").fetchall()
        if not rows:
            raise InputError(f"{self.path} holds no examples yet")
        return Examples(*(_stacked([row[i] for row in rows], *kinds[name]) for i, name in enumerate(("input", "target"))))

    def forget(self) -> None:
        """Remove everything."""
        with self._open() as connection:
            connection.execute("delete from examples")
            connection.execute("delete from kind")

    def _limit(self, connection: sqlite3.Connection) -> None:
        connection.execute("delete from examples where added < ?", (self._clock() - self.seconds,))
        size = connection.execute("select length(input) + length(target) from examples limit 1").fetchone()
        most = min(self.most, int(self.bytes // max(1, size[0]))) if size else 0  # all are of one size
        connection.execute("delete from examples where id not in (select id from examples order by id desc limit ?)", (most,))

    def _expect(self, connection: sqlite3.Connection, what: str, array: NDArray[np.generic]) -> None:
        found = (array.dtype.str, ",".join(map(str, array.shape)))
        known = connection.execute("select type, shape from kind where what = ?", (what,)).fetchone()
        if known is None:
            connection.execute("insert into kind values (?, ?, ?)", (what, *found))
        elif known != found:
            raise InputError(f"{what}: expected {known[0]} of shape ({known[1]}), as before, got {found[0]} ({found[1]})")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are kept together, or not at all."""
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            connection.execute("pragma secure_delete = on")
            with connection:
                yield connection
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} cannot be used as a store of examples: {error}") from error
        finally:
            connection.close()


def _stacked(blobs: list[bytes], kind: str, shape: str) -> NDArray[np.generic]:
    lengths = tuple(int(length) for length in shape.split(",") if length)
    return np.frombuffer(b"".join(blobs), np.dtype(kind)).reshape(len(blobs), *lengths).copy()
