"""Contracts: what a calculator takes and gives, declared before the graph runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from handheld.errors import GraphError, GraphValidationError
from handheld.graph.types import is_type
from handheld.ranges import whole_in_range

Ports = Mapping[str, Any]

_FAR = 2**63


class InputPolicy(Protocol):
    """Says which input ports are synchronised with each other."""

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the sets of ports; packets of one timestamp in one set arrive in one call."""
        ...


@dataclass(frozen=True)
class DefaultPolicy:
    """Process at t once t is settled on every input: deterministic, drops nothing."""

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return one set that holds every port."""
        return (tuple(ports),)


@dataclass(frozen=True)
class ImmediatePolicy:
    """Process each packet as it comes, whatever the other inputs do.

    The order over inputs depends on the run.
    """

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return one set for each port."""
        return tuple((port,) for port in ports)


@dataclass(frozen=True)
class SyncSetPolicy:
    """Synchronise within each set of ports, not between sets. Ports in no set form one more."""

    sets: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        # A string is a sequence of strings too: "ab" would be taken for the two ports a and b.
        if not _is_list(self.sets) or not all(map(_is_list, self.sets)):
            raise GraphError(
                'expected SyncSetPolicy((("a", "b"), ("c",))), one tuple of port names '
                f"for each set, got {self.sets!r}"
            )
        object.__setattr__(self, "sets", tuple(map(tuple, self.sets)))

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the sets, and behind them the set of the ports that they leave out."""
        named = set().union(*self.sets)
        unnamed = tuple(port for port in ports if port not in named)
        if not unnamed:
            return self.sets
        return (*self.sets, unnamed)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The ports of a calculator and how its inputs are synchronised.

    ``inputs``, ``outputs``, ``side_inputs`` and ``side_outputs`` map a port's name to the type of
    its payload (``object`` takes anything). ``optional`` names inputs and side inputs that may stay
    unconnected; an output may always.

    ``timestamp_offset`` promises that every output is at the input's timestamp plus the offset, so
    that streams downstream are settled as soon as the input is; ``None`` promises nothing: the
    bound moves with packets and ``Context.advance`` only. With ``process_bounds`` the calculator is
    also called, without packets, when inputs are settled further.
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

    def __post_init__(self) -> None:
        check_ports("inputs", self.inputs)
        check_ports("outputs", self.outputs)
        check_ports("side_inputs", self.side_inputs)
        check_ports("side_outputs", self.side_outputs)
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


def _is_list(value: object) -> bool:
    return isinstance(value, tuple | list)
