import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import InputError
from handheld.propagation import graph_of

RUNNER = CliRunner()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two pairs of friends, and a stranger that likes the second."""
    columns = {"source": [0, 2, 4], "target": [1, 3, 2], "relation": ["friend", "friend", "likes"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "graph.parquet")
    (tmp_path / "seeds.tsv").write_text("0\tcat\n3\tdog\n")
    return [
        str(tmp_path / "graph.parquet"),
        str(tmp_path / "seeds.tsv"),
        "--out",
        str(tmp_path / "labels.parquet"),
    ]


def first(files: list[str]) -> list[str | None]:
    return [
        row["labels"][0] if row["labels"] else None
        for row in parquet.read_table(files[-1]).to_pylist()
    ]


def test_labels_are_written_for_all_nodes(files: list[str]):
    done = RUNNER.invoke(app, ["propagate", *files])
    assert done.exit_code == 0, done.output
    assert first(files) == ["cat", "cat", "dog", "dog", "dog"]
    assert "5 of 5 nodes have labels" in done.stdout
    assert f"wrote {files[-1]}" in done.stderr


def test_labels_are_not_written_under_the_name_of_another_format(files: list[str], tmp_path: Path):
    done = RUNNER.invoke(app, ["propagate", *files[:-1], str(tmp_path / "labels.csv")])
    assert isinstance(done.exception, InputError)
    assert "name it labels.parquet" in str(done.exception)
    assert not (tmp_path / "labels.csv").exists()


def test_relations_that_are_not_named_count_nothing(files: list[str]):
    done = RUNNER.invoke(app, ["propagate", "--relation", "friend=2", *files])
    assert done.exit_code == 0, done.output
    assert first(files) == ["cat", "cat", "dog", "dog", None]
    assert "4 of 5 nodes have labels" in done.stdout
    shares = parquet.read_table(files[-1]).column("shares").to_pylist()
    assert shares[0] == [1.0]
    assert shares[1] == pytest.approx([(2 + 0.01 / 2) / 2.01])


def test_options_reach_the_sweeps(files: list[str]):
    options = ["--prior", "1", "--max-labels", "1", "--asynchronous"]
    done = RUNNER.invoke(app, ["propagate", *options, *files])
    assert done.exit_code == 0, done.output
    shares = parquet.read_table(files[-1]).column("shares").to_pylist()
    assert shares[1] == pytest.approx([(1 + 1 / 2) / 2])
    assert shares[4] == pytest.approx([(shares[2][0] + 1 / 2) / 2])
    assert len(shares[2]) == 1


def ladder(files: list[str], rungs: int) -> None:
    """Write two rows of nodes, all joined with those beside and across them, and a pair apart."""
    steps = np.arange(rungs - 1)
    sources = [*steps, *steps + rungs, *range(rungs), 2 * rungs]
    targets = [*steps + 1, *steps + rungs + 1, *range(rungs, 2 * rungs), 2 * rungs + 1]
    parquet.write_table(pyarrow.table({"source": sources, "target": targets}), files[0])
    Path(files[1]).write_text("0\tcat\n")


def test_a_long_graph_is_labelled_whole_and_what_is_not_reached_is_said(
    files: list[str], tmp_path: Path
):
    ladder(files, 50)
    done = RUNNER.invoke(app, ["propagate", *files, "--json", str(tmp_path / "report.json")])
    assert done.exit_code == 0, done.output
    assert first(files) == ["cat"] * 100 + [None, None]
    assert "100 of 102 nodes have labels" in done.stdout
    assert "2 nodes have no path to a seed" in done.stdout
    assert "warning" not in done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report.pop("residual") <= 5e-7
    assert report.pop("sweeps") > 50
    assert report == {
        "nodes": 102,
        "edges": 2 * 149,
        "classes": 1,
        "converged": True,
        "reached": 100,
        "unreached": 2,
    }


def test_sweeps_that_run_out_are_said(files: list[str], tmp_path: Path):
    ladder(files, 50)
    done = RUNNER.invoke(
        app, ["propagate", *files, "--max-iter", "3", "--json", str(tmp_path / "r.json")]
    )
    assert done.exit_code == 0, done.output
    assert "warning: sweeps ran out before labels were still" in done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["converged"] is False
    assert first(files)[:100] == ["cat"] * 100


@pytest.mark.parametrize(
    ("ids", "seeds"),
    [
        (["ann", "bob", "cy"], "bob\tcat\n"),
        ([4, 1_500_000_000, 1_600_000_000], "1500000000\tcat\n"),
    ],
)
def test_nodes_with_names_are_written_with_them(files: list[str], ids: list, seeds: str):
    parquet.write_table(pyarrow.table({"source": ids[:2], "target": ids[1:]}), files[0])
    Path(files[1]).write_text(seeds)
    done = RUNNER.invoke(app, ["propagate", *files])
    assert done.exit_code == 0, done.output
    table = parquet.read_table(files[-1]).to_pylist()
    assert [(row["node"], row["labels"]) for row in table] == [(name, ["cat"]) for name in ids]
    Path(files[1]).write_text("eve\tcat\n")
    done = RUNNER.invoke(app, ["propagate", *files])
    assert "seeds.tsv, line 1: expected a node of the graph" in str(done.exception)


def test_copies_of_a_text_get_its_label(files: list[str]):
    """2,000 copies of one code among 3,000: all of them, and none of the others, are one label."""
    codes = np.random.default_rng(0).integers(0, 256, (3000, 16), np.uint8)
    codes[500:2500] = codes[500]
    graph = graph_of(codes, 5)
    columns = {"source": graph.neighbours, "target": graph.learners(), "weight": graph.weights}
    parquet.write_table(pyarrow.table(columns), files[0])
    Path(files[1]).write_text("1234\tcat\n0\tdog\n")
    done = RUNNER.invoke(app, ["propagate", *files, "--directed"])
    assert done.exit_code == 0, done.output
    assert first(files)[500:2500] == ["cat"] * 2000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--relation", "friend"], "expected a relation such as likes=0.5, got 'friend'"),
        (["--relation", "friend=much"], "got 'friend=much'"),
        (["--relation", "=1"], "got '=1'"),
        (["--relation", "foe=1"], "graph.parquet.*got {'foe': 1.0}"),
        (["--relation", "friend=1", "--relation", "friend=2"], "'friend' is named twice"),
        (["--max-labels", "0"], "max_labels: expected"),
        (["--prior", "inf"], "prior: expected"),
        (["--tolerance", "nan"], "tolerance: expected"),
        (["--backend", "spark"], "no backend 'spark'"),
    ],
)
def test_what_cannot_be_asked_for(files: list[str], options: list[str], message: str):
    done = RUNNER.invoke(app, ["propagate", *options, *files])
    assert isinstance(done.exception, InputError)
    with pytest.raises(InputError, match=message):
        raise done.exception
    assert not Path(files[-1]).exists()


def test_a_wrong_line_is_named(files: list[str]):
    Path(files[1]).write_text("0\tcat\n7\tdog\n")
    done = RUNNER.invoke(app, ["propagate", *files])
    assert isinstance(done.exception, InputError)
    assert "seeds.tsv, line 2: expected a node of 0 to 4" in str(done.exception)
