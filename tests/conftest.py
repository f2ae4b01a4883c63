"""What all tests share."""

import os
import signal
from pathlib import Path

# Behind ``nohup``, or in a script's background, a process inherits that interrupts are ignored, and
# so would the commands that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the data of others lies beside the repository, tests that want it need not be told.
BESIDE = Path(__file__).parents[2] / "shared" / "data"
if BESIDE.is_dir():
    os.environ.setdefault("HANDHELD_DATA", str(BESIDE))
