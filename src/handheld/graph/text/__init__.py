"""Graphs as text: MediaPipe's ``.pbtxt`` files, read, checked, drawn, run and printed again.

``read_graph`` gives a description (``GraphText``), ``load_graph`` makes a graph that runs of it,
with the calculators that a ``Registry`` has under their names. ``tokens``, ``scalars`` and
``message`` are protobuf's text format without a schema, ``schema`` the fields of a graph.
"""

from handheld.graph.text.check import (
    GraphCheck,
    GraphFinding,
    ListedNode,
    check_file,
    check_graph,
    check_text,
)
from handheld.graph.text.drawing import text_to_mermaid, text_to_svg
from handheld.graph.text.files import read_graph_file
from handheld.graph.text.library import LIBRARY
from handheld.graph.text.lines import feed, packet_line, read_packets
from handheld.graph.text.load import load_graph
from handheld.graph.text.message import TextField, TextMessage, parse_message, print_message
from handheld.graph.text.model import (
    ExecutorText,
    GeneratorText,
    GraphText,
    HandlerText,
    NodeText,
    PortText,
    StreamInfoText,
    canonical_names,
    parse_port,
)
from handheld.graph.text.options import OptionReader, read_options
from handheld.graph.text.read import node_of_message, parse_graph, read_graph
from handheld.graph.text.registry import RegisteredCalculator, Registry
from handheld.graph.text.settings import RunSettings, run_settings
from handheld.graph.text.tables import from_json, from_table, from_toml, to_json, to_table, to_toml
from handheld.graph.text.write import print_graph

__all__ = [
    "LIBRARY",
    "ExecutorText",
    "GeneratorText",
    "GraphCheck",
    "GraphFinding",
    "GraphText",
    "HandlerText",
    "ListedNode",
    "NodeText",
    "OptionReader",
    "PortText",
    "RegisteredCalculator",
    "Registry",
    "RunSettings",
    "StreamInfoText",
    "TextField",
    "TextMessage",
    "canonical_names",
    "check_file",
    "check_graph",
    "check_text",
    "feed",
    "from_json",
    "from_table",
    "from_toml",
    "load_graph",
    "node_of_message",
    "packet_line",
    "parse_graph",
    "parse_message",
    "parse_port",
    "print_graph",
    "print_message",
    "read_graph",
    "read_graph_file",
    "read_options",
    "read_packets",
    "run_settings",
    "text_to_mermaid",
    "text_to_svg",
    "to_json",
    "to_table",
    "to_toml",
]
