"""Calculators that let packets through, hold them back or choose among them."""

from typing import Any

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.ranges import whole_in_range


class PassThrough(Calculator):
    """Sends what comes."""

    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def process(self, context: Context) -> None:
        """Send the packet on."""
        context.send("out", context.inputs["in"].payload)


class Gate(Calculator):
    """Sends what comes on ``in`` where ``allow`` at the same timestamp is true.

    Without a packet there, as the last one said. What does not pass is counted as dropped.

    Args:
        open_at_first: whether packets pass before the first packet on ``allow``.
    """

    contract = Contract(
        inputs={"in": object, "allow": bool},
        outputs={"out": object},
    )

    def __init__(self, *, open_at_first: bool = False) -> None:
        self._open_at_first = open_at_first
        self._allowed = open_at_first

    def open(self, context: Context) -> None:
        """Start as told."""
        self._allowed = self._open_at_first

    def process(self, context: Context) -> None:
        """Send or swallow."""
        # First, since what is said at a timestamp holds for the packet at that timestamp.
        if "allow" in context.inputs:
            self._allowed = bool(context.get("allow"))
        if "in" not in context.inputs:
            return
        if self._allowed:
            context.send("out", context.get("in"))
        else:
            context.drop()


class Merge(Calculator):
    """At each timestamp sends the packet of the first input that has one.

    Those of the others are counted as dropped.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ...
    """

    def __init__(self, inputs: int = 2) -> None:
        self._ports = _numbered(inputs)
        self.contract = Contract(
            inputs=dict.fromkeys(self._ports, object),
            outputs={"out": object},
        )

    def process(self, context: Context) -> None:
        """Send the first."""
        # By the order of the ports: that of context.inputs is up to the input policy.
        first, *others = (port for port in self._ports if port in context.inputs)
        context.send("out", context.get(first))
        context.drop(len(others))


class Mux(Calculator):
    """At each timestamp sends the packet of the input whose number is on ``select``.

    Those of the others are counted as dropped. Without a packet on ``select`` all are; a number out
    of range is an error.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ...
    """

    def __init__(self, inputs: int = 2) -> None:
        self._ports = _numbered(inputs)
        self.contract = Contract(
            inputs={"select": int, **dict.fromkeys(self._ports, object)},
            outputs={"out": object},
        )

    def process(self, context: Context) -> None:
        """Send the selected."""
        select = context.get("select")
        selected = None
        if select is not None:
            # Asked before the list is, which would take -1 for its last.
            if not 0 <= select < len(self._ports):
                raise InputError(f"select must be 0 to {len(self._ports) - 1}, got {select}")
            selected = self._ports[select]
        for port in self._ports:
            if port not in context.inputs:
                continue
            if port == selected:
                context.send("out", context.get(port))
            else:
                context.drop()


class PacketCloner(Calculator):
    """At each packet on ``tick`` sends the latest packet of ``in`` again, at the tick's timestamp.

    Before the first there is nothing to send.
    """

    contract = Contract(
        inputs={"in": object, "tick": object},
        outputs={"out": object},
    )

    def open(self, context: Context) -> None:
        """Forget the last run."""
        self._latest: Any = None
        # Apart, since None is a payload like any other.
        self._has_latest = False

    def process(self, context: Context) -> None:
        """Remember, repeat."""
        if "in" in context.inputs:
            self._latest = context.get("in")
            self._has_latest = True
        if "tick" in context.inputs and self._has_latest:
            context.send("out", self._latest)


def _numbered(inputs: int) -> list[str]:
    whole_in_range("inputs", inputs, low=1)
    return [f"in{number}" for number in range(inputs)]
