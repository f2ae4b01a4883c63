"""docs/secure-aggregation.md names functions and tests that there are, and graphs as they are
computed."""

import ast
import functools
import importlib
import re
from pathlib import Path

import pytest

from handheld.federated.secagg.graph import GraphRisks, graph_parameters

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[2] / "docs" / "secure-aggregation.md").read_text("utf-8")
MODULES = {
    "client",
    "graph",
    "keys",
    "masks",
    "messages",
    "roster",
    "secrets_of_round",
    "server",
    "shares",
}
CODE = sorted(set(re.findall(r"`((?:" + "|".join(MODULES) + r")\.[A-Za-z_.]+)`", PAGE)))
TESTS = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))


def rows(header):
    """The rows of a table, as lists of cells."""
    table = PAGE.partition(header + "\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[1:]]


@pytest.mark.parametrize("path", CODE)
def test_code_of_the_page_is_there(path):
    module, *names = path.split(".")
    start = importlib.import_module(f"handheld.federated.secagg.{module}")
    functools.reduce(getattr, names, start)


@pytest.mark.parametrize(("file", "test"), TESTS, ids=lambda name: name)
def test_tests_of_the_page_are_there(file, test):
    tree = ast.parse((FOLDER / file).read_text("utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_step_of_the_papers_names_code_and_a_test():
    steps = rows("| the paper's step | code | tests |")
    assert len(steps) >= 14
    for _, code, tests in steps:
        assert any(f"`{path}`" in code for path in CODE)
        assert "test_" in tests


def test_the_graphs_of_the_page():
    header = (
        "| clients | corrupt 5 %, leave 10 % | corrupt 5 %, leave 30 % | corrupt 33 %, leave 33 % |"
    )
    shares = [(0.05, 0.1), (0.05, 0.3), (0.33, 0.33)]
    for clients, *cells in rows(header):
        for cell, (corrupt, dropout) in zip(cells, shares, strict=True):
            parameters = graph_parameters(
                int(clients.replace(",", "")), GraphRisks(corrupt=corrupt, dropout=dropout)
            )
            numbers = [int(number) for number in re.findall(r"\d+", cell)]
            assert numbers == [parameters.peers, parameters.threshold]
