"""Lets the tests of this folder import its helper modules, and runs pools with far more thread
switches than usual.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Let the interpreter change threads every 5 microseconds, not every 5 milliseconds, so that
    races show.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)
