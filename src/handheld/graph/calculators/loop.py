"""A subgraph that runs once for each item of a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.graph.timestamp import Timestamp

# Loop time from one item to the next. Bounds that settle between two lists, and how many depends on
# the run, fit between: so the timestamps of the items do not depend on it.
_STEP = 1_000_000


@dataclass(frozen=True)
class BatchEnd:
    """The end of one list.

    Attributes:
        timestamp: that the list came at.
        empty: if there was none, only a settled bound.
    """

    timestamp: int
    empty: bool = False


class BeginLoop(Calculator):
    """Sends the items of each list on ``items`` one by one on ``item``.

    They are at timestamps of the loop's own: 1, 2, 3, ... seconds. ``clone`` (optional) is sent
    beside each item as ``cloned``. Connect ``batch_end`` to the :class:`EndLoop`. A packet on
    ``tick`` (optional) does nothing but come. Source:
    ``mediapipe/calculators/core/begin_loop_calculator.h``.

    Args:
        clones: input port -> output port of what is sent beside each item.
    """

    contract = Contract(
        inputs={"items": Sequence, "clone": object, "tick": object},
        outputs={"item": object, "cloned": object, "batch_end": BatchEnd},
        optional=frozenset({"clone", "tick"}),
        # The loop has a time of its own.
        timestamp_offset=None,
        # So that EndLoop hears of timestamps without a list, and settles them outside the loop.
        process_bounds=True,
    )

    def __init__(self, clones: Mapping[str, str] | None = None) -> None:
        if clones is None:
            clones = {"clone": "cloned"}
        self._clones = dict(clones)
        contract = type(self).contract
        inputs = {"items": Sequence, **dict.fromkeys(self._clones, object), "tick": object}
        cloned = dict.fromkeys(self._clones.values(), object)
        self.contract = replace(
            contract,
            inputs=inputs,
            outputs={"item": object, **cloned, "batch_end": BatchEnd},
            optional=frozenset({*self._clones, "tick"}),
        )

    def open(self, context: Context) -> None:
        """Start the loop's own time."""
        self._next = 1

    def process(self, context: Context) -> None:
        """Unroll one list."""
        if "items" not in context.inputs:
            self._end(context, BatchEnd(context.timestamp, empty=True))
            return
        # Up to the next whole second: past the bounds since the last list.
        self._next = -(-self._next // _STEP) * _STEP
        for number, item in enumerate(context.get("items")):
            # Before each but the first, so that the end comes with the last item, and both are
            # handled at once.
            if number:
                self._next += _STEP
            context.send("item", item, self._next)
            for port, output in self._clones.items():
                if port in context.inputs:
                    context.send(output, context.get(port), self._next)
        self._end(context, BatchEnd(context.timestamp))

    def _end(self, context: Context, end: BatchEnd) -> None:
        context.send("batch_end", end, self._next)
        self._next += 1
        # Else EndLoop would wait for an item at the timestamp of the end of an empty list.
        for port in ("item", *self._clones.values()):
            context.advance(port, self._next)


class EndLoop(Calculator):
    """Gathers what the loop made of the items into a list.

    It is sent on ``items`` at the timestamp of the list that the items came from. An item for which
    the loop sent nothing is left out; an empty list gives an empty list.
    Source: ``mediapipe/calculators/core/end_loop_calculator.h``.
    """

    contract = Contract(
        inputs={"item": object, "batch_end": BatchEnd},
        outputs={"items": list[Any]},
        timestamp_offset=None,
    )

    def open(self, context: Context) -> None:
        """Start with an empty list."""
        self._items: list[Any] = []

    def process(self, context: Context) -> None:
        """Gather, and send at the end of a batch."""
        if "item" in context.inputs:
            self._items.append(context.get("item"))
        end: BatchEnd | None = context.get("batch_end")
        if end is None:
            return
        if not end.empty:
            context.send("items", self._items, Timestamp(end.timestamp))
            # A new one: the old belongs to whoever receives it.
            self._items = []
        elif self._items:
            raise InputError("a loop may not keep an item back beyond the end of its list")
        else:
            context.advance("items", end.timestamp + 1)
