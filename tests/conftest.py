"""What all tests share."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from handheld.files import INTERRUPTS

# For "browsers"; pytest's importlib mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))

# Behind ``nohup``, or in a script's background, a process inherits that interrupts are ignored, and
# so would the commands that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in set(INTERRUPTS) - {signal.SIGINT}:
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# Where the data of others lies beside the repository, tests that want it need not be told.
BESIDE = Path(__file__).parents[2] / "shared" / "data"
if BESIDE.is_dir():
    os.environ.setdefault("HANDHELD_DATA", str(BESIDE))


@pytest.fixture
def until():
    """Wait for something that another process does."""

    def wait(condition, seconds=200.0):
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, "waited too long"
            threading.Event().wait(0.02)
        return value

    return wait
