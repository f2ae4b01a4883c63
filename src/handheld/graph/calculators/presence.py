"""Calculators that say what is there, and put something where nothing is."""

from typing import Any

from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import pass_headers
from handheld.graph.contract import Contract
from handheld.graph.timestamp import Timestamp


class PacketPresence(Calculator):
    """Sends on ``presence`` whether ``packet`` has a packet at a timestamp.

    ``True`` at each packet. Without ``tick`` (optional), ``False`` whenever timestamps are settled
    without a packet, at the last of them: how often that is depends on the run, and of several that
    are settled at once only the last is told. With ``tick``, both are sent at its packets alone,
    and that depends on nothing. The end of the stream is no absence.
    Source: ``mediapipe/calculators/core/packet_presence_calculator.cc``, which has no tick.

    Args:
        ticks: whether the port ``tick`` is there.
    """

    contract = Contract(
        inputs={"packet": object},
        outputs={"presence": bool},
        process_bounds=True,
    )

    def __init__(self, *, ticks: bool = False) -> None:
        self._ticks = ticks
        if ticks:
            self.contract = Contract(
                inputs={"packet": object, "tick": object}, outputs={"presence": bool}
            )

    def process(self, context: Context) -> None:
        """Tell of one timestamp."""
        is_present = "packet" in context.inputs
        if self._ticks:
            is_asked = "tick" in context.inputs
        else:
            # At the end every timestamp is settled, and at none of them something is missing.
            is_asked = is_present or context.timestamp < Timestamp.POST_STREAM
        if is_asked:
            context.send("presence", is_present)


class DefaultValue(Calculator):
    """At each packet on ``tick`` sends the packet of ``in`` at that timestamp, or a default.

    ``flag`` has a ``True`` where it is the default. What ``in`` has between the ticks is counted as
    dropped. The side input ``default`` (optional) says otherwise than the argument.
    Source: ``mediapipe/calculators/core/value_or_default_calculator.cc``.

    Args:
        default: payload of the packets that are sent for missing ones, any value.
    """

    contract = Contract(
        inputs={"in": object, "tick": object},
        outputs={"out": object, "flag": bool},
        side_inputs={"default": object},
        optional=frozenset({"default"}),
    )

    def __init__(self, default: Any = None) -> None:
        self._default_option = default

    def open(self, context: Context) -> None:
        """Look which default is meant."""
        self._default = context.side.get("default", self._default_option)
        pass_headers(context, {"in": "out"})

    def process(self, context: Context) -> None:
        """Send a value at a tick."""
        if "tick" not in context.inputs:
            context.drop()
        elif "in" in context.inputs:
            context.send("out", context.get("in"))
        else:
            context.send("out", self._default)
            context.send("flag", True)
