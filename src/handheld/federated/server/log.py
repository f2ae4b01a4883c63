"""Structured logs: a line of JSON for each event, and never what a device sent."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable
from typing import TextIO

_LONGEST = 300  # letters of a text


class EventLog:
    """Writes events.

    Args:
        stream: to write to; None: standard error.
        clock: seconds since the epoch.
    """

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._clock = clock

    def event(self, name: str, **fields: str | float | None) -> None:
        """Write an event.

        Args:
            name: of what happened.
            fields: texts and numbers; bytes and arrays are refused, so that no update gets here.
        """
        line = {"at": round(self._clock(), 3), "event": name}
        line |= {key: _plain(value) for key, value in fields.items() if value is not None}
        # A log that is full or gone must not stop what it tells of.
        with contextlib.suppress(OSError, ValueError):
            # One call a line: those of several threads must not mix.
            print(json.dumps(line) + "\n", end="", file=self._stream or sys.stderr, flush=True)


def _plain(value: str | float | None) -> str | float:
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) else str(value)
    raise TypeError(f"expected a text or a number for the log, got {type(value).__name__}")
