"""The examples in docstrings run."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["solver"])
def test_the_examples_in_the_docstrings(name: str):
    found = doctest.testmod(import_module(f"handheld.propagation.{name}"))
    assert found.attempted
    assert not found.failed
