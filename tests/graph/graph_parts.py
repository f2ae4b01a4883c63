"""Calculators for tests: small, deterministic, with numbers that a reader can check by hand."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from handheld.graph import Calculator, Context, Contract, InputPolicy, SyncSetPolicy


class Numbers(Calculator):
    """A source: sends 0, 1, ... at 0, ``step``, 2 ``step``, ...; for ever where
    ``count`` is None.
    """

    contract = Contract(outputs={"out": int}, timestamp_offset=None)

    def __init__(self, count: int | None, step: int = 1) -> None:
        self.count, self.step = count, step

    def open(self, context: Context) -> None:
        self.sent = 0

    def process(self, context: Context) -> None:
        if self.sent == self.count:
            context.finish()
            return
        context.send("out", self.sent, self.sent * self.step)
        self.sent += 1


class Keep(Calculator):
    """Sends on only the payloads of which ``keep`` is true; what it drops is settled
    all the same.
    """

    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def __init__(self, keep: Callable[[int], bool]) -> None:
        self.keep = keep

    def process(self, context: Context) -> None:
        if self.keep(context.get("in")):
            context.send("out", context.get("in"))


class Residue:
    """Whether a number divided by another leaves one of some remainders; can be pickled."""

    def __init__(self, divisor: int, remainders: Collection[int]) -> None:
        self.divisor, self.remainders = divisor, set(remainders)

    def __call__(self, number: int) -> bool:
        return number % self.divisor in self.remainders


class Shift(Calculator):
    """Sends each packet ``offset`` microseconds later (or earlier), and declares so."""

    def __init__(self, offset: int, *, declared: bool = True) -> None:
        self.offset = offset
        self.contract = Contract(
            inputs={"in": int}, outputs={"out": int}, timestamp_offset=offset if declared else None
        )

    def process(self, context: Context) -> None:
        context.send("out", context.get("in"), context.timestamp + self.offset)


class Burst(Calculator):
    """Sends three packets for one, as soon after it as the stream allows, and promises nothing
    about timestamps.
    """

    contract = Contract(inputs={"in": int}, outputs={"out": int}, timestamp_offset=None)

    def open(self, context: Context) -> None:
        self.next: int | None = None

    def process(self, context: Context) -> None:
        start = context.timestamp if self.next is None else max(context.timestamp, self.next)
        for number in range(3):
            context.send("out", context.get("in") + number, start + number)
        self.next = start + 3


class Join(Calculator):
    """Sends at each timestamp what all inputs have, as one number: a digit in base 1009 for each
    input, 0 for none.
    """

    def __init__(self, inputs: int, policy: InputPolicy | None = None) -> None:
        self.ports = [f"in{number}" for number in range(inputs)]
        more = {} if policy is None else {"policy": policy}
        self.contract = Contract(
            inputs=dict.fromkeys(self.ports, int), outputs={"out": int}, **more
        )

    def process(self, context: Context) -> None:
        total = 0
        for port in self.ports:
            payload = context.get(port)
            total = total * 1009 + (0 if payload is None else 1 + payload % 1000)
        context.send("out", total % 1_000_003)


class Echo(Calculator):
    """Adds ``past``, its own earlier result, to what comes in."""

    contract = Contract(inputs={"in": int, "past": int}, outputs={"out": int})

    def process(self, context: Context) -> None:
        if "in" in context.inputs:
            context.send("out", (context.get("in") + (context.get("past") or 0)) % 1_000_003)


class Delay(Shift):
    """Sends each packet ``offset`` later, and says at the beginning that nothing comes before
    ``start`` plus that.
    """

    def __init__(self, offset: int, *, start: int) -> None:
        super().__init__(offset)
        self.start = start

    def open(self, context: Context) -> None:
        context.advance("out", self.start + self.offset)


class TwoLanes(Calculator):
    """Two sync sets that do not touch each other: each sends its own sums, so the result is
    determined all the same.
    """

    contract = Contract(
        inputs={"a": int, "b": int},
        outputs={"a": int, "b": int},
        policy=SyncSetPolicy((("a",), ("b",))),
        timestamp_offset=None,
    )

    def open(self, context: Context) -> None:
        self.sums = {"a": 0, "b": 0}

    def process(self, context: Context) -> None:
        for port in context.inputs:
            self.sums[port] += context.get(port)
            context.send(port, self.sums[port])


class FirstAsSide(Calculator):
    """Sets the first number as a side packet, or the number of packets when it closes."""

    contract = Contract(inputs={"in": int}, side_outputs={"side": int})

    def __init__(self, *, at_close: bool) -> None:
        self.at_close = at_close

    def open(self, context: Context) -> None:
        self.count = 0

    def process(self, context: Context) -> None:
        if not self.count and not self.at_close:
            context.send_side("side", context.get("in"))
        self.count += 1

    def close(self, context: Context) -> None:
        if self.at_close or not self.count:
            context.send_side("side", self.count)


class PlusSide(Calculator):
    """Adds a side packet to what comes."""

    contract = Contract(inputs={"in": int}, outputs={"out": int}, side_inputs={"plus": int})

    def process(self, context: Context) -> None:
        context.send("out", (context.get("in") + context.side["plus"]) % 1_000_003)


class SideNumbers(Numbers):
    """A source whose numbers are as many as a side packet says, by the remainder of 7."""

    contract = Contract(outputs={"out": int}, side_inputs={"side": int}, timestamp_offset=None)

    def __init__(self) -> None:
        super().__init__(None)

    def open(self, context: Context) -> None:
        super().open(context)
        self.count = context.side["side"] % 7


class Call(Calculator):
    """Calls a function with the context: for nodes that do one odd thing."""

    def __init__(
        self, function: Callable[[Context], Any], contract: Contract | None = None
    ) -> None:
        self.function = function
        self.contract = contract or Contract(inputs={"in": object}, outputs={"out": object})

    def process(self, context: Context) -> None:
        self.function(context)


class Log(Calculator):
    """Writes down its calls: (method, timestamp, port -> payload)."""

    def __init__(
        self, contract: Contract | None = None, calls: list[Any] | None = None, name: str = ""
    ) -> None:
        self.contract = contract or Contract(inputs={"in": object}, outputs={"out": object})
        self.calls: list[Any] = [] if calls is None else calls
        self.name = name

    def open(self, context: Context) -> None:
        self.calls.append((self.name + "open",))

    def process(self, context: Context) -> None:
        self.calls.append(
            (
                self.name + "process",
                context.timestamp,
                {p: q.payload for p, q in context.inputs.items()},
            )
        )

    def close(self, context: Context) -> None:
        self.calls.append((self.name + "close",))


def pairs(packets: Sequence[Any]) -> list[tuple[Any, int]]:
    """Return (payload, timestamp) of packets."""
    return [(packet.payload, packet.timestamp) for packet in packets]
