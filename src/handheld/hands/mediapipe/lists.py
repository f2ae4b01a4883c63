"""Lists of landmarks, which are arrays, cut into pieces and put together again."""

from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np

from handheld.errors import InputError
from handheld.graph import Calculator
from handheld.graph.text import (
    NodeText,
    read_options,
)
from handheld.graph.text.library_ports import ordered_ports
from handheld.hands.mediapipe.nodes import converter, wrong


@dataclass(frozen=True)
class Split:
    """How a list becomes several.

    Attributes:
        ranges: first item and the one behind the last, of each output.
        element_only: outputs are items, not lists of one.
        combine: one output with the items of all ranges.
    """

    ranges: tuple[tuple[int, int], ...]
    element_only: bool = False
    combine: bool = False


def split(items: Any, rule: Split) -> Any:
    """Return the pieces of a list or of an array's rows.

    Args:
        items: a list, or an array of rows.
        rule: how they are cut.

    Raises:
        InputError: the list is too short.
    """
    longest = max(end for _, end in rule.ranges)
    if len(items) < longest:
        raise InputError(f"expected {longest} items or more, got {len(items)}")
    if rule.element_only:
        pieces = [items[begin] for begin, _ in rule.ranges]
    else:
        pieces = [items[begin:end] for begin, end in rule.ranges]
    if rule.combine:
        if isinstance(items, np.ndarray):
            return np.concatenate(pieces)
        return list(chain.from_iterable(pieces))
    return pieces[0] if len(pieces) == 1 else tuple(pieces)


def _split_rule(node: NodeText) -> Split:
    """Return what a node's options say. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "SplitVectorCalculatorOptions") as options:
        ranges: list[tuple[int, int]] = []
        for entry in options.messages("ranges"):
            with entry:
                begin = entry.whole("begin", 0, low=0)
                ranges.append((begin, entry.whole("end", 0, low=begin + 1)))
        combine = options.flag("combine_outputs")
        # Combined, the items are a list again, as in MediaPipe.
        element_only = options.flag("element_only") and not combine
    if element_only and any(end - begin != 1 for begin, end in ranges):
        raise wrong(node, "element_only: expected ranges of one item")
    # Sorted, so that it is enough to look at neighbours.
    neighbours = pairwise(sorted(ranges))
    if combine and any(begin < end for (_, end), (begin, _) in neighbours):
        raise wrong(node, "combine_outputs: expected ranges that do not overlap")
    return Split(tuple(ranges), element_only, combine)


def split_calculator(node: NodeText) -> Calculator:
    """Make a ``Split...LandmarkListCalculator``; those of lists are in ``graph``'s library."""
    rule = _split_rule(node)
    outputs = ordered_ports(node.outputs)
    if not rule.ranges or len(outputs) != (1 if rule.combine else len(rule.ranges)):
        raise wrong(node, f"expected an output for each of {len(rule.ranges)} ranges")
    return converter(
        node,
        partial(split, rule=rule),
        inputs={ordered_ports(node.inputs)[0]: object},
        outputs=dict.fromkeys(outputs, object),
    )
