"""The documented examples run as a reader would run them, and print what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "graph"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_it_says(name: str) -> None:
    path = EXAMPLES / name
    _, _, promise = path.read_text().partition("Prints:\n")
    promised = [line.strip() for line in promise.partition('"""')[0].strip().splitlines()]
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == promised


def test_there_are_examples_of_what_people_ask_for() -> None:
    asked = {
        "detector_and_tracker.py",
        "late_packet.py",
        "replayed_failure.py",
        "slow_model.py",
        "two_cameras.py",
    }
    assert asked <= set(NAMES)
    assert len(NAMES) >= 10
