"""Seeds and labels as files."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handheld.errors import InputError, MissingDependencyError
from handheld.media import atomic_path
from handheld.propagation.labels import Labels, Seeds


def read_seeds(path: str | os.PathLike[str], nodes: int) -> tuple[Seeds, tuple[str, ...]]:
    """Read a text file whose lines hold a node's number, a tab and the name of its label.

    Args:
        path: of the file, UTF-8; a node with several labels has several lines, and empty lines are skipped.
        nodes: how many there are.

    Returns:
        The seeds, and the names of labels in the order of the alphabet.

    Raises:
        InputError: no such file, or a line that is not of that form; names the line.
    """
    where = os.fspath(path)
    try:
        lines = Path(path).read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where} cannot be read as seeds: {error}") from error
    found: dict[tuple[int, str], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        seed = _seed(line, nodes)
        if seed is None:
            expected = f"expected a node of 0 to {nodes - 1}, a tab and a label"
            raise InputError(f"{where}, line {number}: {expected}, got {line.strip()[:80]!r}")
        if found.setdefault(seed, number) != number:
            raise InputError(f"{where}, line {number}: node {seed[0]} has the label {seed[1]!r} in line {found[seed]} already")
    if not found:
        raise InputError(f"{where}: expected one seed or more, got an empty file")
    names = tuple(sorted({label for _, label in found}))
    numbers = {name: place for place, name in enumerate(names)}
    return Seeds.of([node for node, _ in found], [numbers[label] for _, label in found]), names


def _seed(line: str, nodes: int) -> tuple[int, str] | None:
    node, *label = (part.strip() for part in line.split("\t"))
    whole = node.isascii() and node.isdecimal() and len(node) <= len(str(nodes))
    return (int(node), label[0]) if whole and int(node) < nodes and len(label) == 1 and label[0] else None


def write_labels(path: str | os.PathLike[str], labels: Labels, names: Sequence[str]) -> None:
    """Write a Parquet file with one row for each node: ``node``, and the lists ``labels`` and ``shares``, largest share first.

    Args:
        path: of the file, which is either the old one or the new one, whole.
        labels: of each node; a node that nothing reached has empty lists.
        names: of the labels.

    Raises:
        MediaError: the file cannot be written.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "graphs", "writing labels to Parquet") from error
    stored = labels.names >= 0
    offsets = np.concatenate([[0], stored.sum(axis=1).cumsum()]).astype(np.int64)
    texts = pyarrow.DictionaryArray.from_arrays(labels.names[stored], list(names))
    lists = pyarrow.LargeListArray
    table = pyarrow.table(
        {
            "node": np.arange(len(stored)),
            "labels": lists.from_arrays(offsets, texts.dictionary_decode()),
            "shares": lists.from_arrays(offsets, labels.shares[stored]),
        }
    )
    with atomic_path(path) as temporary:
        parquet.write_table(table, temporary)
