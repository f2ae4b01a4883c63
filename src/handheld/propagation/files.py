"""Seeds and labels as files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, MissingDependencyError
from handheld.files import atomic_path
from handheld.propagation.labels import Labels, SeedLabels
from handheld.untrusted import require_file

Find = Callable[[str], int | None]
"""Gives the number of a node that a line names; None if there is no such node."""

# Digits of the largest number of 64 bits.
_MOST_DIGITS = 20
# Characters of a line that an error shows.
_SHOWN = 80


def read_seeds(
    path: str | os.PathLike[str], nodes: int, ids: NDArray[Any] | None = None
) -> tuple[SeedLabels, tuple[str, ...]]:
    """Read a text file whose lines hold a node, a tab and the name of its label.

    Args:
        path: of the file, UTF-8; a node with several labels has several lines, and empty lines are
            skipped.
        nodes: how many there are.
        ids: (nodes,) what nodes are called, as ``WeightedGraph.ids``; without it they are numbers
            from 0.

    Returns:
        The seeds, and the names of labels in the order of the alphabet.

    Raises:
        InputError: no such file, or a line that is not of that form; names the line.
    """
    if not nodes:
        raise InputError(f"{os.fspath(path)}: the graph that these seeds are of has no nodes")
    if ids is None:
        lines = _SeedLines(path, _finds_number(nodes), f"a node of 0 to {nodes - 1}")
    else:
        lines = _SeedLines(path, _finds_id(ids), "a node of the graph")
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            lines.add(number, line)
    return lines.seeds()


class _SeedLines:
    """Seeds that lines name, each once.

    Args:
        path: of the file, for errors.
        find: gives the number of a node.
        expected: what a line names, for errors.
    """

    def __init__(self, path: str | os.PathLike[str], find: Find, expected: str):
        self._path = os.fspath(path)
        self._find = find
        self._expected = expected
        # where each seed stands, so that one that is there twice can be named
        self._line_of: dict[tuple[int, str], int] = {}

    def add(self, number: int, line: str) -> None:
        """Read a line. Raises :class:`InputError` for one of another form, or a seed twice."""
        seed = _seed(line, self._find)
        if seed is None:
            raise InputError(
                f"{self._path}, line {number}: expected {self._expected}, a tab and a label,"
                f" got {line.strip()[:_SHOWN]!r}"
            )
        first = self._line_of.setdefault(seed, number)
        if first != number:
            node = line.split("\t")[0].strip()
            raise InputError(
                f"{self._path}, line {number}: node {node} has the label {seed[1]!r}"
                f" in line {first} already"
            )

    def seeds(self) -> tuple[SeedLabels, tuple[str, ...]]:
        """Return the seeds, and the names of labels. Raises :class:`InputError` without any."""
        if not self._line_of:
            raise InputError(f"{self._path}: expected one seed or more, got an empty file")
        nodes, labels = zip(*self._line_of, strict=True)
        # in the order of the alphabet, so that the same labels have the same numbers in any file
        names = tuple(sorted(set(labels)))
        numbers = {name: number for number, name in enumerate(names)}
        return SeedLabels.of(nodes, [numbers[label] for label in labels]), names


def _lines(path: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a file. Raises :class:`InputError`."""
    try:
        require_file(path)
        # a mark at the begin of a file does not belong to its first node
        return Path(path).read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as seeds: {error}") from error


def _finds_number(nodes: int) -> Find:
    """Return what finds nodes that are numbered from 0."""
    most_digits = len(str(nodes))

    def find(text: str) -> int | None:
        # no more digits than the last node has: int() of a million digits takes minutes
        if not _is_number(text) or len(text) > most_digits:
            return None
        number = int(text)
        if number >= nodes:
            return None
        return number

    return find


def _finds_id(ids: NDArray[Any]) -> Find:
    """Return what finds nodes by what they are called."""
    numbers = {name: number for number, name in enumerate(ids.tolist())}
    are_numbers = ids.dtype.kind in "iu"

    def find(text: str) -> int | None:
        if not are_numbers:
            return numbers.get(text)
        # int() would take signs, underscores and digits of other scripts, and raise for the rest
        if not _is_number(text) or len(text) > _MOST_DIGITS:
            return None
        return numbers.get(int(text))

    return find


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _seed(line: str, find: Find) -> tuple[int, str] | None:
    """Return the node and the label of a line; None for a line of another form."""
    texts = [text.strip() for text in line.split("\t")]
    if len(texts) != 2 or not texts[1]:
        return None
    node = find(texts[0])
    if node is None:
        return None
    return node, texts[1]


def write_labels(
    path: str | os.PathLike[str],
    labels: Labels,
    names: Sequence[str],
    ids: NDArray[Any] | None = None,
) -> None:
    """Write a Parquet file with one row a node: ``node``, and the lists ``labels`` and ``shares``.

    Args:
        path: of the file, which is either the old one or the new one, whole.
        labels: of each node, the largest share first; a node that nothing reached has empty lists.
        names: of the labels.
        ids: (nodes,) what nodes are called, as ``WeightedGraph.ids``; without it they are numbers
            from 0.

    Raises:
        FileError: the file cannot be written.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "graphs", "writing labels to Parquet") from error
    table = pyarrow.table(_columns(labels, names, ids))
    with atomic_path(path) as temporary:
        parquet.write_table(table, temporary)


def _columns(labels: Labels, names: Sequence[str], ids: NDArray[Any] | None) -> dict[str, Any]:
    """Return the columns of a table of labels."""
    import pyarrow

    stored = labels.names >= 0
    # lists of all nodes are one array, and where each begins
    offsets = np.concatenate([[0], stored.sum(axis=1).cumsum()]).astype(np.int64)
    texts = pyarrow.DictionaryArray.from_arrays(labels.names[stored], list(names))
    # large: offsets of 64 bits, as all nodes together may store more than 2^31 labels
    lists = pyarrow.LargeListArray
    return {
        "node": _node_column(ids, len(stored)),
        "labels": lists.from_arrays(offsets, texts.dictionary_decode()),
        "shares": lists.from_arrays(offsets, labels.shares[stored]),
    }


def _node_column(ids: NDArray[Any] | None, nodes: int) -> Any:
    """Return what nodes are called as a column of its type; numbers from 0 without ids."""
    import pyarrow

    if ids is None:
        return np.arange(nodes)
    if ids.dtype.kind in "iu":
        # as an array: lists of numbers above 2^63 have no type in pyarrow
        return pyarrow.array(ids)
    return pyarrow.array(ids.tolist())
