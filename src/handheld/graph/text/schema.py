"""Which fields the messages of a graph have: those of MediaPipe's ``calculator.proto``.

Options are messages of calculators, which nobody here knows: they are taken as they stand.
"""

from collections.abc import Iterator
from typing import NamedTuple

from handheld.errors import GraphTextError
from handheld.graph._suggest import suggestion
from handheld.graph.text.message import TextField, TextMessage
from handheld.graph.text.scalars import MOST_UINT
from handheld.graph.text.tokens import TextPosition, located

GRAPH = "graph"
NODE = "node"
HANDLER = "input_stream_handler"
OUTPUT_HANDLER = "output_stream_handler"

TEXT = "a text"
FLAG = "true or false"
INT32 = "a whole number of 32 bits"
INT64 = "a whole number of 64 bits"
UINT32 = "a whole number of 32 bits, 0 or more"
BYTES = "bytes"

# Messages of calculators: extensions in brackets (``[mediapipe.XOptions.ext] {}``), or one message
# with its type in brackets (``[type.googleapis.com/mediapipe.XOptions] {}``).
EXTENSIONS = "options"
ANY = "node_options"

_RANGES = {
    INT32: (-(2**31), 2**31 - 1),
    INT64: (-(2**63), 2**63 - 1),
    UINT32: (0, 2**32 - 1),
}
_TRUE = ("true", "True", "t")
_FALSE = ("false", "False", "f")


class FieldRule(NamedTuple):
    """What a field holds: a type of above, or the name of a message in ``SCHEMAS``."""

    type: str
    repeated: bool = False


_TEXTS = FieldRule(TEXT, repeated=True)
# Of options of one type, whose fields nobody here knows.
_SINGLE = FieldRule("")

_PROFILER = {
    "histogram_interval_size_usec": FieldRule(INT64),
    "num_histogram_intervals": FieldRule(INT64),
    "enable_input_output_latency": FieldRule(FLAG),
    "enable_profiler": FieldRule(FLAG),
    "enable_stream_latency": FieldRule(FLAG),
    "use_packet_timestamp_for_added_packet": FieldRule(FLAG),
    "trace_log_capacity": FieldRule(INT64),
    "trace_event_types_disabled": FieldRule(INT32, repeated=True),
    "trace_log_path": FieldRule(TEXT),
    "trace_log_count": FieldRule(INT32),
    "trace_log_interval_usec": FieldRule(INT64),
    "trace_log_margin_usec": FieldRule(INT64),
    "trace_log_duration_events": FieldRule(FLAG),
    "trace_log_interval_count": FieldRule(INT32),
    "trace_log_disabled": FieldRule(FLAG),
    "trace_enabled": FieldRule(FLAG),
    "trace_log_instant_events": FieldRule(FLAG),
    "calculator_filter": FieldRule(TEXT),
}

SCHEMAS: dict[str, dict[str, FieldRule]] = {
    GRAPH: {
        "node": FieldRule(NODE, repeated=True),
        "packet_factory": FieldRule("packet_factory", repeated=True),
        "packet_generator": FieldRule("packet_generator", repeated=True),
        "num_threads": FieldRule(INT32),
        "status_handler": FieldRule("status_handler", repeated=True),
        "input_stream": _TEXTS,
        "output_stream": _TEXTS,
        "input_side_packet": _TEXTS,
        "output_side_packet": _TEXTS,
        "max_queue_size": FieldRule(INT32),
        "report_deadlock": FieldRule(FLAG),
        "runtime_info": FieldRule("runtime_info"),
        "input_stream_handler": FieldRule(HANDLER),
        "output_stream_handler": FieldRule(OUTPUT_HANDLER),
        "executor": FieldRule("executor", repeated=True),
        "profiler_config": FieldRule("profiler_config"),
        "package": FieldRule(TEXT),
        "type": FieldRule(TEXT),
        "options": FieldRule(EXTENSIONS),
        "graph_options": FieldRule(ANY, repeated=True),
    },
    NODE: {
        "name": FieldRule(TEXT),
        "calculator": FieldRule(TEXT),
        "input_stream": _TEXTS,
        "output_stream": _TEXTS,
        "input_side_packet": _TEXTS,
        "output_side_packet": _TEXTS,
        "options": FieldRule(EXTENSIONS),
        "node_options": FieldRule(ANY, repeated=True),
        "source_layer": FieldRule(INT32),
        "buffer_size_hint": FieldRule(INT32),
        "input_stream_handler": FieldRule(HANDLER),
        "output_stream_handler": FieldRule(OUTPUT_HANDLER),
        "input_stream_info": FieldRule("input_stream_info", repeated=True),
        "executor": FieldRule(TEXT),
        "profiler_config": FieldRule("profiler_config"),
        "max_in_flight": FieldRule(INT32),
        "option_value": _TEXTS,
        "external_input": _TEXTS,
    },
    HANDLER: {
        "input_stream_handler": FieldRule(TEXT),
        "options": FieldRule(EXTENSIONS),
    },
    OUTPUT_HANDLER: {
        "output_stream_handler": FieldRule(TEXT),
        "input_side_packet": _TEXTS,
        "options": FieldRule(EXTENSIONS),
    },
    "input_stream_info": {
        "tag_index": FieldRule(TEXT),
        "back_edge": FieldRule(FLAG),
    },
    "executor": {
        "name": FieldRule(TEXT),
        "type": FieldRule(TEXT),
        "options": FieldRule(EXTENSIONS),
    },
    "packet_factory": {
        "packet_factory": FieldRule(TEXT),
        "output_side_packet": FieldRule(TEXT),
        "external_output": FieldRule(TEXT),
        "options": FieldRule(EXTENSIONS),
    },
    "packet_generator": {
        "packet_generator": FieldRule(TEXT),
        "input_side_packet": _TEXTS,
        "external_input": _TEXTS,
        "output_side_packet": _TEXTS,
        "external_output": _TEXTS,
        "options": FieldRule(EXTENSIONS),
    },
    "status_handler": {
        "status_handler": FieldRule(TEXT),
        "input_side_packet": _TEXTS,
        "external_input": _TEXTS,
        "options": FieldRule(EXTENSIONS),
    },
    "runtime_info": {
        "enable_graph_runtime_info": FieldRule(FLAG),
        "capture_period_msec": FieldRule(UINT32),
    },
    "profiler_config": _PROFILER,
    # The one field of options that is no extension, for nodes and generators.
    EXTENSIONS: {"merge_fields": FieldRule(FLAG)},
    # An Any in its binary form is legal too, and stays as it is.
    ANY: {"type_url": FieldRule(TEXT), "value": FieldRule(BYTES)},
}

# Of a CalculatorGraphTemplate, from which MediaPipe makes graphs.
_TEMPLATE_FIELDS = ("config", "rule")


def problems(message: TextMessage, schema: str, source: str) -> Iterator[GraphTextError]:
    """Yield what is wrong with a message and with those in it, with positions.

    That is a field that the schema does not have, one of another type or outside its range, and one
    that stands twice but may once, as options of one type do.
    """
    rules = SCHEMAS[schema]
    first: dict[str, TextPosition] = {}
    for entry in message:
        is_option = entry.name.startswith("[") and schema in (EXTENSIONS, ANY)
        rule = rules.get(entry.name, _SINGLE)
        if entry.name not in rules and not is_option:
            yield located(_unknown(entry.name, schema), source, entry.position)
            continue
        if entry.name in first and not rule.repeated:
            line = first[entry.name].line
            reason = f"{entry.name!r} stands here and in line {line}; it may stand once"
            yield located(reason, source, entry.position)
        first.setdefault(entry.name, entry.position)
        if is_option:
            yield from _option_problems(entry, source)
        else:
            yield from _value_problems(entry, rule, source)


def _option_problems(entry: TextField, source: str) -> Iterator[GraphTextError]:
    if not isinstance(entry.value, TextMessage):
        reason = f"expected a message of {entry.name}: {{...}}"
        yield located(reason, source, entry.value_position)


def _unknown(name: str, schema: str) -> str:
    if schema == GRAPH and name in _TEMPLATE_FIELDS:
        return (
            f"{name!r} belongs to a CalculatorGraphTemplate, of which MediaPipe makes graphs; "
            "templates are not read: fill it in, and read the graph"
        )
    return f"no field {name!r} in {schema!r}{suggestion(name, SCHEMAS[schema])}"


def _value_problems(entry: TextField, rule: FieldRule, source: str) -> Iterator[GraphTextError]:
    if rule.type in SCHEMAS:
        if isinstance(entry.value, TextMessage):
            yield from problems(entry.value, rule.type, source)
        else:
            reason = f"{entry.name!r}: expected a message {{...}}, got {_shown(entry)}"
            yield located(reason, source, entry.value_position)
    elif not _fits(entry, rule.type):
        reason = f"{entry.name!r}: expected {rule.type}, got {_shown(entry)}"
        yield located(reason, source, entry.value_position)


def _fits(entry: TextField, type_: str) -> bool:
    value = entry.value
    if type_ == BYTES:
        return isinstance(value, bytes)
    if type_ == TEXT:
        return isinstance(value, bytes) and as_text(value) is not None
    if type_ == FLAG:
        return as_flag(value) is not None
    low, high = _RANGES[type_]
    return isinstance(value, int) and low <= value <= high


def as_text(value: bytes) -> str | None:
    """Return the text of a string; None if it is not in UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def as_flag(value: object) -> bool | None:
    """Return the bool that a value is in the text format; None if it is none."""
    if value in _TRUE or (type(value) is int and value == 1):
        return True
    if value in _FALSE or (type(value) is int and value == 0):
        return False
    return None


def as_number(value: object) -> float | None:
    """Return the number that a value is for a field of floats; None if it is none."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and value.lower().lstrip("-") in ("inf", "infinity", "nan"):
        return float(value)
    return None


def _shown(entry: TextField) -> str:
    if isinstance(entry.value, TextMessage):
        return "a message"
    if isinstance(entry.value, int) and abs(entry.value) <= MOST_UINT:
        return str(entry.value)
    return repr(entry.value)[:80]
