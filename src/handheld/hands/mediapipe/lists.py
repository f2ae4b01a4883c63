"""Lists: split, cut short, counted; and constants and switches of side packets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from handheld.errors import InputError
from handheld.graph import Calculator
from handheld.graph.text import (
    NodeText,
    OptionReader,
    canonical_names,
    node_of_message,
    read_options,
)
from handheld.graph.text.library import ordered_ports, ports_of
from handheld.hands.mediapipe.nodes import SideCalculator, converter, wrong


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


def split_calculator(node: NodeText) -> Calculator:
    """Make a ``Split...Calculator`` of lists or landmarks."""
    with read_options(node, "SplitVectorCalculatorOptions") as options:
        ranges: list[tuple[int, int]] = []
        for entry in options.messages("ranges"):
            with entry:
                begin = entry.whole("begin", 0, low=0)
                ranges.append((begin, entry.whole("end", 0, low=begin + 1)))
        rule = Split(tuple(ranges), options.flag("element_only"), options.flag("combine_outputs"))
    outputs = ordered_ports(node.outputs)
    if rule.element_only and (rule.combine or any(e - b != 1 for b, e in rule.ranges)):
        raise wrong(node, "element_only: expected ranges of one item, and no combine_outputs")
    if not ranges or len(outputs) != (1 if rule.combine else len(ranges)):
        raise wrong(node, f"expected an output for each of {len(ranges)} ranges")
    return converter(
        node,
        partial(split, rule=rule),
        inputs={ordered_ports(node.inputs)[0]: object},
        outputs=dict.fromkeys(outputs, object),
    )


def clip_size_calculator(node: NodeText) -> Calculator:
    """Make a ``Clip...VectorSizeCalculator``."""
    with read_options(node, "ClipVectorSizeCalculatorOptions") as options:
        max_size = options.whole("max_vec_size", 1, low=1)
    return converter(
        node,
        partial(_clipped, default=max_size),
        inputs={"0": Sequence},
        outputs={"0": Sequence},
        optional_sides={"0": int},
    )


def _clipped(items: Sequence[Any], max_size: int | None, *, default: int) -> Sequence[Any]:
    max_size = default if max_size is None else max_size
    if max_size < 1:
        raise InputError(f"expected a length of 1 or more, got {max_size}")
    return items[:max_size]


def has_min_size_calculator(node: NodeText) -> Calculator:
    """Make a ``...HasMinSizeCalculator``."""
    with read_options(node, "CollectionHasMinSizeCalculatorOptions") as options:
        min_size = options.whole("min_size", 0, low=0)
    return converter(
        node,
        partial(_has_size, default=min_size),
        inputs={"ITERABLE": Sequence},
        outputs={"0": bool},
        optional_sides={"0": int},
    )


def _has_size(items: Sequence[Any], min_size: int | None, *, default: int) -> bool:
    return len(items) >= (default if min_size is None else min_size)


_CONSTANTS: Mapping[str, Callable[[OptionReader, str], Any]] = {
    "int_value": OptionReader.whole,
    "uint64_value": OptionReader.whole,
    "int64_value": OptionReader.whole,
    "float_value": OptionReader.number,
    "double_value": OptionReader.number,
    "bool_value": OptionReader.flag,
    "string_value": OptionReader.text,
}


def constant_calculator(node: NodeText) -> SideCalculator:
    """Make a ``ConstantSidePacketCalculator`` of numbers, flags and texts."""
    values: list[Any] = []
    with read_options(node, "ConstantSidePacketCalculatorOptions") as options:
        for packet in options.messages("packet"):
            with packet:
                values.append(_constant(packet))
    outputs = ports_of(node.side_outputs, "PACKET")
    if not values or len(values) != len(outputs):
        raise wrong(node, f"expected an output PACKET for each of {len(values)} packets")
    constants = dict(zip(outputs, values, strict=True))
    return SideCalculator(partial(_constants, constants=constants), outputs=_any(outputs))


def _constant(packet: OptionReader) -> Any:
    names = packet.names()
    if len(names) != 1 or names[0] not in _CONSTANTS:
        expected = f"expected one of {', '.join(_CONSTANTS)}, got {', '.join(names) or 'none'}"
        raise packet.located(names[0] if names else "", expected)
    return _CONSTANTS[names[0]](packet, names[0])


def _constants(side: Mapping[str, Any], constants: Mapping[str, Any]) -> Mapping[str, Any]:
    return constants


def _any(ports: Sequence[str]) -> dict[str, Any]:
    return dict.fromkeys(ports, object)


_SELECTORS = ("SELECT", "ENABLE")


def switch_calculator(
    node: NodeText, *, contained: Mapping[str, Callable[[NodeText], SideCalculator]]
) -> Calculator:
    """Make a ``SwitchContainer`` of nodes with side packets alone, such as a choice of a file.

    Args:
        node: the container.
        contained: what may stand in it, by name.
    """
    if node.inputs or node.outputs:
        raise wrong(node, "a switch of streams is not known here: of side packets alone")
    names = canonical_names(node.side_inputs)
    selectors = [name for name in names if name in _SELECTORS]
    with read_options(node, "SwitchContainerOptions") as options:
        if len(selectors) > 1 or (options.has("select") and options.has("enable")):
            raise wrong(node, "expected one of SELECT and ENABLE")
        selected = options.whole("select", int(options.flag("enable")), low=0)
        options.ignore("synchronize_io", "async_selection", "tick_input_stream")
        channels: list[SideCalculator] = []
        for message in options.raw("contained_node"):
            inner = node_of_message(message, node.source)
            if inner.calculator not in contained:
                reason = f"expected one of {', '.join(contained)} in it, got {inner.calculator}"
                raise options.located("contained_node", reason)
            channels.append(contained[inner.calculator](_wired(inner, node)))
    others = [name for name in names if name not in _SELECTORS]
    return SideCalculator(
        partial(_switched, channels=tuple(channels), selected=selected),
        inputs=_any([*selectors, *others]),
        outputs=_any(canonical_names(node.side_outputs)),
    )


def _wired(inner: NodeText, container: NodeText) -> NodeText:
    """Return a node with the ports of the container that it stands in."""
    sides = tuple(port for port in container.side_inputs if port.tag not in _SELECTORS)
    return replace(inner, side_inputs=sides, side_outputs=container.side_outputs)


def _switched(
    side: Mapping[str, Any], channels: Sequence[SideCalculator], selected: int
) -> Mapping[str, Any]:
    for name in _SELECTORS:
        selected = int(side.get(name, selected))
    if not 0 <= selected < len(channels):
        raise InputError(f"select: expected 0 to {len(channels) - 1}, got {selected}")
    return channels[selected].packets(side)
