"""Input stream handlers of MediaPipe as our input policies."""

from collections.abc import Callable, Mapping
from typing import Any

import handheld.graph.contract as contracts
from handheld.errors import HandheldError, InputError
from handheld.graph._suggest import suggestion
from handheld.graph.contract import DefaultPolicy, ImmediatePolicy, InputPolicy, SyncSetPolicy
from handheld.graph.text.model import HandlerText, canonical_name, parse_tag_index
from handheld.graph.text.options import OptionReader, read_handler_options
from handheld.graph.text.tokens import located

PortOf = Callable[[str], str]
"""Port in a text (``TAG``, ``TAG:1``, ``0``) -> port of the calculator; raises where none is."""

_Read = Callable[[OptionReader, str], Any]
_Maker = Callable[[OptionReader, PortOf], InputPolicy]


def input_policy(handler: HandlerText, port_of: PortOf, source: str) -> InputPolicy:
    """Return the input policy that a handler names.

    Args:
        handler: with its options.
        port_of: names the ports of the calculator.
        source: file or other name of the text.

    Raises:
        GraphTextError: there is no such handler, or its options are not those that it takes.
    """
    maker = _MAKERS.get(handler.type)
    if maker is None:
        reason = f"no input stream handler {handler.type!r}{suggestion(handler.type, _MAKERS)}"
        raise located(reason, source, handler.position)
    try:
        with read_handler_options(handler, source) as options:
            return maker(options, port_of)
    except InputError as error:
        raise located(f"{handler.type}: {error}", source, handler.position) from error


def _immediate(options: OptionReader, port_of: PortOf) -> InputPolicy:
    return ImmediatePolicy()


def _default(options: OptionReader, port_of: PortOf) -> InputPolicy:
    if options.whole("batch_size", 1, low=1) == 1:
        return DefaultPolicy()
    return _named("DefaultPolicy", options, {"batch_size": OptionReader.whole})


def _sync_sets(options: OptionReader, port_of: PortOf) -> InputPolicy:
    sets: list[tuple[str, ...]] = []
    for sync_set in options.messages("sync_set"):
        with sync_set:
            names = [_canonical(text) for text in sync_set.texts("tag_index")]
        sets.append(tuple(map(port_of, names)))
    return SyncSetPolicy(tuple(sets))


def _canonical(text: str) -> str:
    return canonical_name(*parse_tag_index(text))


def _fixed_size(options: OptionReader, port_of: PortOf) -> InputPolicy:
    fields: dict[str, _Read] = {
        "trigger_queue_size": OptionReader.whole,
        "target_queue_size": OptionReader.whole,
        "fixed_min_size": OptionReader.flag,
    }
    return _named("FixedSizePolicy", options, fields)


def _timestamp_align(options: OptionReader, port_of: PortOf) -> InputPolicy:
    def base(options: OptionReader, name: str) -> str:
        return port_of(_canonical(options.text(name)))

    return _named("TimestampAlignPolicy", options, {"timestamp_base_tag_index": base})


def _plain(name: str) -> _Maker:
    """Return what makes a policy without options."""

    def make(options: OptionReader, port_of: PortOf) -> InputPolicy:
        return _named(name, options, {})

    return make


def _named(name: str, options: OptionReader, fields: Mapping[str, _Read]) -> InputPolicy:
    """Make a policy by the name of its class, with those arguments that the text says.

    By name, since not every version of ``handheld.graph.contract`` has each of them.
    """
    arguments = {
        field: read(options, field) for field, read in fields.items() if options.has(field)
    }
    policy_class = getattr(contracts, name, None)
    if policy_class is None:
        raise InputError(f"there is no input policy {name}")
    try:
        policy: InputPolicy = policy_class(**arguments)
    except TypeError as error:
        raise InputError(f"{name} does not take {arguments}: {error}") from error
    except HandheldError as error:
        raise InputError(str(error)) from error
    return policy


_MAKERS: Mapping[str, _Maker] = {
    "DefaultInputStreamHandler": _default,
    "InOrderInputStreamHandler": _default,
    "ImmediateInputStreamHandler": _immediate,
    "SyncSetInputStreamHandler": _sync_sets,
    "FixedSizeInputStreamHandler": _fixed_size,
    "EarlyCloseInputStreamHandler": _plain("EarlyClosePolicy"),
    "BarrierInputStreamHandler": _plain("BarrierPolicy"),
    "MuxInputStreamHandler": _plain("MuxPolicy"),
    "TimestampAlignInputStreamHandler": _timestamp_align,
}
