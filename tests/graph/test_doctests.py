"""The examples in the docstrings of the room run as they stand."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import handheld.graph

MODULES = [
    module.name for module in pkgutil.walk_packages(handheld.graph.__path__, "handheld.graph.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_examples() -> None:
    examples = [
        test
        for name in MODULES
        for test in doctest.DocTestFinder().find(import_module(name))
        if test.examples
    ]
    assert len(examples) >= 6
