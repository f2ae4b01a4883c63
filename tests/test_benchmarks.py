"""Benchmarks that borrow from tests, or run the others, are found where they are: nobody else
starts them in CI.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BORROWING = [
    path
    for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))
    if "sys.path" in path.read_text("utf-8") or path.name == "run.py"
]


@pytest.mark.parametrize("script", BORROWING, ids=[path.stem for path in BORROWING])
def test_a_benchmark_says_what_it_does(script, tmp_path):
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, str(script), "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "HANDHELD_DATA": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout
