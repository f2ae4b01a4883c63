"""The examples in docstrings."""

import doctest
from importlib import import_module

import pytest

MODULES = ("characters", "features", "kept", "ragged", "scope", "words")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(f"handheld.projection.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
