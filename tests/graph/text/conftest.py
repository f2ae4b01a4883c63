"""Lets the tests of this folder import its helper modules, and finds MediaPipe's graphs."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# MediaPipe's graphs are not part of this repository.
GRAPHS = Path(os.environ.get("HANDHELD_DATA", "")) / "graphs"
MISSING = "HANDHELD_DATA, which is not set or has no graphs"


@pytest.fixture
def mediapipe_graphs() -> list[Path]:
    """Return the files of all of MediaPipe's graphs."""
    paths = _graphs()
    if not paths:
        pytest.skip(MISSING)
    return paths


def _graphs() -> list[Path]:
    if "HANDHELD_DATA" not in os.environ:
        return []
    return sorted(GRAPHS.rglob("*.pbtxt"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with ``mediapipe_graph`` for each of MediaPipe's graphs, where they are."""
    if "mediapipe_graph" not in metafunc.fixturenames:
        return
    parameters = [pytest.param(path, id=path.relative_to(GRAPHS).as_posix()) for path in _graphs()]
    if not parameters:
        parameters = [pytest.param(None, marks=pytest.mark.skip(MISSING))]
    metafunc.parametrize("mediapipe_graph", parameters)
