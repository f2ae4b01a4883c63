"""A device's own examples, in a file that never leaves it."""

import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.users import Examples
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import require_file

# Table "kind" holds the type and shape of all inputs, and of all targets.
_TABLES = """
create table if not exists kind
    (what text primary key, type text not null, shape text not null) strict;
create table if not exists examples (
    id integer primary key autoincrement,
    added real not null,
    input blob not null,
    target blob not null
) strict;
create index if not exists by_age on examples (added);
"""
_LOG = logging.getLogger(__name__)
# Columns of the table, in the order in which examples are given.
_NAMES = ("input", "target")
_NUMBERS = "biuf"  # numpy's letters for yes or no, whole, without a sign, with a point
_DAY = 86_400  # seconds
_LOCK_SECONDS = 30  # for another process to end what it writes


@dataclass(frozen=True)
class _Form:
    """The type and shape that all inputs have, or all targets.

    Attributes:
        dtype: numpy's name of it, with its byte order.
        shape: lengths with commas between them.
    """

    dtype: str
    shape: str

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> "_Form":
        """Return that of an array."""
        return cls(array.dtype.str, ",".join(map(str, array.shape)))

    @property
    def lengths(self) -> tuple[int, ...]:
        """The shape as numbers."""
        # Of a single number the shape is an empty text.
        lengths = filter(None, self.shape.split(","))
        return tuple(map(int, lengths))

    def is_whole(self, blob: bytes) -> bool:
        """Whether bytes hold as many numbers, all of them finite."""
        dtype = np.dtype(self.dtype)
        if len(blob) != dtype.itemsize * math.prod(self.lengths):
            return False
        if dtype.kind != "f":
            return True
        numbers = np.frombuffer(blob, dtype)
        return bool(np.isfinite(numbers).all())

    def stacked(self, blobs: Sequence[bytes]) -> NDArray[np.generic]:
        """Return the arrays that bytes hold as one, with a first dimension more."""
        numbers = np.frombuffer(b"".join(blobs), np.dtype(self.dtype))
        # A copy, as bytes cannot be written to, and torch warns of that.
        return numbers.reshape(len(blobs), *self.lengths).copy()


_ADDED = "insert into examples (added, input, target) values (?, ?, ?)"


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
        whole_in_range("max_examples", max_examples, low=1)
        in_range("megabytes", megabytes, low=0, high=math.inf, low_open=True)
        in_range("days", days, low=0, high=math.inf, low_open=True)
        if classes is not None:
            whole_in_range("classes", classes, low=1)
        self.classes = classes
        self.path = Path(path)
        self.max_examples = max_examples
        self.bytes = megabytes * 1e6
        self.seconds = days * _DAY
        self._clock = clock
        _make_file(self.path)
        with self._open() as connection:
            # Here, and not with the first example, a file that is something else is refused.
            connection.executescript(_TABLES)

    def __len__(self) -> int:
        """Return how many examples there are, the aged ones counted until the next use."""
        with self._open() as connection:
            (count,) = connection.execute("select count(*) from examples").fetchone()
        return int(count)

    def add(self, value: NDArray[np.generic], target: NDArray[np.generic] | int) -> None:
        """Keep an example.

        Args:
            value: what the model is given.
            target: what it should say: a class, or an array.

        Raises:
            InputError: another type or shape than those before, numbers that are not finite, a
                target that is no class, or more than all that may be kept.
        """
        arrays = (np.asarray(value), np.asarray(target))
        for name, array in zip(_NAMES, arrays, strict=True):
            _require_numbers(name, array)
        self._require_classes(arrays[1])
        size = sum(array.nbytes for array in arrays)
        if size > self.bytes:
            raise InputError(f"an example of {size:,} bytes is more than may be kept in all")
        blobs = [np.ascontiguousarray(array).tobytes() for array in arrays]
        with self._open() as connection:
            for name, array in zip(_NAMES, arrays, strict=True):
                _require_form(connection, name, _Form.of(array))
            connection.execute(_ADDED, (self._clock(), *blobs))
            self._limit(connection)

    def add_all(self, examples: Examples) -> None:
        """Keep (n,) examples, all or none; see :meth:`add`."""
        for target in examples.targets:
            self._require_classes(target)
        pairs = list(zip(examples.inputs, examples.targets, strict=True))
        if not pairs:
            return
        size = sum(array.nbytes for array in pairs[0])
        if size > self.bytes:
            raise InputError(f"an example of {size:,} bytes is more than may be kept in all")
        now = self._clock()
        rows = []
        for pair in pairs:
            blobs = [np.ascontiguousarray(array).tobytes() for array in pair]
            rows.append((now, *blobs))
        with self._open() as connection:
            for name, array in zip(_NAMES, pairs[0], strict=True):
                _require_form(connection, name, _Form.of(array))
            connection.executemany(_ADDED, rows)
            self._limit(connection)

    def examples(self) -> Examples:
        """Return all examples, the oldest first.

        Those that are damaged or not finite are left out, and logged.

        Raises :class:`InputError` if there are none, or the file is damaged.
        """
        with self._open() as connection:
            self._limit(connection)
            forms = _forms(connection)
            rows = connection.execute("select input, target from examples order by id").fetchall()
        if not rows:
            raise InputError(f"{self.path} holds no examples yet")
        inputs, targets = (forms[name] for name in _NAMES)
        intact = [row for row in rows if inputs.is_whole(row[0]) and targets.is_whole(row[1])]
        if not intact:
            raise InputError(f"{self.path} holds no examples that are whole: forget() empties it")
        if len(intact) < len(rows):
            _LOG.warning(
                "%s: %d of %d examples left out: damaged, or not finite",
                self.path,
                len(rows) - len(intact),
                len(rows),
            )
        input_blobs, target_blobs = zip(*intact, strict=True)
        return Examples(inputs.stacked(input_blobs), targets.stacked(target_blobs))

    def forget(self) -> None:
        """Remove everything."""
        with self._open() as connection:
            connection.execute("delete from examples")
            # An empty store takes examples of any type and shape.
            connection.execute("delete from kind")

    def _require_classes(self, target: NDArray[np.generic]) -> None:
        if self.classes is None:
            return
        last = self.classes - 1
        expected = f"target: expected classes 0 to {last}, or -1 where nothing is asked"
        if target.dtype.kind == "f":
            raise InputError(f"{expected}, got {target.dtype}")
        is_wrong = (target < -1) | (target > last)  # type: ignore[operator]  # whole numbers here
        wrong = target[is_wrong]
        if wrong.size:
            raise InputError(f"{expected}, got {wrong.flat[0]}")

    def _limit(self, connection: sqlite3.Connection) -> None:
        """Remove what is too old, and the oldest of what is too much."""
        connection.execute("delete from examples where added < ?", (self._clock() - self.seconds,))
        # All are of one size.
        size = connection.execute(
            "select length(input) + length(target) from examples limit 1"
        ).fetchone()
        if size is None:
            return
        # Not floor division, which makes no number of infinite bytes.
        count = int(min(self.max_examples, self.bytes / max(1, size[0])))
        connection.execute(
            "delete from examples"
            " where id not in (select id from examples order by id desc limit ?)",
            (count,),
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are kept together, or not at all."""
        connection = sqlite3.connect(self.path, timeout=_LOCK_SECONDS)
        try:
            # What is removed is overwritten with zeros: nothing of it stays in the file.
            connection.execute("pragma secure_delete = on")
            with connection:
                yield connection
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} cannot be used as a store of examples: {error}"
            ) from error
        finally:
            connection.close()


def _require_numbers(name: str, array: NDArray[np.generic]) -> None:
    is_finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    if array.dtype.kind not in _NUMBERS or not is_finite:
        raise InputError(f"{name}: expected an array of finite numbers, got {array.dtype}")


def _require_form(connection: sqlite3.Connection, name: str, form: _Form) -> None:
    """Raise :class:`InputError` for a form other than that of earlier examples."""
    known = _forms(connection).get(name)
    if known is None:
        connection.execute("insert into kind values (?, ?, ?)", (name, form.dtype, form.shape))
    elif known != form:
        raise InputError(
            f"{name}: expected {known.dtype} of shape ({known.shape}), as before,"
            f" got {form.dtype} ({form.shape})"
        )


def _forms(connection: sqlite3.Connection) -> dict[str, _Form]:
    rows = connection.execute("select what, type, shape from kind")
    return {name: _Form(dtype, shape) for name, dtype, shape in rows}


def _make_file(path: Path) -> None:
    """Make the file of a store unless it is there. Raises :class:`InputError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its owner's alone from the first moment on: SQLite would make it for all to read.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        require_file(path)
    except (OSError, ValueError) as error:  # ValueError: its name holds a NUL
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be used as a store of examples: {reason}") from error
