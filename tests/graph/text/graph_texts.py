"""Graphs that hypothesis makes, and two that a person can read."""

from hypothesis import strategies as st

from handheld.graph.text.message import TextField, TextMessage
from handheld.graph.text.model import (
    ExecutorText,
    GeneratorText,
    GraphText,
    HandlerText,
    NodeText,
    PortText,
    StreamInfoText,
    canonical_names,
)

LOOP = """
# A detector that runs where the tracker lost what it followed.
type: "DetectAndTrack"
input_stream: "IMAGE:image"
input_side_packet: "MOST:most"
output_stream: "BOXES:boxes"
max_queue_size: 8
executor {
  name: "slow" type: "ThreadPoolExecutor" options { [a.PoolOptions.ext] { num_threads: 1 } }
}

node {
  calculator: "PreviousLoopbackCalculator"
  input_stream: "MAIN:image"
  input_stream: "LOOP:boxes"
  input_stream_info: { tag_index: "LOOP" back_edge: true }
  output_stream: "PREV_LOOP:old_boxes"
}
node: <
  name: "finder",
  calculator: "Detector";
  executor: "slow"
  max_in_flight: 2
  input_stream: ["IMAGE:image", "BOXES:0:old_boxes"]
  input_side_packet: "most"
  output_stream: "boxes"
  options: { [a.DetectorOptions.ext]: { threshold: 0.5 origin: TOP_LEFT sizes: [16, 32] } }
  node_options: { [type.googleapis.com/a.MoreOptions] { path: 'a' "b" } }
  input_stream_handler { input_stream_handler: "ImmediateInputStreamHandler" }
>
"""

_NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True)
_TAGS = st.from_regex(r"[A-Z_][A-Z0-9_]{0,4}", fullmatch=True)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_INT32 = st.integers(-(2**31), 2**31 - 1)

_PORT = st.one_of(
    st.builds(PortText, name=_NAMES),
    st.builds(PortText, name=_NAMES, tag=_TAGS),
    st.builds(PortText, name=_NAMES, tag=_TAGS, index=st.integers(0, 10_000)),
    st.builds(PortText, name=_NAMES, index=st.integers(0, 20)),
)


def _are_apart(ports):
    names = canonical_names(ports)
    return len(set(names)) == len(names)


_PORTS = st.lists(_PORT, max_size=3).map(tuple).filter(_are_apart)
_SCALARS = st.one_of(
    st.binary(max_size=8),
    _TEXTS.map(str.encode),
    _NAMES,
    st.sampled_from(["true", "false", "True", "inf", "-inf"]),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
)


def _message(entries):
    return TextMessage(tuple(entries))


VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(st.builds(TextField, _NAMES, inner), max_size=4).map(_message),
    max_leaves=8,
)
_FIELDS = st.lists(st.builds(TextField, _NAMES, VALUES), max_size=4).map(_message)
_TYPES = st.from_regex(r"[a-z]{1,4}(\.[A-Z][a-z]{1,4}){1,2}", fullmatch=True)


def _options(name):
    entries = st.builds(TextField, _TYPES.map(name), _FIELDS)
    # Of one type options stand once.
    return st.lists(entries, max_size=2, unique_by=lambda entry: entry.name).map(_message)


_OPTIONS = _options(lambda type_: f"[{type_}.ext]")
_ANY = st.builds(TextField, _TYPES.map(lambda type_: f"[type.googleapis.com/{type_}]"), _FIELDS)
_ANYS = st.lists(_ANY.map(lambda entry: _message([entry])), max_size=2).map(tuple)
_HANDLERS = st.none() | st.builds(HandlerText, _NAMES, _OPTIONS)
_PROFILERS = st.sampled_from(
    [_message([]), _message([TextField("trace_enabled", "true"), TextField("trace_log_count", 3)])]
)


def _with_back_edge(node):
    """Mark the first input of a node as a back edge."""
    if not node.inputs:
        return node
    first = node.inputs[0]
    info = StreamInfoText(f"{first.tag}:{first.index or 0}", back_edge=True)
    return NodeText(**{**vars(node), "stream_info": (info,)})


NODES = st.builds(
    NodeText,
    calculator=_TEXTS.filter(bool),
    name=_TEXTS,
    inputs=_PORTS,
    outputs=_PORTS,
    side_inputs=_PORTS,
    side_outputs=_PORTS,
    options=_OPTIONS,
    node_options=_ANYS,
    option_values=st.lists(_TEXTS, max_size=2).map(tuple),
    source_layer=_INT32,
    buffer_size_hint=_INT32,
    input_stream_handler=_HANDLERS,
    output_stream_handler=st.none() | st.builds(HandlerText, _NAMES, _OPTIONS, _PORTS),
    executor=_TEXTS,
    max_in_flight=_INT32,
    profiler_config=_PROFILERS,
).map(_with_back_edge)

GRAPHS = st.builds(
    GraphText,
    nodes=st.lists(NODES, max_size=3).map(tuple),
    inputs=_PORTS,
    outputs=_PORTS,
    side_inputs=_PORTS,
    side_outputs=_PORTS,
    type=_TEXTS,
    package=_TEXTS,
    executors=st.lists(st.builds(ExecutorText, _NAMES, _TEXTS, _OPTIONS), max_size=2).map(tuple),
    num_threads=_INT32,
    max_queue_size=_INT32,
    report_deadlock=st.booleans(),
    input_stream_handler=_HANDLERS,
    output_stream_handler=_HANDLERS,
    generators=st.lists(
        st.builds(
            GeneratorText,
            packet_generator=_NAMES,
            side_inputs=_PORTS,
            side_outputs=_PORTS,
            options=_OPTIONS,
        ),
        max_size=1,
    ).map(tuple),
    options=_OPTIONS,
    graph_options=_ANYS,
    profiler_config=_PROFILERS,
)
