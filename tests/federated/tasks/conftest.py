import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("cryptography")
