import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["numbers", "tables", "charts.curves", "charts.scatter"])
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"handheld.reports.{name}"))
    assert found.attempted
    assert not found.failed
