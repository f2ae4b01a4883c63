import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
sys.path.insert(
    0, str(Path(__file__).parent)
)  # for "made_learners"; pytest's importlib mode leaves the path alone
