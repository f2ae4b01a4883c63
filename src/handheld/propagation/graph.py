"""A weighted graph, from relations of several kinds."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handheld.errors import InputError, MissingDependencyError

_MOST_NODES = 1 << 31
_NEEDED = ("source", "target")
_COLUMNS = (*_NEEDED, "weight")


@dataclass(frozen=True, eq=False)
class Graph:
    """Who is joined with whom, and how strongly; rows of a sparse matrix.

    Attributes:
        offsets: (nodes + 1,) int64, where each node's neighbours begin.
        neighbours: (edges,) int32.
        weights: (edges,) float32, above 0.
    """

    offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.offsets) - 1

    @property
    def edges(self) -> int:
        """Number of edges, each direction counted for itself."""
        return len(self.neighbours)

    @classmethod
    def of_edges(
        cls,
        sources: ArrayLike,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        nodes: int | None = None,
        directed: bool = False,
    ) -> "Graph":
        """Build a graph from edges.

        Args:
            sources, targets: (edges,) numbers of nodes; edges of a node with itself are left out.
            weights: (edges,) of 0 or more; 1 if left out. Edges that are there twice count twice.
            nodes: how many there are; one more than the largest number if left out.
            directed: whether a target learns from its source only, and not the other way round as well.

        Raises:
            InputError: numbers or weights that no edge can have.
        """
        ends = [np.asarray(each) for each in (sources, targets)]
        if any(each.ndim != 1 or (each.dtype.kind not in "iu" and len(each)) for each in ends) or len(ends[0]) != len(ends[1]):
            shapes = ", ".join(f"{each.dtype} {list(each.shape)}" for each in ends)
            raise InputError(f"expected sources and targets (edges,) of whole numbers, got {shapes}")
        values = np.ones(len(ends[0]), np.float32) if weights is None else np.asarray(weights, np.float32)
        if values.shape != (len(ends[0]),):
            raise InputError(f"expected {len(ends[0])} weights, one for each edge, got {list(values.shape)}")
        if not (np.isfinite(values) & (values >= 0)).all():
            bad = int(np.flatnonzero(~(np.isfinite(values) & (values >= 0)))[0])
            raise InputError(f"edge {bad} has the weight {values[bad]}; expected finite numbers of 0 or more")
        highest = max((int(each.max()) for each in ends if len(each)), default=-1)
        lowest = min((int(each.min()) for each in ends if len(each)), default=0)
        count = highest + 1 if nodes is None else nodes
        if lowest < 0 or highest >= count or count >= _MOST_NODES:
            raise InputError(f"edges join nodes {lowest} to {highest}; expected 0 to {count - 1}")
        return _rows(ends[0], ends[1], values, count, directed=directed)

    @classmethod
    def of_matrix(cls, matrix: Any, *, directed: bool = False) -> "Graph":
        """Build a graph from a sparse adjacency matrix of scipy, (nodes, nodes). Raises :class:`InputError`."""
        if getattr(matrix, "ndim", 0) != 2 or matrix.shape[0] != matrix.shape[1] or not hasattr(matrix, "tocoo"):
            raise InputError(f"expected a sparse matrix (nodes, nodes), got {type(matrix).__name__}")
        found = matrix.tocoo()
        if not directed and abs(found - found.T).nnz == 0:  # holds both directions already
            directed = True
        return cls.of_edges(found.col, found.row, found.data, nodes=matrix.shape[0], directed=directed)

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], relations: Mapping[str, float] | None = None, *, directed: bool = False
    ) -> "Graph":
        """Read a Parquet file with columns ``source`` and ``target``, and ``weight`` and ``relation`` where there are.

        Args:
            path: of the file.
            relations: how much each relation counts, 0 or more; those that are not named count nothing. Without it all count
                alike.
            directed: see :meth:`of_edges`.

        Raises:
            InputError: no such file, not of that form, or without a relation that is named.
            MissingDependencyError: the extra ``train`` is not installed.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise MissingDependencyError("pyarrow", "graphs", "reading a graph from Parquet") from error
        try:
            table = parquet.read_table(Path(path))
            sources, targets, *weights = (_column(table, name) for name in _COLUMNS if name in (*_NEEDED, *table.column_names))
            if relations is not None:
                share = _counts(table.column("relation").combine_chunks().dictionary_encode(), relations)
                weights = [share * weights[0] if weights else share]
            return cls.of_edges(sources, targets, *weights, directed=directed)
        except (OSError, KeyError, pyarrow.ArrowException, InputError) as error:
            raise InputError(f"{os.fspath(path)} cannot be read as a graph: {error}") from error

    @classmethod
    def joined(cls, relations: Mapping[str, tuple["Graph", float]]) -> "Graph":
        """Add up relations over the same nodes, each with how much it counts. Raises :class:`InputError`."""
        if not relations or len({graph.nodes for graph, _ in relations.values()}) != 1:
            counts = {name: graph.nodes for name, (graph, _) in relations.items()}
            raise InputError(f"expected relations over the same nodes, got {counts or 'none'}")
        graphs = [graph for graph, _ in relations.values()]
        return cls.of_edges(
            np.concatenate([graph.neighbours for graph in graphs]),
            np.concatenate([np.repeat(np.arange(graph.nodes), np.diff(graph.offsets)) for graph in graphs]),
            np.concatenate([graph.weights * np.float32(share) for graph, share in relations.values()]),
            nodes=graphs[0].nodes,
            directed=True,
        )


def _column(table: Any, name: str) -> NDArray[Any]:
    column = table.column(name)
    if column.null_count or column.type.to_pandas_dtype() in (np.object_, np.str_):
        what = f"{column.null_count} missing values" if column.null_count else str(column.type)
        raise InputError(f"expected numbers as {name}, got {what}")
    return np.asarray(column.to_numpy())


def _counts(kinds: Any, relations: Mapping[str, float]) -> NDArray[np.float32]:
    """Return how much each edge counts, by the kind of its relation."""
    names = kinds.dictionary.to_pylist()
    unknown, wrong = set(relations) - set(names), [name for name, count in relations.items() if not 0 <= count < np.inf]
    if unknown or wrong or kinds.null_count:
        there = f"relations of {sorted(map(str, names))}, each with a finite weight of 0 or more"
        raise InputError(f"expected {there}, got {dict(relations)} and {kinds.null_count} edges without a relation")
    counts = np.array([relations.get(name, 0.0) for name in names], np.float32)
    return np.asarray(counts[kinds.indices.to_numpy()])


def _rows(sources: NDArray[Any], targets: NDArray[Any], weights: NDArray[np.float32], nodes: int, *, directed: bool) -> Graph:
    """Sort edges by the node that learns from them, and add up those that are there twice."""
    kept = (sources != targets) & (weights > 0)
    sources, targets, weights = sources[kept].astype(np.int32), targets[kept].astype(np.int32), weights[kept]
    if not directed:
        sources, targets = np.concatenate([sources, targets]), np.concatenate([targets, sources])
        weights = np.concatenate([weights, weights])
    try:
        from scipy.sparse import coo_array
    except ImportError as error:
        raise MissingDependencyError("scipy", "graphs", "building a graph") from error
    matrix = coo_array((weights, (targets, sources)), (nodes, nodes)).tocsr()  # adds up edges that are there twice
    matrix.sort_indices()
    return Graph(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
