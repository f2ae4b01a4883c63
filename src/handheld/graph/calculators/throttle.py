"""The real-time throttle: so many packets in a second of the clock, whatever their timestamps."""

from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import pass_headers
from handheld.graph.contract import Contract
from handheld.ranges import in_range

_SECOND = 1.0


class RealTimeThrottle(Calculator):
    """Drops what comes on ``in`` too soon after the packet before that was sent on ``out``.

    Time is that of the graph's clock (``Graph(clock=...)``), so that a test says what time it is;
    for the packets' own time there is :class:`PacketThinner`. Packets go in time slots of a period,
    so that packets that come a little late do not lower the rate: one that comes within a period
    after its slot began counts for that slot. What is dropped is counted, and settled. It depends
    on the run.

    Args:
        max_rate: packets a second, above 0.
    """

    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def __init__(self, max_rate: float) -> None:
        in_range("max_rate", max_rate, low=0, low_open=True)
        self._period = _SECOND / max_rate

    def open(self, context: Context) -> None:
        """Start with a slot that is free."""
        self._next: float | None = None  # when the next slot begins
        pass_headers(context, {"in": "out"})

    def process(self, context: Context) -> None:
        """Send or drop."""
        now = context.now()
        if self._next is not None and now < self._next:
            context.drop()
            return
        start = now
        # The slot that follows, unless that is over: what was not used is not made up for.
        if self._next is not None and now < self._next + self._period:
            start = self._next
        self._next = start + self._period
        context.send("out", context.get("in"))
