"""Graphs as text: MediaPipe's ``.pbtxt`` files, read, checked, drawn, run and printed again.

``read_graph`` gives a description (``GraphText``), ``load_graph`` makes a graph that runs of it,
with the calculators that a ``Registry`` has under their names. ``tokens``, ``scalars`` and
``message`` are protobuf's text format without a schema, ``schema`` the fields of a graph.
"""

from handheld.graph.text.library import LIBRARY
from handheld.graph.text.load import RunSettings, load_graph, run_settings
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
from handheld.graph.text.write import print_graph

__all__ = [
    "LIBRARY",
    "ExecutorText",
    "GeneratorText",
    "GraphText",
    "HandlerText",
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
    "load_graph",
    "node_of_message",
    "parse_graph",
    "parse_message",
    "parse_port",
    "print_graph",
    "print_message",
    "read_graph",
    "read_options",
    "run_settings",
]
