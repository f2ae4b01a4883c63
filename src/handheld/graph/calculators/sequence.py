"""Calculators that go by the order of packets, not by their times."""

from collections import deque
from typing import Any

from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import pass_headers
from handheld.graph.contract import Contract
from handheld.graph.timestamp import Timestamp
from handheld.ranges import whole_in_range


class SequenceShift(Calculator):
    """Sends each packet at the timestamp of another one of its stream.

    Packet i of ``in`` is sent on ``out`` at the timestamp of packet i + ``packet_offset``. With -2
    the first two packets are dropped, with 2 the last two, and counted so; with 0 none are. The
    side input ``packet_offset`` (optional) says otherwise than the option. Settled timestamps pass
    as far as no packet can still be sent there.
    Source: ``mediapipe/calculators/core/sequence_shift_calculator.cc``.

    Args:
        packet_offset: any whole number.
    """

    contract = Contract(
        inputs={"in": object},
        outputs={"out": object},
        side_inputs={"packet_offset": int},
        optional=frozenset({"packet_offset"}),
        # With a negative offset, timestamps stay open until a later packet has come.
        timestamp_offset=None,
        process_bounds=True,
    )

    def __init__(self, packet_offset: int = -1) -> None:
        whole_in_range("packet_offset", packet_offset)
        self._offset_option = packet_offset

    def open(self, context: Context) -> None:
        """Start with an empty sequence."""
        self._offset = context.side.get("packet_offset", self._offset_option)
        self._payloads: deque[Any] = deque()  # that wait for their timestamps
        self._timestamps: deque[int] = deque()  # that wait for their packets
        # The first timestamps have no packet, or the first packets no timestamp.
        self._skipped_timestamps = max(0, self._offset)
        self._skipped_payloads = max(0, -self._offset)
        pass_headers(context, {"in": "out"})

    def process(self, context: Context) -> None:
        """Send the packet whose timestamp has come, or that of a timestamp that waits."""
        if "in" in context.inputs:
            self._take(context)
        if self._payloads and self._timestamps:
            timestamp = self._timestamps.popleft()
            context.send("out", self._payloads.popleft(), timestamp)
        bound: int = context.bound("in")
        # A packet that is still to come goes to the first timestamp that waits.
        if self._timestamps:
            bound = self._timestamps[0]
        context.advance("out", bound)

    def close(self, context: Context) -> None:
        """Count what has no timestamp."""
        context.drop(len(self._payloads))

    def _take(self, context: Context) -> None:
        if self._skipped_payloads:
            self._skipped_payloads -= 1
            context.drop()
        else:
            self._payloads.append(context.get("in"))
        if self._skipped_timestamps:
            self._skipped_timestamps -= 1
        else:
            self._timestamps.append(context.timestamp)


class Counter(Calculator):
    """Sends on ``count`` at each packet of ``in`` how many have come, itself among them.

    Args:
        start: what is added to each number.
    """

    contract = Contract(inputs={"in": object}, outputs={"count": int})

    def __init__(self, start: int = 0) -> None:
        whole_in_range("start", start)
        self._start = start

    def open(self, context: Context) -> None:
        """Start at the beginning."""
        self._count = self._start

    def process(self, context: Context) -> None:
        """Count one more."""
        self._count += 1
        context.send("count", self._count)


_NUMBERS = ("max_count", "batch_size", "initial_value", "increment")


class CountingSource(Calculator):
    """A source that sends whole numbers on ``out``, each at the timestamp that it is itself.

    Side inputs (all optional) say otherwise than the options of the same names.
    Source: ``mediapipe/calculators/core/counting_source_calculator.cc``.

    Args:
        max_count: calls until it ends, 0 or more; None for ever.
        batch_size: numbers that one call sends, 1 or more.
        initial_value: the first number.
        increment: from one number to the next, 1 or more.
    """

    contract = Contract(
        outputs={"out": int},
        side_inputs=dict.fromkeys(_NUMBERS, int),
        optional=frozenset(_NUMBERS),
        timestamp_offset=None,
    )

    def __init__(
        self,
        *,
        max_count: int | None = None,
        batch_size: int = 1,
        initial_value: int = 0,
        increment: int = 1,
    ) -> None:
        self._options = {
            "max_count": max_count,
            "batch_size": batch_size,
            "initial_value": initial_value,
            "increment": increment,
        }
        _check(self._options)

    def open(self, context: Context) -> None:
        """Start at the first number."""
        numbers = {**self._options, **context.side}
        # Once more: side packets are not known before.
        _check(numbers)
        self._left = numbers["max_count"]
        self._batch_size = numbers["batch_size"] or 1
        self._number = numbers["initial_value"] or 0
        self._increment = numbers["increment"] or 1

    def process(self, context: Context) -> None:
        """Send a batch."""
        if self._left == 0:
            context.finish()
            return
        if self._left is not None:
            self._left -= 1
        for _ in range(self._batch_size):
            context.send("out", self._number, Timestamp(self._number))
            self._number += self._increment


def _check(numbers: dict[str, int | None]) -> None:
    if numbers["max_count"] is not None:
        whole_in_range("max_count", numbers["max_count"], low=0)
    whole_in_range("batch_size", numbers["batch_size"], low=1)
    whole_in_range("initial_value", numbers["initial_value"])
    whole_in_range("increment", numbers["increment"], low=1)
