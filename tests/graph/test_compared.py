"""Each "yes" of ours in docs/graph-compared.md names a test or an example that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "graph-compared.md").read_text()
NAMED = re.compile(r"`((?:tests|examples)/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> list[list[str]]:
    """Return the cells of the rows of both tables, without their heads."""
    lines = [line.strip("| ") for line in PAGE.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [row for row in cells if not set(row[0]) <= {"-", "|", ""} and "issue of" not in row[0]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0].strip("* ")[:40])
def test_what_is_named_is_there(row: list[str]) -> None:
    ours = row[-1]
    named = NAMED.findall(ours)
    if ours.startswith("**yes**") or row[0][0].isdigit():
        assert named, ours
    for path, test in named:
        assert (ROOT / path).is_file(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(), test


def test_there_are_rows() -> None:
    assert len(rows()) >= 30
    assert sum(row[-1].startswith("**yes**") for row in rows()) >= 20
