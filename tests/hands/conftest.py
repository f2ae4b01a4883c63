"""A pack of tiny models (tests/fixtures): the palm model takes a white square for a palm."""

import sys
from pathlib import Path

import pytest

from handheld.hands import ModelPack

sys.path.insert(
    0, str(Path(__file__).parent)
)  # for "made"; pytest's importlib mode leaves the path alone

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def fixtures():
    return FIXTURES


@pytest.fixture
def tiny_pack():
    return ModelPack("tiny", FIXTURES / "tiny_palm.tflite", FIXTURES / "tiny_landmark.tflite")
