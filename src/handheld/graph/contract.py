"""Contracts: what a calculator takes and gives, declared before the graph runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handheld.errors import GraphValidationError
from handheld.graph.policies import DefaultPolicy, InputPolicy
from handheld.graph.types import is_type
from handheld.ranges import whole_in_range

Ports = Mapping[str, Any]

_FAR = 2**63


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The ports of a calculator and how its inputs are synchronised.

    ``inputs``, ``outputs``, ``side_inputs`` and ``side_outputs`` map a port's name to the type of
    its payload (``object`` takes anything). ``optional`` names inputs and side inputs that may stay
    unconnected; an output may always. A node opens when its side packets are there.

    ``timestamp_offset`` promises that every output is at the input's timestamp plus the offset, so
    that streams downstream are settled as soon as the input is; ``None`` promises nothing: the
    bound moves with packets and ``Context.advance`` only. With ``process_bounds`` the calculator is
    also called, without packets, when inputs are settled further. ``options`` maps what
    :meth:`Graph.set` may change while the graph runs to types; see :meth:`Calculator.set_option`.
    """

    inputs: Ports = field(default_factory=dict)
    outputs: Ports = field(default_factory=dict)
    side_inputs: Ports = field(default_factory=dict)
    side_outputs: Ports = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    policy: InputPolicy = field(default_factory=DefaultPolicy)
    # As in MediaPipe, most calculators answer at the timestamp that they were asked at.
    timestamp_offset: int | None = 0
    process_bounds: bool = False
    options: Ports = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ports("inputs", self.inputs)
        check_ports("outputs", self.outputs)
        check_ports("side_inputs", self.side_inputs)
        check_ports("side_outputs", self.side_outputs)
        check_ports("options", self.options)
        if self.timestamp_offset is not None:
            # Timestamps are of 64 bits, as MediaPipe's are.
            whole_in_range("timestamp_offset", self.timestamp_offset, low=-_FAR, high=_FAR - 1)


def check_ports(name: str, ports: Ports) -> None:
    """Raise :class:`GraphValidationError` for what does not map names to types.

    Args:
        name: of the ports, for messages.
        ports: the mapping.
    """
    if not isinstance(ports, Mapping):
        raise GraphValidationError(f"{name}: expected a mapping of names to types, got {ports!r}")
    for port, hint in ports.items():
        if not isinstance(port, str):
            raise GraphValidationError(f"{name}: expected names as texts, got {port!r}")
        if not is_type(hint):
            raise GraphValidationError(f"{name}: expected a type for {port!r}, got {hint!r}")
