"""The previous loopback: gives each packet the result of the one before it."""

from collections import deque
from typing import Any, NamedTuple

from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.policies import ImmediatePolicy
from handheld.graph.timestamp import Timestamp


class _Pending(NamedTuple):
    """A packet of ``main`` that waits for its answer."""

    timestamp: int
    previous: int  # timestamp of main before it


class PreviousLoopback(Calculator):
    """Sends, at each timestamp of ``main``, the packet of ``loop`` at the timestamp before it.

    It is sent on ``previous``; the timestamp before it is that of ``main``. ``loop`` is a back
    edge. At the first timestamp, and where ``loop`` had no packet, nothing is sent but the
    timestamp is settled. The result does not depend on the order of arrival, though the input
    policy is immediate. Source: ``mediapipe/calculators/core/previous_loopback_calculator.cc``.
    """

    contract = Contract(
        inputs={"main": object, "loop": object},
        outputs={"previous": object},
        # Not the default: at t, loop is settled only after what this node sends at t has been used.
        policy=ImmediatePolicy(),
        timestamp_offset=None,
        # Where the loop makes nothing of a packet, its bound alone says so.
        process_bounds=True,
    )

    def open(self, context: Context) -> None:
        """Start without a past."""
        self._pending: deque[_Pending] = deque()
        self._loop: deque[Packet[Any]] = deque()
        self._last = int(Timestamp.UNSET)

    def process(self, context: Context) -> None:
        """Answer every packet of ``main`` whose predecessor is settled on ``loop``."""
        if "main" in context.inputs:
            timestamp = context.inputs["main"].timestamp
            self._pending.append(_Pending(timestamp, self._last))
            self._last = timestamp
        if "loop" in context.inputs:
            self._loop.append(context.inputs["loop"])
        settled = context.bound("loop")
        while self._pending and self._pending[0].previous < settled:
            self._answer(context, self._pending.popleft())
        if self._pending:
            context.advance("previous", self._pending[0].timestamp)
        else:
            context.advance("previous", context.bound("main"))

    def _answer(self, context: Context, pending: _Pending) -> None:
        # What the loop made of timestamps that main never had, nobody will ask for.
        while self._loop and self._loop[0].timestamp < pending.previous:
            self._loop.popleft()
        if self._loop and self._loop[0].timestamp == pending.previous:
            packet = self._loop.popleft()
            context.send("previous", packet.payload, pending.timestamp)
