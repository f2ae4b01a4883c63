"""Files of graphs, in the form that their suffix names."""

import os
from pathlib import Path

from handheld.graph.text.model import GraphText
from handheld.graph.text.read import parse_graph, read_text
from handheld.graph.text.tables import from_json, from_toml

_TABLES = {".json": from_json, ".toml": from_toml}


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of JSON or TOML, by its suffix."""
    return Path(path).suffix.lower() in _TABLES


def read_graph_file(path: str | os.PathLike[str]) -> GraphText:
    """Read a graph from a file: ``.json``, ``.toml``, or any other in MediaPipe's text format.

    Raises:
        GraphTextError: it cannot be read, or is no graph.
    """
    parse = _TABLES.get(Path(path).suffix.lower(), parse_graph)
    return parse(read_text(path), os.fspath(path))
