from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from handheld.cli.app import app
from handheld.errors import InputError

RUNNER = CliRunner()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two pairs of friends, and a stranger that likes the second."""
    columns = {"source": [0, 2, 4], "target": [1, 3, 2], "relation": ["friend", "friend", "likes"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "graph.parquet")
    (tmp_path / "seeds.tsv").write_text("0\tcat\n3\tdog\n")
    return [str(tmp_path / "graph.parquet"), str(tmp_path / "seeds.tsv"), "--out", str(tmp_path / "labels.parquet")]


def first(files: list[str]) -> list[str | None]:
    return [row["labels"][0] if row["labels"] else None for row in parquet.read_table(files[-1]).to_pylist()]


def test_labels_are_written_for_all_nodes(files: list[str]):
    done = RUNNER.invoke(app, ["propagate", *files])
    assert done.exit_code == 0, done.output
    assert first(files) == ["cat", "cat", "dog", "dog", "dog"]
    assert "5 of 5 nodes have labels" in done.stderr
    assert done.stdout == ""


def test_relations_that_are_not_named_count_nothing(files: list[str]):
    done = RUNNER.invoke(app, ["propagate", "--relation", "friend=2", *files])
    assert done.exit_code == 0, done.output
    assert first(files) == ["cat", "cat", "dog", "dog", None]
    assert "4 of 5 nodes have labels" in done.stderr
    shares = parquet.read_table(files[-1]).column("shares").to_pylist()
    assert shares[0] == [1.0]
    assert shares[1] == pytest.approx([(2 + 0.01 / 2) / 2.01])


def test_options_reach_the_sweeps(files: list[str]):
    options = ["--prior", "1", "--kept", "1", "--sweeps", "1", "--asynchronous"]
    done = RUNNER.invoke(app, ["propagate", *options, *files])
    assert done.exit_code == 0, done.output
    shares = parquet.read_table(files[-1]).column("shares").to_pylist()
    assert shares[1] == pytest.approx([(1 + 1 / 2) / 2])
    assert shares[4] == pytest.approx([(shares[2][0] + 1 / 2) / 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--relation", "friend"], "expected a relation such as likes=0.5, got 'friend'"),
        (["--relation", "friend=much"], "got 'friend=much'"),
        (["--relation", "=1"], "got '=1'"),
        (["--relation", "foe=1"], "graph.parquet.*got {'foe': 1.0}"),
        (["--kept", "0"], "kept"),
        (["--engine", "spark"], "no engine 'spark'"),
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
