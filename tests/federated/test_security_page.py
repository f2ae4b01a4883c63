"""docs/federated-security.md: each guarantee names tests that there are."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[1] / "docs" / "federated-security.md").read_text("utf-8")
NAMED = re.findall(r"`([a-z_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_named_test_is_there(file, name):
    tree = ast.parse((FOLDER / file).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_guarantee_names_a_test():
    table = PAGE.split("## What is guaranteed")[1].split("## What is not")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"::test_", row), row
