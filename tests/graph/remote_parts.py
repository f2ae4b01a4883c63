"""Calculators for tests of processes: another process has to import them."""

import asyncio
import os
import signal
import time
from typing import Any

from handheld.graph import Calculator, Context, Contract, calculator


class Accumulate(Calculator):
    """Sends the sum so far, its process's number beside it, and says a lot besides."""

    contract = Contract(
        inputs={"in": int, "side_door": int},
        outputs={"sum": int, "process": int},
        side_inputs={"start": int},
        side_outputs={"begun": int},
        optional=frozenset({"side_door"}),
        timestamp_offset=None,
    )

    def open(self, context: Context) -> None:
        self.sum = context.side["start"]
        context.set_header("sum", {"of": context.header("in")})
        context.send_side("begun", self.sum)

    def process(self, context: Context) -> None:
        if context.get("in") == 13:
            raise ValueError("thirteen")
        if context.get("in") == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        if context.get("in") == 15:
            context.drop(2)
        assert context.bound("in") > context.timestamp
        self.sum += context.get("in")
        context.send("sum", self.sum)
        context.send("process", os.getpid())
        context.advance("process", context.timestamp + 1)

    def close(self, context: Context) -> None:
        context.send("sum", -self.sum, 1_000_000)


@calculator
def slow_square(number: int, *, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return number * number


class Unpicklable(Calculator):
    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def __init__(self) -> None:
        self.function: Any = lambda: 0

    def process(self, context: Context) -> None:
        pass


class SendsUnpicklable(Calculator):
    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def process(self, context: Context) -> None:
        context.send("out", lambda: 0)


class FailsToOpen(Calculator):
    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def open(self, context: Context) -> None:
        raise ValueError("not today")

    def process(self, context: Context) -> None:
        pass


class Gain(Calculator):
    """Sends a number times an option."""

    contract = Contract(inputs={"in": int}, outputs={"out": int}, options={"factor": int})

    def __init__(self) -> None:
        self.factor = 2

    def process(self, context: Context) -> None:
        context.send("out", context.get("in") * self.factor)


class Model(Calculator):
    """Sends the number of its process and of the resets it survived; 14 kills it."""

    contract = Contract(inputs={"in": int}, outputs={"out": tuple})

    def open(self, context: Context) -> None:
        self.resets = 0

    def reset(self, context: Context) -> None:
        self.resets += 1

    def process(self, context: Context) -> None:
        if context.get("in") == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        context.send("out", (os.getpid(), self.resets))


class Session(Calculator):
    """Awaits in each of its methods, on one event loop."""

    contract = Contract(inputs={"in": int}, outputs={"out": bool})

    async def open(self, context: Context) -> None:
        self.loop = asyncio.get_running_loop()

    async def process(self, context: Context) -> None:
        await asyncio.sleep(0)
        context.send("out", self.loop is asyncio.get_running_loop())

    async def close(self, context: Context) -> None:
        await asyncio.sleep(0)


@calculator
async def awaited_double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


class Countdown(Calculator):
    """A source that says itself when it is next: that which has least left, first."""

    contract = Contract(outputs={"out": int})

    def __init__(self, left: int) -> None:
        self.left = left

    def process(self, context: Context) -> None:
        self.left -= 1
        context.send("out", self.left, max(0, context.output_bound("out")))
        if not self.left:
            context.finish()

    def source_order(self, context: Context) -> int:
        # The bound counts what the last call sent, as it does without a process.
        return self.left + 0 * context.output_bound("out")
