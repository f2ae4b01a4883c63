"""Figures of rounds for other programs: Parquet, and TensorBoard."""

import importlib.util
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from handheld.errors import MissingDependencyError
from handheld.files import atomic_path

# Columns of whole numbers.
_COUNTS = (
    "round",
    "asked",
    "answered",
    "gone",
    "late",
    "rejected",
    "given_up",
    "bytes_up",
    "bytes_down",
    "participations",
)


def write_parquet(path: Path, rows: Sequence[Mapping[str, float]]) -> Path:
    """Write a row for each round, empty where a figure was not taken.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        FileError: it cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "graphs", "writing Parquet") from error
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    columns = {}
    for name in names:
        column = pa.array([row.get(name) for row in rows], pa.float64())
        # Counts are whole and far below 2^53, so that no float between loses a digit.
        if name in _COUNTS:
            column = column.cast(pa.int64())
        columns[name] = column
    with atomic_path(path) as temporary:
        parquet.write_table(pa.table(columns), temporary)
    return path


def require_tensorboard() -> None:
    """Raise :class:`MissingDependencyError`, before rounds are learned, without TensorBoard."""
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingDependencyError("tensorboard", "federated", "writing for TensorBoard")


class TensorBoard:
    """Writes figures as they come.

    Args:
        folder: of event files.
        start: the first round that is to come; what an earlier run wrote from there on is
            forgotten.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, start: int = 1):
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        # Any: TensorBoard has no types.
        self._writer: Any = SummaryWriter(str(folder), purge_step=start)

    def add(self, row: Mapping[str, float]) -> None:
        """Write a round's figures."""
        for name, value in row.items():
            if name != "round":
                self._writer.add_scalar(name.replace("test_", "test/"), value, int(row["round"]))

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
