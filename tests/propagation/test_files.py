from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from handheld.errors import FileError, InputError
from handheld.propagation import Labels, WeightedGraph, propagate, read_seeds, write_labels


def test_lines_of_a_node_and_a_label(tmp_path: Path):
    (tmp_path / "seeds.tsv").write_bytes(
        b"\xef\xbb\xbf3\tdog\r\n\r\n0\tgrey cat\n3\t\xc3\xa4rger\n"
    )
    seeds, names = read_seeds(tmp_path / "seeds.tsv", 4)
    assert names == ("dog", "grey cat", "ärger")
    assert list(
        zip(seeds.nodes.tolist(), seeds.labels.tolist(), seeds.shares.tolist(), strict=True)
    ) == [
        (3, 0, 1.0),
        (0, 1, 1.0),
        (3, 2, 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\n2 b\n", r"line 2: expected a node of 0 to 3, a tab and a label, got '2 b'"),
        ("1\ta\n\n4\tb\n", r"line 3: expected a node of 0 to 3.*got '4\\tb'"),
        ("-1\ta\n", "line 1"),
        ("1.0\ta\n", "line 1"),
        ("\u0661\ta\n", "line 1"),
        (f"{'9' * 5000}\ta\n", "line 1"),
        ("1\t \n", "line 1"),
        ("1\ta\tb\n", "line 1"),
        ("1\ta\n2\ta\n1\ta\n", "line 3: node 1 has the label 'a' in line 1 already"),
        ("\n", "expected one seed or more"),
    ],
)
def test_what_is_no_seed_is_named_with_its_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "s.tsv").write_text(text)
    with pytest.raises(InputError, match=rf"s\.tsv.*{message}"):
        read_seeds(tmp_path / "s.tsv", 4)


def test_what_is_no_text(tmp_path: Path):
    (tmp_path / "s.tsv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "s.tsv", tmp_path / "none.tsv", tmp_path):
        with pytest.raises(InputError, match="cannot be read as seeds"):
            read_seeds(path, 4)


@pytest.mark.parametrize(
    ("ids", "first", "second", "wrong"),
    [
        (np.array(["ann", "bob"], np.dtypes.StringDType()), "bob", "ann", "eve"),
        (np.array([7, 1_500_000_000]), "1500000000", "007", "8"),
    ],
)
def test_seeds_may_name_nodes(tmp_path: Path, ids: np.ndarray, first: str, second: str, wrong: str):
    (tmp_path / "s.tsv").write_text(f"{first}\tcat\n{second}\tdog\n")
    seeds, names = read_seeds(tmp_path / "s.tsv", 2, ids)
    assert (seeds.nodes.tolist(), seeds.labels.tolist(), names) == ([1, 0], [0, 1], ("cat", "dog"))
    (tmp_path / "s.tsv").write_text(f"{first}\tcat\n{wrong}\tdog\n")
    with pytest.raises(
        InputError, match="line 2: expected a node of the graph, a tab and a label, got"
    ):
        read_seeds(tmp_path / "s.tsv", 2, ids)


def test_labels_of_nodes_with_names(tmp_path: Path):
    labels = Labels(np.array([[0], [-1]], np.int32), np.array([[1.0], [0]], np.float32), 1)
    ids = np.array(["ann", "bob"], np.dtypes.StringDType())
    write_labels(tmp_path / "l.parquet", labels, ("cat",), ids)
    assert parquet.read_table(tmp_path / "l.parquet").column("node").to_pylist() == ["ann", "bob"]
    write_labels(tmp_path / "l.parquet", labels, ("cat",), np.array([7, 9]))
    assert parquet.read_table(tmp_path / "l.parquet").column("node").to_pylist() == [7, 9]


def test_labels_are_written_with_their_names(tmp_path: Path):
    names = np.array([[1, 0], [-1, -1], [0, -1]], np.int32)
    labels = Labels(names, np.array([[0.75, 0.25], [0, 0], [0.5, 0]], np.float32), 3)
    write_labels(tmp_path / "new" / "l.parquet", labels, ("cat", "dog", "owl"))
    assert parquet.read_table(tmp_path / "new" / "l.parquet").to_pylist() == [
        {"node": 0, "labels": ["dog", "cat"], "shares": [0.75, 0.25]},
        {"node": 1, "labels": [], "shares": []},
        {"node": 2, "labels": ["cat"], "shares": [0.5]},
    ]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["l.parquet"]


@pytest.mark.parametrize("nodes", [[2**63 + 5, 2**63 + 6, 2**64 - 1], [1, 2**64 - 1, 7]])
def test_ids_above_all_signed_numbers_come_back(tmp_path: Path, nodes: list[int]):
    ends = pyarrow.array(nodes, pyarrow.uint64())
    parquet.write_table(
        pyarrow.table({"source": ends, "target": ends.take([1, 2, 0])}), tmp_path / "g.parquet"
    )
    (tmp_path / "seeds").write_text(f"{nodes[0]}\ta\n{nodes[1]}\tb\n")
    graph = WeightedGraph.read(tmp_path / "g.parquet")
    seeds, names = read_seeds(tmp_path / "seeds", graph.nodes, graph.ids)
    write_labels(tmp_path / "labels.parquet", propagate(graph, seeds), names, graph.ids)
    written = parquet.read_table(tmp_path / "labels.parquet").to_pylist()
    assert {row["node"]: row["labels"][0] for row in written if row["node"] in nodes[:2]} == {
        nodes[0]: "a",
        nodes[1]: "b",
    }
    assert [row["node"] for row in written] == sorted(nodes)


def test_where_no_file_can_be(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        write_labels(
            tmp_path / "file" / "l.parquet",
            Labels(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), 1),
            ("a",),
        )


def test_a_graph_without_nodes_has_no_seeds(tmp_path: Path):
    (tmp_path / "s.tsv").write_text("0\ta\n")
    with pytest.raises(InputError, match="the graph that these seeds are of has no nodes"):
        read_seeds(tmp_path / "s.tsv", 0)
