"""A device's own examples, in a file that never leaves it."""

import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.users import Examples
from handheld.untrusted import require_file

_TABLES = """
create table if not exists kind (what text primary key, type text not null, shape text not null) strict;
create table if not exists examples
    (id integer primary key autoincrement, added real not null, input blob not null, target blob not null) strict;
create index if not exists by_age on examples (added);
"""
_LOG = logging.getLogger(__name__)
_NAMES = ("input", "target")
_KINDS = "biuf"  # of numbers: whether, whole, without sign, with a point


class ExampleStore:
    """Examples in an SQLite file, within limits of age, number and size.

    The oldest go first, and leave no trace in the file.

    All inputs have the type and shape of the first, and all targets.

    Args:
        path: of the file, made if it is not there. Only its owner may read it.
        max_examples: that are kept, 1 or more.
        megabytes: of all inputs and targets together, above 0.
        days: that an example is kept, above 0.
        classes: that targets are numbers of, 1 or more: others are refused; None: targets are not
            looked at.
        clock: seconds since 1970.

    Raises:
        InputError: limits that make no sense, or a file that is not such a store; it is left as it
            is.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_examples: int = 10_000,
        megabytes: float = 50.0,
        days: float = 90.0,
        classes: int | None = None,
        clock: Callable[[], float] = time.time,
    ):
        if max_examples < 1 or not (megabytes > 0 and days > 0):
            raise InputError(
                f"expected limits above 0, got {max_examples} examples, {megabytes} MB and {days} days"
            )
        if classes is not None and classes < 1:
            raise InputError(f"expected limits above 0, got {classes} classes")
        self.classes = classes
        self.path, self.max_examples, self.bytes, self.seconds = (
            Path(path),
            max_examples,
            megabytes * 1e6,
            days * 86_400,
        )
        self._clock = clock
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            require_file(self.path)
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be used as a store of examples: {error.strerror}"
            ) from error
        with self._open() as connection:
            connection.executescript(_TABLES)

    def __len__(self) -> int:
        """Return how many examples there are, the aged ones counted until the next use."""
        with self._open() as connection:
            return int(connection.execute("select count(*) from examples").fetchone()[0])

    def add(self, value: NDArray[np.generic], target: NDArray[np.generic] | int) -> None:
        """Keep an example.

        Args:
            value: what the model is given.
            target: what it should say: a class, or an array.

        Raises:
            InputError: another type or shape than those before, numbers that are not finite, a
                target that is no class, or more than all that may be kept.
        """
        wanted = [np.asarray(value), np.asarray(target)]
        for name, array in zip(_NAMES, wanted, strict=True):
            if array.dtype.kind not in _KINDS or (
                array.dtype.kind == "f" and not np.isfinite(array).all()
            ):
                raise InputError(f"{name}: expected an array of finite numbers, got {array.dtype}")
        self._require_classes(wanted[1])
        if sum(array.nbytes for array in wanted) > self.bytes:
            raise InputError(
                f"an example of {sum(array.nbytes for array in wanted):,} bytes is more than may be kept in all"
            )
        with self._open() as connection:
            for name, array in zip(_NAMES, wanted, strict=True):
                self._expect(connection, name, array)
            row = (self._clock(), *(np.ascontiguousarray(array).tobytes() for array in wanted))
            connection.execute("insert into examples (added, input, target) values (?, ?, ?)", row)
            self._limit(connection)

    def examples(self) -> Examples:
        """Return all examples, the oldest first.

        Those that are damaged or not finite are left out, and logged.

        Raises :class:`InputError` if there are none, or the file is damaged.
        """
        with self._open() as connection:
            self._limit(connection)
            kinds = {
                what: (kind, shape)
                for what, kind, shape in connection.execute("select what, type, shape from kind")
            }
            rows = connection.execute("select input, target from examples order by id").fetchall()
        if not rows:
            raise InputError(f"{self.path} holds no examples yet")
        whole = [
            row
            for row in rows
            if all(_is_whole(blob, *kinds[name]) for name, blob in zip(_NAMES, row, strict=True))
        ]
        if not whole:
            raise InputError(f"{self.path} holds no examples that are whole: forget() empties it")
        if len(whole) < len(rows):
            left_out = len(rows) - len(whole)
            _LOG.warning(
                "%s: %d of %d examples left out: damaged, or not finite",
                self.path,
                left_out,
                len(rows),
            )
        return Examples(
            *(
                _stacked(blobs, *kinds[name])
                for name, blobs in zip(_NAMES, zip(*whole, strict=True), strict=True)
            )
        )

    def forget(self) -> None:
        """Remove everything."""
        with self._open() as connection:
            connection.execute("delete from examples")
            connection.execute("delete from kind")

    def _require_classes(self, target: NDArray[np.generic]) -> None:
        if self.classes is None:
            return
        wrong = target[(target < -1) | (target >= self.classes)]  # type: ignore[operator]
        if target.dtype.kind == "f" or wrong.size:
            got = target.dtype if target.dtype.kind == "f" else wrong.flat[0]
            raise InputError(
                f"target: expected classes 0 to {self.classes - 1}, or -1 where nothing is asked, got {got}"
            )

    def _limit(self, connection: sqlite3.Connection) -> None:
        connection.execute("delete from examples where added < ?", (self._clock() - self.seconds,))
        size = connection.execute(
            "select length(input) + length(target) from examples limit 1"
        ).fetchone()
        most = (
            min(self.max_examples, int(self.bytes // max(1, size[0]))) if size else 0
        )  # all are of one size
        connection.execute(
            "delete from examples where id not in (select id from examples order by id desc limit ?)",
            (most,),
        )

    def _expect(
        self, connection: sqlite3.Connection, what: str, array: NDArray[np.generic]
    ) -> None:
        found = (array.dtype.str, ",".join(map(str, array.shape)))
        known = connection.execute(
            "select type, shape from kind where what = ?", (what,)
        ).fetchone()
        if known is None:
            connection.execute("insert into kind values (?, ?, ?)", (what, *found))
        elif known != found:
            raise InputError(
                f"{what}: expected {known[0]} of shape ({known[1]}), as before, got {found[0]} ({found[1]})"
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are kept together, or not at all."""
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            connection.execute("pragma secure_delete = on")
            with connection:
                yield connection
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} cannot be used as a store of examples: {error}"
            ) from error
        finally:
            connection.close()


def _stacked(blobs: Sequence[bytes], kind: str, shape: str) -> NDArray[np.generic]:
    return (
        np.frombuffer(b"".join(blobs), np.dtype(kind)).reshape(len(blobs), *_lengths(shape)).copy()
    )


def _is_whole(blob: bytes, kind: str, shape: str) -> bool:
    dtype = np.dtype(kind)
    if len(blob) != dtype.itemsize * math.prod(_lengths(shape)):
        return False
    return dtype.kind != "f" or bool(np.isfinite(np.frombuffer(blob, dtype)).all())


def _lengths(shape: str) -> tuple[int, ...]:
    return tuple(int(length) for length in shape.split(",") if length)
