"""What a bench and its agent on another machine say to each other: lines of JSON.

Everything goes through the two standard streams of one program that ssh starts, so that no name of
a file ever is a word of a shell. Each line begins with a mark: what a login shell prints of its own
is not taken for an answer. The bytes of a file follow their line as they are.
"""

import json
from collections.abc import Mapping
from typing import Any

from handheld.errors import DeviceError
from handheld.untrusted import read_json

MARK = b"handheld-bench "

MAX_LINE = 8 << 20
"""Bytes of a line: a result of many operators has some 100 kB."""

ALIVE_SECONDS = 2.0
"""Seconds between two signs of life, while a model runs."""


def line_of(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line."""
    return MARK + json.dumps(message).encode() + b"\n"


def message_of(line: bytes) -> dict[str, Any] | None:
    """Return the message of a line; None where it is none of ours.

    Raises:
        DeviceError: it has the mark, and is no message.
    """
    if not line.startswith(MARK):
        return None
    try:
        message = read_json(line[len(MARK) :])
    except ValueError as error:
        raise DeviceError(f"an answer that is no JSON came: {error}") from error
    if not isinstance(message, dict):
        raise DeviceError("an answer came that is no object of JSON")
    return message
