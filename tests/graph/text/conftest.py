"""Lets the tests of this folder import its helper modules, and finds MediaPipe's graphs."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# MediaPipe's graphs are not part of this repository.
GRAPHS = Path(os.environ.get("HANDHELD_DATA", "")) / "graphs"


@pytest.fixture
def mediapipe_graphs() -> list[Path]:
    """Return the files of all of MediaPipe's graphs."""
    return sorted(GRAPHS.rglob("*.pbtxt"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with ``mediapipe_graph`` for each of MediaPipe's graphs, where they are."""
    if "mediapipe_graph" not in metafunc.fixturenames:
        return
    paths = []
    if "HANDHELD_DATA" in os.environ:
        paths = sorted(GRAPHS.rglob("*.pbtxt"))
    parameters = [pytest.param(path, id=path.relative_to(GRAPHS).as_posix()) for path in paths]
    if not parameters:
        skip = pytest.mark.skip("HANDHELD_DATA, which is not set or has no graphs")
        parameters = [pytest.param(None, marks=skip)]
    metafunc.parametrize("mediapipe_graph", parameters)
