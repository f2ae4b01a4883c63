"""A weighted graph, from relations of several kinds."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handheld.errors import InputError, MissingDependencyError
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import require_file

# Numbers of nodes are int32.
_MOST_NODES = (1 << 31) - 1
# Below 1e-38 a float32 is 0, and relations are weighted before; the sum of 1e8 of the largest is
# still a float32.
_LEAST_WEIGHT = 1e-35
_MOST_WEIGHT = 1e30
# Of the largest weight: below, two halves of a matrix are the same, computed in another order.
_ROUNDING = 1e-6
# Numbers of nodes far above the number of edges are names that something else gave. An array for
# all numbers up to them would take the memory of nodes that nobody meant.
_FEW_NODES = 1 << 22
_NODES_AN_EDGE = 32


@dataclass(frozen=True, eq=False)
class WeightedGraph:
    """Who is joined with whom, and how strongly; rows of a sparse matrix.

    Attributes:
        offsets: (nodes + 1,) int64, where each node's neighbours begin.
        neighbours: (edges,) int32.
        weights: (edges,) float32, above 0.
        ids: (nodes,) what nodes are called where they were read, rising; None if they are numbered.
    """

    offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    weights: NDArray[np.float32]
    ids: NDArray[Any] | None = None

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.offsets) - 1

    @property
    def edges(self) -> int:
        """Number of edges, each direction counted for itself."""
        return len(self.neighbours)

    def reversed(self) -> "WeightedGraph":
        """Return the graph whose edges lead the other way; the same where weights are symmetric."""
        csc_array = _scipy_sparse().csc_array
        # rows that are read as columns are the transpose
        columns = (self.weights, self.neighbours, self.offsets)
        rows = csc_array(columns, (self.nodes, self.nodes)).tocsr()
        offsets = rows.indptr.astype(np.int64)
        return WeightedGraph(offsets, rows.indices.astype(np.int32), rows.data, self.ids)

    @classmethod
    def of_edges(
        cls,
        sources: ArrayLike,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        nodes: int | None = None,
        directed: bool = False,
    ) -> "WeightedGraph":
        """Build a graph from edges.

        Args:
            sources, targets: (edges,) numbers of nodes; edges of a node with itself are left out.
            weights: (edges,) 0, or 1e-35 to 1e30; 1 if left out. Edges that are there twice count
                twice.
            nodes: how many there are; one more than the largest number if left out, which then may
                not be far above the number of edges.
            directed: whether a target learns from its source only, and not the other way round as
                well.

        Raises:
            InputError: numbers or weights that no edge can have.
        """
        source, target = _ends(sources, targets)
        values = _weights(weights, len(source))
        count = _count(source, target, nodes)
        return _rows(source, target, values, count, directed=directed)

    @classmethod
    def of_matrix(cls, matrix: Any, *, directed: bool = False) -> "WeightedGraph":
        """Build a graph from a sparse adjacency matrix of scipy, (nodes, nodes).

        Args:
            matrix: its row i holds from whom node i learns.
            directed: whether to take it as it is; otherwise a matrix that is not symmetric is added
                to its transpose.

        Raises:
            InputError: no sparse square matrix, or weights that no edge can have.
        """
        shape: tuple[int, ...] = getattr(matrix, "shape", ())
        if len(shape) != 2 or shape[0] != shape[1] or not hasattr(matrix, "tocoo"):
            got = f"{type(matrix).__name__} {list(shape)}"
            raise InputError(f"expected a sparse matrix (nodes, nodes), got {got}")
        entries = matrix.tocoo()
        return cls.of_edges(
            entries.col,
            entries.row,
            entries.data,
            nodes=shape[0],
            # a symmetric matrix holds both directions: its transpose would double each weight
            directed=directed or _is_symmetric(entries),
        )

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        relations: Mapping[str, float] | None = None,
        *,
        directed: bool = False,
    ) -> "WeightedGraph":
        """Read a Parquet file of edges: columns ``source`` and ``target``, maybe more.

        ``weight`` and ``relation`` are read where there are. Nodes are numbers from 0, texts, or
        numbers of any size: texts, and numbers far above the number of edges, become ``ids``.

        Args:
            path: of the file.
            relations: how much each relation counts, 0 or more; those that are not named count
                nothing. Without it all count alike.
            directed: see :meth:`of_edges`.

        Raises:
            InputError: no such file, not of that form, or without a relation that is named.
            MissingDependencyError: the extra ``train`` is not installed.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise MissingDependencyError(
                "pyarrow", "graphs", "reading a graph from Parquet"
            ) from error
        # one error for whatever is wrong with the file, so that its name is said
        try:
            require_file(path)
            table = parquet.read_table(Path(path))
            if not table.num_rows:
                raise InputError("it holds no edge: nothing would spread")
            ends = _nodes(table.column("source"), table.column("target"))
            graph = cls.of_edges(
                ends.sources,
                ends.targets,
                _weights_of(table, relations),
                nodes=ends.nodes,
                directed=directed,
            )
        except (OSError, KeyError, pyarrow.ArrowException, InputError) as error:
            raise InputError(f"{os.fspath(path)} cannot be read as a graph: {error}") from error
        return replace(graph, ids=ends.ids)

    @classmethod
    def joined(cls, relations: Mapping[str, tuple["WeightedGraph", float]]) -> "WeightedGraph":
        """Add up relations over the same nodes.

        Args:
            relations: graphs by name, each with how much it counts, 0 or more.

        Raises:
            InputError: relations over other nodes, or numbers outside of these.
        """
        by_name = {name: graph for name, (graph, _) in relations.items()}
        _check_nodes(by_name)
        for name, (_, share) in relations.items():
            in_range(f"the weight of {name!r}", share, low=0)
        graphs = list(by_name.values())
        weights = [graph.weights * share for graph, share in relations.values()]
        first = graphs[0]
        joint = cls.of_edges(
            np.concatenate([graph.neighbours for graph in graphs]),
            np.concatenate([graph.learners() for graph in graphs]),
            np.concatenate(weights),
            nodes=first.nodes,
            # both directions are there already
            directed=True,
        )
        return replace(joint, ids=first.ids)

    def learners(self) -> NDArray[np.int64]:
        """Return (edges,) the node that each edge leads to."""
        return np.repeat(np.arange(self.nodes), np.diff(self.offsets))


class _Ends(NamedTuple):
    """Both ends of the edges of a file, as numbers.

    Attributes:
        sources, targets: (edges,) numbers of nodes.
        ids: (nodes,) what the numbers stand for, rising; None if that is themselves.
    """

    sources: NDArray[Any]
    targets: NDArray[Any]
    ids: NDArray[Any] | None

    @property
    def nodes(self) -> int | None:
        """How many nodes have ids; None where the largest number says how many there are."""
        if self.ids is None:
            return None
        return len(self.ids)


def _is_symmetric(entries: Any) -> bool:
    """Return whether a sparse square matrix is its transpose, but for rounding."""
    apart = abs(entries - entries.T)
    # Affinities that were computed row by row differ in their last bits.
    return bool(apart.nnz == 0 or apart.max() <= _ROUNDING * abs(entries).max())


def _check_nodes(graphs: Mapping[str, WeightedGraph]) -> None:
    """Raise :class:`InputError` for relations that are not over the same nodes."""
    counts = {name: graph.nodes for name, graph in graphs.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"expected relations over the same nodes, got {counts or 'none'}")
    first, *others = [graph.ids for graph in graphs.values()]
    if not all(_same(first, ids) for ids in others):
        raise InputError(f"expected relations over the same nodes; those of {list(counts)} differ")


def _same(ids: NDArray[Any] | None, others: NDArray[Any] | None) -> bool:
    if ids is None or others is None:
        return ids is others
    return np.array_equal(ids, others)


def _ends(sources: ArrayLike, targets: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    source = np.asarray(sources)
    target = np.asarray(targets)
    for ends in (source, target):
        whole_numbers = ends.dtype.kind in "iu" or not len(ends)
        if ends.ndim != 1 or not whole_numbers or len(source) != len(target):
            shapes = f"{source.dtype} {list(source.shape)}, {target.dtype} {list(target.shape)}"
            raise InputError(
                f"expected sources and targets (edges,) of whole numbers, got {shapes}"
            )
    return source, target


def _weights(weights: ArrayLike | None, edges: int) -> NDArray[np.float32]:
    if weights is None:
        return np.ones(edges, np.float32)
    values = np.asarray(weights)
    if values.shape != (edges,):
        shape = list(values.shape)
        raise InputError(f"expected {edges} weights, one for each edge, got {shape}")
    # an empty list is an array of float64
    if edges and values.dtype.kind not in "iuf":
        raise InputError(f"expected weights that are numbers, got {values.dtype}")
    within = (values >= _LEAST_WEIGHT) & (values <= _MOST_WEIGHT)
    wrong = np.flatnonzero(~within & (values != 0))
    if len(wrong):
        expected = f"0, or {_LEAST_WEIGHT:g} to {_MOST_WEIGHT:g}"
        raise InputError(
            f"edge {wrong[0]} has the weight {values[wrong[0]]};"
            f" expected finite numbers: {expected}"
        )
    return values.astype(np.float32)


def _count(source: NDArray[Any], target: NDArray[Any], nodes: int | None) -> int:
    """Return how many nodes there are. Raises :class:`InputError` for ends that are none."""
    if nodes is not None:
        whole_in_range("nodes", nodes, low=0, high=_MOST_NODES)
        _check_ends(source, target, last=nodes - 1)
        return nodes
    highest = _highest(source, target)
    count = highest + 1
    # ends are checked before the gap below: a negative number is a slip, and no name
    _check_ends(source, target, last=min(count, _MOST_NODES) - 1)
    if count > _usual_nodes(len(source)):
        raise InputError(
            f"an edge joins node {highest}, but there are {len(source)} edges only: number the"
            " nodes from 0 without large gaps (np.unique with return_inverse),"
            f" or give nodes={count}"
        )
    return count


def _highest(source: NDArray[Any], target: NDArray[Any]) -> int:
    """Return the largest number that an edge joins; -1 without edges."""
    if not len(source):
        return -1
    return max(int(source.max()), int(target.max()))


def _lowest(source: NDArray[Any], target: NDArray[Any]) -> int:
    """Return the smallest number that an edge joins; 0 without edges."""
    if not len(source):
        return 0
    return min(int(source.min()), int(target.min()))


def _check_ends(source: NDArray[Any], target: NDArray[Any], last: int) -> None:
    """Raise :class:`InputError` for an edge that joins a node outside of 0 to ``last``."""
    lowest = _lowest(source, target)
    highest = _highest(source, target)
    if lowest >= 0 and highest <= last:
        return
    wrong = highest
    if lowest < 0:
        wrong = lowest
    edge = int(np.flatnonzero((source == wrong) | (target == wrong))[0])
    raise InputError(f"edge {edge} joins node {wrong}; expected nodes 0 to {last}")


def _usual_nodes(edges: int) -> int:
    """Return how many nodes there are at most where their numbers are no names."""
    return max(_FEW_NODES, _NODES_AN_EDGE * edges)


def _nodes(source: Any, target: Any) -> _Ends:
    """Number the nodes that two columns hold."""
    is_text = _is_text(source.type)
    if is_text != _is_text(target.type):
        raise InputError(
            f"expected source and target of one type, got {source.type} and {target.type}"
        )
    one = _values(source, "source")
    other = _values(target, "target")
    if is_text:
        return _numbered(one, other)
    if _are_numbers(source, target, one, other):
        return _Ends(one, other, ids=None)
    # what numpy makes of int64 and uint64 together is float64, which rounds
    if np.promote_types(one.dtype, other.dtype).kind == "f":
        return _numbered(one.astype(np.uint64), other.astype(np.uint64))
    return _numbered(one, other)


def _numbered(sources: NDArray[Any], targets: NDArray[Any]) -> _Ends:
    """Number nodes by what they are called, in rising order."""
    count = len(sources)
    ids, numbers = np.unique(np.concatenate([sources, targets]), return_inverse=True)
    return _Ends(numbers[:count], numbers[count:], ids)


def _are_numbers(source: Any, target: Any, one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether nodes are numbered from 0, or wrong in a way that is named later.

    Args:
        source, target: columns.
        one, other: their values.
    """
    from pyarrow import types

    are_whole = types.is_integer(source.type) and types.is_integer(target.type)
    if not are_whole:
        return True
    # a negative number is a slip: as an id it would hide it
    return _highest(one, other) < _usual_nodes(len(one)) or _lowest(one, other) < 0


def _is_text(data_type: Any) -> bool:
    from pyarrow import types

    # as pandas writes its categories
    if types.is_dictionary(data_type):
        data_type = data_type.value_type
    is_short = types.is_string(data_type) or types.is_string_view(data_type)
    return bool(is_short or types.is_large_string(data_type))


def _values(column: Any, name: str) -> NDArray[Any]:
    """Return a column of nodes as an array. Raises :class:`InputError`."""
    if column.null_count:
        raise InputError(f"expected a node as {name}, got {column.null_count} missing values")
    if _is_text(column.type):
        return np.asarray(column.to_pylist(), np.dtypes.StringDType())
    if _is_object(column):
        raise InputError(f"expected numbers or texts as {name}, got {column.type}")
    return np.asarray(column.to_numpy())


def _column(table: Any, name: str) -> NDArray[Any]:
    """Return a column of numbers as an array. Raises :class:`InputError`."""
    column = table.column(name)
    # numpy would make a nan of what is missing, and floats of whole numbers
    if column.null_count:
        raise InputError(f"expected numbers as {name}, got {column.null_count} missing values")
    if _is_object(column):
        raise InputError(f"expected numbers as {name}, got {column.type}")
    return np.asarray(column.to_numpy())


def _is_object(column: Any) -> bool:
    """Return whether numpy has no type of numbers for a column."""
    return column.type.to_pandas_dtype() in (np.object_, np.str_)


def _weights_of(table: Any, relations: Mapping[str, float] | None) -> NDArray[Any] | None:
    """Return how much each edge of a table counts; None where all count alike."""
    weights = None
    if "weight" in table.column_names:
        weights = _column(table, "weight")
    if relations is None:
        return weights
    column = table.column("relation").combine_chunks().dictionary_encode()
    return _counts(column, relations, weights)


def _counts(
    column: Any, relations: Mapping[str, float], weights: NDArray[Any] | None
) -> NDArray[Any]:
    """Return how much each edge counts: its weight times that of its relation.

    Args:
        column: relations of the edges, encoded as a dictionary.
        relations: how much each counts.
        weights: (edges,) of the edges; None where all weigh 1.

    Raises:
        InputError: relations that are not there, or numbers outside of what an edge can have.
    """
    names = column.dictionary.to_pylist()
    unknown = set(relations) - set(names)
    if unknown or column.null_count:
        got = f"{dict(relations)} and {column.null_count} edges without a relation"
        raise InputError(f"expected relations of {sorted(map(str, names))}, got {got}")
    for name, count in relations.items():
        in_range(f"relations[{name!r}]", count, low=0)
    shares = np.array([relations.get(name, 0.0) for name in names], np.float64)
    counts = shares[column.indices.to_numpy()]
    if weights is None:
        return np.asarray(counts)
    # checked before: a wrong weight is named as it stands in the file
    _weights(weights, len(counts))
    return np.asarray(counts * weights)


def _rows(
    sources: NDArray[Any],
    targets: NDArray[Any],
    weights: NDArray[np.float32],
    nodes: int,
    *,
    directed: bool,
) -> WeightedGraph:
    """Sort edges by the node that learns from them, and add up those that are there twice."""
    counted = (sources != targets) & (weights > 0)
    source = sources[counted].astype(np.int32)
    target = targets[counted].astype(np.int32)
    learners = target
    neighbours = source
    weight = weights[counted]
    if not directed:
        learners = np.concatenate([target, source])
        neighbours = np.concatenate([source, target])
        weight = np.concatenate([weight, weight])
    coo_array = _scipy_sparse().coo_array
    entries = coo_array((weight, (learners, neighbours)), (nodes, nodes))
    # tocsr() adds up what is there twice; sorted, so that sums are taken in one order
    rows = entries.tocsr()
    rows.sort_indices()
    offsets = rows.indptr.astype(np.int64)
    return WeightedGraph(offsets, rows.indices.astype(np.int32), rows.data)


def _scipy_sparse() -> Any:
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingDependencyError("scipy", "graphs", "building a graph") from error
    return sparse
