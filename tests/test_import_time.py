"""Importing costs nothing: heavy packages are loaded by what needs them, when it needs them."""

import subprocess
import sys

import pytest

HEAVY = {"ai_edge_litert", "cv2", "av", "PIL", "torch", "numpy", "msgspec"}
LIGHT = [
    ("handheld", HEAVY),
    ("handheld.errors", HEAVY),
    ("handheld.config", HEAVY),
    ("handheld.graph", HEAVY),
    ("handheld.engine", {"ai_edge_litert", "cv2", "av", "PIL", "torch"}),
    ("handheld.training.runs", {"torch", "cv2", "PIL"}),
]


@pytest.mark.parametrize(("module", "absent"), LIGHT, ids=[module for module, _ in LIGHT])
def test_importing_does_not_load(module: str, absent: set[str]) -> None:
    code = (
        f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - "
        "before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "handheld" in loaded
    assert loaded & absent == set(), f"'import {module}' loads what it should not"
