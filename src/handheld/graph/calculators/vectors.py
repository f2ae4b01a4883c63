"""Calculators of lists: MediaPipe's vectors."""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.control import numbered
from handheld.graph.contract import Contract
from handheld.ranges import whole_in_range

Range = tuple[int, int]
"""Begin and end of a part of a list, half-open."""


class SplitVector(Calculator):
    """Sends parts of each list on ``in``: of each range one, as a list on an output of its own.

    A list that is too short for a range is an error.
    Source: ``mediapipe/calculators/core/split_vector_calculator.h``.

    Args:
        ranges: half-open, each [begin, end) with 0 <= begin < end.
        element_only: send the item itself rather than a list of it; of ranges of one item alone.
        combine_outputs: send all parts as one list on the first output; of ranges that do not
            overlap alone.
        outputs: their names; None for ``out0``, ``out1``, ..., one for each range, or one for all.
    """

    def __init__(
        self,
        ranges: Sequence[Range],
        *,
        element_only: bool = False,
        combine_outputs: bool = False,
        outputs: Sequence[str] | None = None,
    ) -> None:
        self._ranges = [(int(begin), int(end)) for begin, end in ranges]
        _check_ranges(self._ranges, element_only=element_only, combine_outputs=combine_outputs)
        self._element_only = element_only
        self._combine = combine_outputs
        count = len(self._ranges)
        if combine_outputs:
            count = 1
        self._outputs = numbered("outputs", count, "out")
        if outputs is not None:
            self._outputs = list(outputs)
        if len(self._outputs) != count:
            raise InputError(f"outputs: expected {count} of them, got {len(self._outputs)}")
        # Combined, the items are a list again.
        sends_items = element_only and not combine_outputs
        hint: Any = list[Any]
        if sends_items:
            hint = object
        self.contract = Contract(
            inputs={"in": Sequence}, outputs=dict.fromkeys(self._outputs, hint)
        )

    def process(self, context: Context) -> None:
        """Send the parts."""
        items = context.get("in")
        longest = max(end for _, end in self._ranges)
        if len(items) < longest:
            raise InputError(f"expected a list of at least {longest} items, got {len(items)}")
        slices = [list(items[begin:end]) for begin, end in self._ranges]
        if self._combine:
            context.send(self._outputs[0], list(chain.from_iterable(slices)))
            return
        for output, pieces in zip(self._outputs, slices, strict=True):
            if self._element_only:
                context.send(output, pieces[0])
            else:
                context.send(output, pieces)


def _check_ranges(ranges: Sequence[Range], *, element_only: bool, combine_outputs: bool) -> None:
    if not ranges:
        raise InputError("ranges: expected at least one, got none")
    for begin, end in ranges:
        whole_in_range("begin of a range", begin, low=0)
        whole_in_range("end of a range", end, low=begin + 1)
        if element_only and end > begin + 1:
            raise InputError(f"ranges: element_only takes ranges of one item, got [{begin}, {end})")
    if combine_outputs:
        # Sorted, so that it is enough to look at neighbours.
        for (_, end), (begin, _) in pairwise(sorted(ranges)):
            if begin < end:
                raise InputError("ranges: combine_outputs takes ranges that do not overlap")


class ConcatenateVector(Calculator):
    """Sends on ``out`` one list of what the inputs have, in the order of the inputs.

    A list or tuple adds its items, anything else itself. Inputs without a packet add nothing.
    Source: ``mediapipe/calculators/core/concatenate_vector_calculator.h``.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ..., or their names.
        only_emit_if_all_present: send nothing where an input has no packet; what the others have is
            counted as dropped.
    """

    def __init__(
        self, inputs: int | Sequence[str] = 2, *, only_emit_if_all_present: bool = False
    ) -> None:
        self._ports = numbered("inputs", inputs, "in")
        self._all_or_nothing = only_emit_if_all_present
        self.contract = Contract(
            inputs=dict.fromkeys(self._ports, object), outputs={"out": list[Any]}
        )

    def process(self, context: Context) -> None:
        """Join the lists of one timestamp."""
        if self._all_or_nothing and len(context.inputs) < len(self._ports):
            context.drop(len(context.inputs))
            return
        items: list[Any] = []
        for port in self._ports:
            if port not in context.inputs:
                continue
            value = context.get(port)
            # Not any Sequence: a text is one item.
            if isinstance(value, list | tuple):
                items.extend(value)
            else:
                items.append(value)
        context.send("out", items)


class VectorSize(Calculator):
    """Sends on ``size`` the number of items of each list on ``vector``.

    Source: ``mediapipe/calculators/core/vector_size_calculator.h``, and with ``clock``
    ``mediapipe/calculators/util/counting_vector_size_calculator.h``.

    Args:
        clocked: there is an input ``clock``, and at its packets without a list 0 is sent.
    """

    contract = Contract(inputs={"vector": Sequence}, outputs={"size": int})

    def __init__(self, *, clocked: bool = False) -> None:
        if clocked:
            self.contract = Contract(
                inputs={"clock": object, "vector": Sequence}, outputs={"size": int}
            )

    def process(self, context: Context) -> None:
        """Count the items of one list."""
        size = 0
        if "vector" in context.inputs:
            size = len(context.get("vector"))
        context.send("size", size)


class VectorHasMinSize(Calculator):
    """Sends on ``out`` whether each list on ``iterable`` has at least so many items.

    The side input ``min_size`` (optional) says otherwise than the option.
    Source: ``mediapipe/calculators/util/collection_has_min_size_calculator.h``.

    Args:
        min_size: 0 or more.
    """

    contract = Contract(
        inputs={"iterable": Sequence},
        outputs={"out": bool},
        side_inputs={"min_size": int},
        optional=frozenset({"min_size"}),
    )

    def __init__(self, min_size: int = 0) -> None:
        whole_in_range("min_size", min_size, low=0)
        self._min_size_option = min_size

    def open(self, context: Context) -> None:
        """Look which size is meant."""
        self._min_size = context.side.get("min_size", self._min_size_option)
        whole_in_range("side packet min_size", self._min_size, low=0)

    def process(self, context: Context) -> None:
        """Compare one list's size."""
        context.send("out", len(context.get("iterable")) >= self._min_size)


class ClipVectorSize(Calculator):
    """Sends on ``out`` the first items of each list on ``in``, at most so many.

    The side input ``max_size`` (optional) says otherwise than the option.
    Source: ``mediapipe/calculators/core/clip_vector_size_calculator.h``.

    Args:
        max_size: 1 or more.
    """

    contract = Contract(
        inputs={"in": Sequence},
        outputs={"out": list[Any]},
        side_inputs={"max_size": int},
        optional=frozenset({"max_size"}),
    )

    def __init__(self, max_size: int = 1) -> None:
        whole_in_range("max_size", max_size, low=1)
        self._max_size_option = max_size

    def open(self, context: Context) -> None:
        """Look which size is meant."""
        self._max_size = context.side.get("max_size", self._max_size_option)
        whole_in_range("side packet max_size", self._max_size, low=1)

    def process(self, context: Context) -> None:
        """Clip one list."""
        context.send("out", list(context.get("in")[: self._max_size]))


class GetVectorItem(Calculator):
    """Sends on ``item`` one item of each list on ``vector``.

    Its index is that on ``index`` (optional) at the same timestamp, else the option; without either
    nothing is sent. An index that is not in the list is an error.
    Source: ``mediapipe/calculators/core/get_vector_item_calculator.h``.

    Args:
        item_index: from 0; None for that on ``index`` alone.
        output_empty_on_oob: send nothing, rather than raise, for an index beyond the list's end;
            the list is counted as dropped.
    """

    contract = Contract(
        inputs={"vector": Sequence, "index": int},
        outputs={"item": object},
        optional=frozenset({"index"}),
    )

    def __init__(self, item_index: int | None = None, *, output_empty_on_oob: bool = False) -> None:
        if item_index is not None:
            whole_in_range("item_index", item_index, low=0)
        self._item_index = item_index
        self._allows_beyond = output_empty_on_oob

    def process(self, context: Context) -> None:
        """Send one item."""
        if "vector" not in context.inputs:
            return
        items = context.get("vector")
        index = self._item_index
        if "index" in context.inputs:
            index = context.get("index")
        if index is None:
            context.drop()
        elif 0 <= index < len(items):
            context.send("item", items[index])
        # Below zero always: that is no list that came out too short, but a mistake.
        elif index < 0 or not self._allows_beyond:
            raise InputError(f"expected an index of a list of {len(items)} items, got {index}")
        else:
            context.drop()
