"""Contracts: what a calculator takes and gives, declared before the graph runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from handheld.errors import GraphError

Ports = Mapping[str, Any]


class InputPolicy(Protocol):
    """Says which input ports are synchronised with each other."""

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the sets of ports; packets of one timestamp in one set arrive in one call of ``process``."""
        ...


@dataclass(frozen=True)
class Default:
    """Process at t once t is settled on every input: deterministic, drops nothing."""

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return one set that holds every port."""
        return (tuple(ports),)


@dataclass(frozen=True)
class Immediate:
    """Process each packet as it comes, whatever the other inputs do; the order over inputs depends on the run."""

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return one set for each port."""
        return tuple((port,) for port in ports)


@dataclass(frozen=True)
class SyncSets:
    """Synchronise within each set of ports, not between sets. Ports in no set form one more."""

    sets: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.sets, tuple | list) or not all(isinstance(ports, tuple | list) for ports in self.sets):
            raise GraphError(
                f'expected SyncSets((("a", "b"), ("c",))), one tuple of port names for each set, got {self.sets!r}'
            )
        object.__setattr__(self, "sets", tuple(map(tuple, self.sets)))

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the sets, and behind them the set of the ports that they leave out."""
        rest = tuple(port for port in ports if not any(port in group for group in self.sets))
        return (*self.sets, rest) if rest else self.sets


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The ports of a calculator and how its inputs are synchronised.

    ``inputs``, ``outputs``, ``side_inputs`` and ``side_outputs`` map a port's name to the type of its payload (``object``
    takes anything). ``optional`` names inputs and side inputs that may stay unconnected; an output may always.

    ``timestamp_offset`` promises that every output is at the input's timestamp plus the offset, so that streams downstream
    are settled as soon as the input is; ``None`` promises nothing: the bound moves with packets and ``Context.advance`` only.
    With ``process_bounds`` the calculator is also called, without packets, when inputs are settled further.
    """

    inputs: Ports = field(default_factory=dict)
    outputs: Ports = field(default_factory=dict)
    side_inputs: Ports = field(default_factory=dict)
    side_outputs: Ports = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    policy: InputPolicy = field(default_factory=Default)
    timestamp_offset: int | None = 0
    process_bounds: bool = False
