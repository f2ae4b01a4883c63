"""The previous loopback: gives each packet the result of the one before it."""

from collections import deque
from typing import Any

from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract, ImmediatePolicy
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp


class PreviousLoopback(Calculator):
    """Sends on ``previous``, at each timestamp t of ``main``, the packet of ``loop`` at the timestamp of ``main`` before t.

    ``loop`` is a back edge. At the first timestamp, and where ``loop`` had no packet, nothing is sent but t is settled. The
    result does not depend on the order of arrival, though the input policy is immediate.
    Source: ``mediapipe/calculators/core/previous_loopback_calculator.cc``.
    """

    contract = Contract(
        inputs={"main": object, "loop": object},
        outputs={"previous": object},
        policy=ImmediatePolicy(),
        timestamp_offset=None,
        process_bounds=True,
    )

    def open(self, context: Context) -> None:
        """Start without a past."""
        self._pending: deque[tuple[int, int]] = deque()  # (timestamp of main, the one before it)
        self._loop: deque[Packet[Any]] = deque()
        self._last = int(Timestamp.UNSET)

    def process(self, context: Context) -> None:
        """Answer every packet of ``main`` whose predecessor is settled on ``loop``."""
        if "main" in context.inputs:
            timestamp = context.inputs["main"].timestamp
            self._pending.append((timestamp, self._last))
            self._last = timestamp
        if "loop" in context.inputs:
            self._loop.append(context.inputs["loop"])
        settled = context.bound("loop")
        while self._pending and self._pending[0][1] < settled:
            timestamp, before = self._pending.popleft()
            while self._loop and self._loop[0].timestamp < before:
                self._loop.popleft()
            if self._loop and self._loop[0].timestamp == before:
                context.send("previous", self._loop.popleft().payload, timestamp)
        context.advance("previous", self._pending[0][0] if self._pending else context.bound("main"))
