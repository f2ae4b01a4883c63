"""Input stream handlers of MediaPipe as our input policies."""

from collections.abc import Callable, Mapping

from handheld.errors import GraphTextError, HandheldError
from handheld.graph._suggest import suggestion
from handheld.graph.policies import (
    BarrierPolicy,
    DefaultPolicy,
    EarlyClosePolicy,
    FixedSizePolicy,
    ImmediatePolicy,
    InputPolicy,
    MuxPolicy,
    SyncSetPolicy,
    TimestampAlignPolicy,
)
from handheld.graph.text.model import HandlerText, canonical_name, parse_tag_index
from handheld.graph.text.options import OptionReader, read_handler_options
from handheld.graph.text.tokens import located

PortOf = Callable[[str], str]
"""Port in a text (``TAG``, ``TAG:1``, ``0``) -> port of the calculator; raises where none is."""

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
    # It is a HandheldError too, and knows its place in the text already.
    except GraphTextError:
        raise
    except HandheldError as error:
        raise located(f"{handler.type}: {error}", source, handler.position) from error


def _default(options: OptionReader, port_of: PortOf) -> InputPolicy:
    return DefaultPolicy(batch_size=options.whole("batch_size", 1, low=1))


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
    # Defaults of fixed_size_input_stream_handler.proto.
    return FixedSizePolicy(
        trigger_queue_size=options.whole("trigger_queue_size", 2),
        target_queue_size=options.whole("target_queue_size", 1),
        fixed_min_size=options.flag("fixed_min_size"),
    )


def _mux(options: OptionReader, port_of: PortOf) -> InputPolicy:
    return MuxPolicy(port_of("SELECT"))


def _timestamp_align(options: OptionReader, port_of: PortOf) -> InputPolicy:
    return TimestampAlignPolicy(port_of(_canonical(options.text("timestamp_base_tag_index"))))


def _plain(policy: InputPolicy) -> _Maker:
    """Return what gives a policy without options."""

    def make(options: OptionReader, port_of: PortOf) -> InputPolicy:
        return policy

    return make


_MAKERS: Mapping[str, _Maker] = {
    "DefaultInputStreamHandler": _default,
    "InOrderInputStreamHandler": _default,
    "ImmediateInputStreamHandler": _plain(ImmediatePolicy()),
    "SyncSetInputStreamHandler": _sync_sets,
    "FixedSizeInputStreamHandler": _fixed_size,
    "EarlyCloseInputStreamHandler": _plain(EarlyClosePolicy()),
    "BarrierInputStreamHandler": _plain(BarrierPolicy()),
    "MuxInputStreamHandler": _mux,
    "TimestampAlignInputStreamHandler": _timestamp_align,
}
