import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from scipy.sparse import csr_array

from handheld.errors import InputError
from handheld.propagation import WeightedGraph


def rows(graph: WeightedGraph) -> dict[int, dict[int, float]]:
    return {
        node: dict(zip(graph.neighbours[a:b].tolist(), graph.weights[a:b].tolist(), strict=True))
        for node, (a, b) in enumerate(zip(graph.offsets[:-1], graph.offsets[1:], strict=True))
    }


def test_edges_join_both_ends_and_add_up():
    graph = WeightedGraph.of_edges([0, 1, 0, 2], [1, 2, 1, 2], [1.0, 2.0, 0.5, 9.0], nodes=4)
    assert rows(graph) == {0: {1: 1.5}, 1: {0: 1.5, 2: 2.0}, 2: {1: 2.0}, 3: {}}
    assert (graph.nodes, graph.edges) == (4, 4)


def test_directed_edges_lead_from_source_to_target():
    assert rows(WeightedGraph.of_edges([0, 1], [1, 2], directed=True)) == {
        0: {},
        1: {0: 1.0},
        2: {1: 1.0},
    }


def test_edges_that_weigh_nothing_are_none():
    assert rows(WeightedGraph.of_edges([0, 1], [1, 2], [0.0, 1.0])) == {
        0: {},
        1: {2: 1.0},
        2: {1: 1.0},
    }
    assert WeightedGraph.of_edges([], []).nodes == 0


def test_a_matrix_that_holds_both_directions_counts_once():
    matrix = csr_array(np.array([[0, 2.0, 0], [2.0, 0, 1.0], [0, 1.0, 0]]))
    expected = {0: {1: 2.0}, 1: {0: 2.0, 2: 1.0}, 2: {1: 1.0}}
    assert rows(WeightedGraph.of_matrix(matrix)) == expected
    half = csr_array(np.array([[0, 2.0, 0], [0, 0, 1.0], [0, 0, 0]]))
    assert rows(WeightedGraph.of_matrix(half)) == expected


def test_relations_count_as_much_as_they_are_told_to():
    friends, likes = (
        WeightedGraph.of_edges([0], [1], nodes=3),
        WeightedGraph.of_edges([0, 1], [1, 2], nodes=3),
    )
    assert rows(WeightedGraph.joined({"friends": (friends, 2.0), "likes": (likes, 0.5)})) == {
        0: {1: 2.5},
        1: {0: 2.5, 2: 0.5},
        2: {1: 0.5},
    }


def test_parquet(tmp_path: Path):
    columns = {
        "source": [0, 1, 2],
        "target": [1, 2, 0],
        "weight": [1.0, 2.0, 3.0],
        "relation": ["a", "b", "a"],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "g.parquet")
    assert rows(WeightedGraph.read(tmp_path / "g.parquet"))[0] == {1: 1.0, 2: 3.0}
    assert rows(WeightedGraph.read(tmp_path / "g.parquet", {"b": 2.0})) == {
        0: {},
        1: {2: 4.0},
        2: {1: 4.0},
    }
    parquet.write_table(pyarrow.table({"source": [0]}), tmp_path / "half.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    for name in ("half", "text", "none"):
        with pytest.raises(InputError, match=f"{name}.parquet cannot be read as a graph"):
            WeightedGraph.read(tmp_path / f"{name}.parquet")


@pytest.mark.parametrize(
    ("columns", "relations", "message"),
    [
        (
            {"source": [0, None], "target": [1, 2]},
            None,
            "expected a node as source, got 1 missing values",
        ),
        (
            {"source": ["a"], "target": [1]},
            None,
            "expected source and target of one type, got string and int64",
        ),
        (
            {"source": ["a", "b"], "target": ["b", None]},
            None,
            "expected a node as target, got 1 missing values",
        ),
        ({"source": [[1]], "target": [[2]]}, None, "expected numbers or texts as source"),
        ({"source": [-5, 1_500_000_000], "target": [1, 2]}, None, "edge 0 joins node -5"),
        (
            {"source": [0, 1], "target": [1, 2], "weight": [1.0, 3e38]},
            None,
            r"edge 1 has the weight 3e\+38",
        ),
        ({"source": [0.5], "target": [1.0]}, None, "whole numbers"),
        (
            {"source": [0, 1], "target": [1, 2], "weight": [1.0, -2.0]},
            None,
            "edge 1 has the weight -2",
        ),
        ({"source": [0], "target": [1], "weight": ["much"]}, None, "expected numbers as weight"),
        ({"source": [0], "target": [1]}, {"a": 1.0}, "relation"),
        (
            {"source": [0], "target": [1], "relation": ["a"]},
            {"b": 1.0},
            r"relations of \['a'\].*got {'b': 1.0}",
        ),
        (
            {"source": [0], "target": [1], "relation": ["a"]},
            {"a": -1.0},
            r"relations\['a'\]: expected a number in \[0, inf\), got -1.0",
        ),
        (
            {"source": [0, 1], "target": [1, 2], "relation": ["a", None]},
            {"a": 1.0},
            "1 edges without a relation",
        ),
    ],
)
def test_what_no_file_of_a_graph_can_hold(
    tmp_path: Path, columns: dict, relations: dict | None, message: str
):
    parquet.write_table(pyarrow.table(columns), tmp_path / "g.parquet")
    with pytest.raises(InputError, match=f"g.parquet cannot be read as a graph: .*{message}"):
        WeightedGraph.read(tmp_path / "g.parquet", relations)


def test_relations_may_be_stored_as_numbers_of_names(tmp_path: Path):
    kinds = pyarrow.array(["a", "b", "a"]).dictionary_encode()
    table = pyarrow.table({"source": [0, 1, 2], "target": [1, 2, 0], "relation": kinds})
    parquet.write_table(table, tmp_path / "g.parquet", row_group_size=1)
    assert rows(WeightedGraph.read(tmp_path / "g.parquet", {"a": 0.5})) == {
        0: {1: 0.5, 2: 0.5},
        1: {0: 0.5},
        2: {0: 0.5},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [1]), "expected sources and targets"),
        (([0.5], [1]), "whole numbers"),
        (([0], [-1]), "edge 0 joins node -1; expected nodes 0 to 0"),
        (([0, 2], [1, 1 << 40]), "edge 1 joins node 1099511627776; expected nodes 0 to 2147483646"),
        (
            ([0, 1], [1, 1_500_000_000]),
            "joins node 1500000000, but there are 2 edges only: number the nodes",
        ),
        (([0], [1], ["a"]), "expected weights that are numbers"),
        (
            ([0, 1], [1, 2], [1.0, 3e38]),
            r"edge 1 has the weight 3e\+38; expected finite numbers: 0, or 1e-35 to 1e\+30",
        ),
        (([0], [1], [1e39]), r"edge 0 has the weight 1e\+39"),
        (([0], [1], [float("inf")]), "edge 0 has the weight inf"),
        (([0], [1], [1e-40]), "edge 0 has the weight 1e-40"),
        (([0], [1], [1.0, 2.0]), "expected 1 weights"),
        (([0, 1], [1, 2], [1.0, -2.0]), "edge 1 has the weight -2.0"),
        (([0], [1], [float("nan")]), "edge 0 has the weight nan"),
    ],
)
def test_what_no_edge_can_be(arguments: tuple[list[float], ...], message: str):
    with pytest.raises(InputError, match=message):
        WeightedGraph.of_edges(*arguments)


def test_nodes_beyond_those_there_are():
    with pytest.raises(InputError, match="edge 0 joins node 3; expected nodes 0 to 2"):
        WeightedGraph.of_edges([0], [3], nodes=3)


@pytest.mark.parametrize("nodes", [2.5, -1, "many", 1 << 31])
def test_what_no_number_of_nodes_can_be(nodes: object):
    with pytest.raises(
        InputError, match=r"^nodes: expected a whole number in \[0, 2147483647\], got "
    ):
        WeightedGraph.of_edges([0], [1], nodes=nodes)  # type: ignore[arg-type]


def test_numbers_with_gaps_are_nodes_where_that_is_said():
    assert WeightedGraph.of_edges([0], [5_000_000], nodes=5_000_001).nodes == 5_000_001


@pytest.mark.parametrize(
    ("source", "target", "ids"),
    [
        (["b", "a", "b"], ["c", "b", "a"], ["a", "b", "c"]),
        (
            [1_500_000_000, 7, 1_500_000_000],
            [1_600_000_000, 1_500_000_000, 7],
            [7, 1_500_000_000, 1_600_000_000],
        ),
        (
            np.array([(1 << 64) - 1, 7, (1 << 64) - 1], np.uint64),
            np.array([1, (1 << 64) - 1, 7], np.uint64),
            [1, 7, (1 << 64) - 1],
        ),
    ],
)
def test_nodes_of_a_file_may_have_names(tmp_path: Path, source: list, target: list, ids: list):
    parquet.write_table(pyarrow.table({"source": source, "target": target}), tmp_path / "g.parquet")
    graph = WeightedGraph.read(tmp_path / "g.parquet")
    assert graph.ids is not None
    assert graph.ids.tolist() == ids
    first, middle = ids.index(source[1]), ids.index(source[0])
    last = 3 - first - middle
    assert rows(graph) == {
        first: {middle: 2.0},
        middle: {first: 2.0, last: 1.0},
        last: {middle: 1.0},
    }


def test_numbers_of_two_types_are_not_rounded(tmp_path: Path):
    columns = {"source": np.array([1 << 60, (1 << 60) + 1], np.uint64), "target": np.array([3, 4])}
    parquet.write_table(pyarrow.table(columns), tmp_path / "g.parquet")
    graph = WeightedGraph.read(tmp_path / "g.parquet")
    assert graph.ids is not None
    assert graph.ids.tolist() == [3, 4, 1 << 60, (1 << 60) + 1]


def test_texts_may_be_stored_as_a_dictionary(tmp_path: Path):
    table = pyarrow.table(
        {"source": pyarrow.array(["b", "a"]).dictionary_encode(), "target": ["a", "c"]}
    )
    parquet.write_table(table, tmp_path / "g.parquet")
    graph = WeightedGraph.read(tmp_path / "g.parquet")
    assert graph.ids is not None
    assert graph.ids.tolist() == ["a", "b", "c"]


def test_relations_keep_what_nodes_are_called():
    one = replace(WeightedGraph.of_edges([0], [1]), ids=np.array([5, 9]))
    assert WeightedGraph.joined({"a": (one, 1.0), "b": (one, 2.0)}).ids.tolist() == [5, 9]
    with pytest.raises(InputError, match="same nodes"):
        WeightedGraph.joined({"a": (one, 1.0), "b": (WeightedGraph.of_edges([0], [1]), 2.0)})


def test_a_reversed_graph_by_hand():
    graph = WeightedGraph.of_edges([0, 1, 0], [1, 2, 2], [1.0, 2.0, 3.0], directed=True)
    assert rows(graph) == {0: {}, 1: {0: 1.0}, 2: {0: 3.0, 1: 2.0}}
    assert rows(graph.reversed()) == {0: {1: 1.0, 2: 3.0}, 1: {2: 2.0}, 2: {}}


@pytest.mark.parametrize("share", [-1.0, float("inf"), float("nan")])
def test_relations_whose_weight_is_none(share: float):
    with pytest.raises(
        InputError, match=r"^the weight of 'friends': expected a number in \[0, inf\), got "
    ):
        WeightedGraph.joined({"friends": (WeightedGraph.of_edges([0], [1]), share)})


@pytest.mark.parametrize("matrix", [np.eye(2), csr_array((2, 3)), None])
def test_what_is_no_adjacency(matrix: object):
    with pytest.raises(InputError, match="sparse matrix"):
        WeightedGraph.of_matrix(matrix)


def test_relations_over_other_nodes():
    with pytest.raises(InputError, match="same nodes"):
        WeightedGraph.joined(
            {
                "a": (WeightedGraph.of_edges([0], [1]), 1.0),
                "b": (WeightedGraph.of_edges([0], [2]), 1.0),
            }
        )
    with pytest.raises(InputError, match="none"):
        WeightedGraph.joined({})


def test_a_matrix_that_rounding_made_unsymmetric_is_not_doubled():
    matrix = csr_array(np.array([[0, 0.3, 0], [0.3, 0, 0.7], [0, 0.7, 0]]))
    nearly = matrix.copy()
    nearly[0, 1] *= 1 + 1e-15
    assert rows(WeightedGraph.of_matrix(nearly)) == rows(WeightedGraph.of_matrix(matrix))


def test_a_file_without_an_edge_says_so(tmp_path: Path):
    ends = pyarrow.array([], pyarrow.int64())
    parquet.write_table(pyarrow.table({"source": ends, "target": ends}), tmp_path / "g.parquet")
    with pytest.raises(InputError, match=r"g\.parquet cannot be read as a graph: it holds no edge"):
        WeightedGraph.read(tmp_path / "g.parquet")


def test_a_graph_that_is_not_there_is_said_to_be_so(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        WeightedGraph.read(tmp_path / "none.parquet")
    # Nobody writes into it: reading it had no end.
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(InputError, match="it is a pipe"):
        WeightedGraph.read(tmp_path / "pipe.parquet")


def test_texts_of_any_kind_are_names(tmp_path: Path):
    for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        columns = {"source": pyarrow.array(["a", "b"], kind), "target": ["b", "c"]}
        parquet.write_table(pyarrow.table(columns), tmp_path / "g.parquet")
        assert WeightedGraph.read(tmp_path / "g.parquet").ids.tolist() == ["a", "b", "c"]
