"""Lets the tests of this folder import ``zoo`` and ``fuzz``, and finds the models they run."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode leaves the path alone

FIXTURES = Path(__file__).parents[1] / "fixtures"
DATA = Path(os.environ.get("HANDHELD_DATA", Path(__file__).parents[3] / "shared" / "data"))


def pytest_generate_tests(metafunc):
    """``fixture_file`` is each fixture in turn, ``corpus_file`` what the fuzzer found.

    ``real_file`` is each model of the data folder, where there is one.
    """
    if "fixture_file" in metafunc.fixturenames:
        metafunc.parametrize(
            "fixture_file", sorted(FIXTURES.glob("tiny_*.tflite")), ids=lambda path: path.stem
        )
    if "corpus_file" in metafunc.fixturenames:
        files = sorted((Path(__file__).parent / "corpus").glob("*.tflite"))
        metafunc.parametrize("corpus_file", files, ids=lambda path: path.stem)
    if "real_file" in metafunc.fixturenames:
        files = sorted(
            (*DATA.glob("hands/mediapipe_models/*.tflite"), *DATA.glob("models/*.tflite"))
        )
        metafunc.parametrize("real_file", files, ids=lambda path: path.stem)


@pytest.fixture
def fixtures():
    return FIXTURES
