"""What describes a stream once, handed on by calculators whose output is of the same kind."""

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any

from handheld.errors import InputError
from handheld.graph.calculator import Context

FRAME_RATE = "frame_rate"
"""Key, or field, of a header that tells frames a second."""


def pass_headers(context: Context, streams: Mapping[str, str]) -> None:
    """Let the header of each input describe an output too. Called in ``open`` only.

    Args:
        context: of the node.
        streams: input port -> output port.
    """
    for port, output in streams.items():
        header = context.header(port)
        if header is not None:
            context.set_header(output, header)


def frame_rate_of(header: Any) -> float:
    """Return the frames a second that a header tells, a mapping or an object.

    Raises:
        InputError: it tells none.
    """
    if isinstance(header, Mapping):
        rate = header.get(FRAME_RATE)
    else:
        rate = getattr(header, FRAME_RATE, None)
    if rate is None:
        raise InputError(f"expected a header with a {FRAME_RATE}, got {header!r}")
    return float(rate)


def with_frame_rate(header: Any, rate: float) -> Any:
    """Return a header, a mapping or a dataclass, that tells other frames a second.

    Raises:
        InputError: it is neither, or has no frame rate.
    """
    # For its error: a header without a rate is not one that could tell another.
    frame_rate_of(header)
    if isinstance(header, Mapping):
        return {**header, FRAME_RATE: rate}
    if is_dataclass(header) and not isinstance(header, type):
        return replace(header, **{FRAME_RATE: rate})
    raise InputError(f"expected a header that is a mapping or a dataclass, got {header!r}")
