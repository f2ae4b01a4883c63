"""Graphs as JSON and as TOML: the fields of MediaPipe's format as tables.

A field is an entry under its name, and one that may stand several times a list. A message is a
table, a text a string, true and false are themselves. What JSON has no form for is a table with one
key: ``{"$name": "TOP_LEFT"}`` is a name (the value of an enum), ``{"$bytes": "/w=="}`` a string
that is no text (in base 64), ``{"$number": "inf"}`` a number that is not finite. Options stand
under their types in brackets.
"""

import base64
import binascii
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from handheld.errors import GraphTextError, MissingDependencyError
from handheld.graph.text.message import (
    MOST_DEPTH,
    MOST_FIELDS,
    MOST_LETTERS,
    TextField,
    TextMessage,
    TextValue,
)
from handheld.graph.text.model import GraphText
from handheld.graph.text.read import inspect_graph
from handheld.graph.text.scalars import LEAST_INT, MOST_UINT
from handheld.graph.text.schema import GRAPH, SCHEMAS, FieldRule, as_text
from handheld.graph.text.tokens import NOWHERE, TextPosition
from handheld.graph.text.write import message_of_graph
from handheld.untrusted import read_json

_FLAGS = {"true": True, "false": False}
_NAME = "$name"
_BYTES = "$bytes"
_NUMBER = "$number"

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\[[A-Za-z0-9_./-]+\]")
_VALUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|-(?:inf|infinity|nan)", re.IGNORECASE)
# Python's reader keeps all beginnings of such a key: a million names would take all memory.
_LONG_KEY = re.compile(
    r"""(?<![\w"'-]) (?: (?: [\w-]++ | "[^"\n]*+" | '[^'\n]*+' ) [ \t]*+ \. [ \t]*+ )"""
    f"{{{MOST_DEPTH + 1}}}",
    re.VERBOSE,
)
_INFINITE = {"inf": math.inf, "-inf": -math.inf}


def to_json(graph: GraphText) -> str:
    """Return a graph as JSON.

    >>> from handheld.graph.text.read import parse_graph
    >>> print(to_json(parse_graph("node { calculator: 'A' input_stream: 'IN:a' }")))
    {
     "node": [
      {
       "calculator": "A",
       "input_stream": [
        "IN:a"
       ]
      }
     ]
    }
    """
    return json.dumps(to_table(graph), ensure_ascii=False, indent=1, allow_nan=False)


def from_json(text: str, source: str = "") -> GraphText:
    """Read a graph from JSON, see :func:`to_json`.

    Args:
        text: of at most four million letters.
        source: file or other name, for errors.

    Raises:
        GraphTextError: it is no JSON or no graph; names the entry, such as ``$.node[0].name``.
    """
    _require_short(text, source)
    try:
        table = read_json(text)
    except ValueError as error:
        raise GraphTextError(f"no JSON: {error}", source=source) from error
    return from_table(table, source)


def to_toml(graph: GraphText) -> str:
    """Return a graph as TOML.

    Raises:
        MissingDependencyError: tomli-w is not installed.
    """
    try:
        import tomli_w
    except ImportError as error:
        raise MissingDependencyError("tomli-w", "federated", "writing TOML") from error
    return tomli_w.dumps(to_table(graph))


def from_toml(text: str, source: str = "") -> GraphText:
    """Read a graph from TOML, see :func:`to_toml`.

    Args:
        text: of at most four million letters.
        source: file or other name, for errors.

    Raises:
        GraphTextError: it is no TOML or no graph; names the line, or the entry such as
            ``$.node[0].name``.
    """
    _require_short(text, source)
    if _LONG_KEY.search(text):
        reason = f"no TOML of a graph: a key of more than {MOST_DEPTH} names"
        raise GraphTextError(reason, source=source)
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise GraphTextError("no TOML: brackets in brackets, too many", source=source) from error
    except ValueError as error:
        raise GraphTextError(f"no TOML: {error}", source=source) from error
    return from_table(table, source)


def _require_short(text: str, source: str) -> None:
    if len(text) > MOST_LETTERS:
        reason = f"expected a text of at most {MOST_LETTERS:,} letters, got {len(text):,}"
        raise GraphTextError(reason, source=source)


def to_table(graph: GraphText) -> dict[str, Any]:
    """Return a graph as dictionaries, lists, texts and numbers, see the module."""
    return _table(message_of_graph(graph), GRAPH)


def from_table(table: object, source: str = "") -> GraphText:
    """Read a graph from dictionaries and lists, see :func:`to_table`.

    Raises:
        GraphTextError: names the entry that is wrong, such as ``$.node[0].name``.
    """
    reader = _TableReader(source)
    message = reader.message(table, "$", 0)
    graph, wrong = inspect_graph(message, source)
    if wrong:
        raise reader.at_entry(wrong[0])
    return graph


def _table(message: TextMessage, schema: str) -> dict[str, Any]:
    rules: Mapping[str, FieldRule] = SCHEMAS.get(schema, {})
    table: dict[str, Any] = {}
    for name in dict.fromkeys(entry.name for entry in message):
        rule = rules.get(name)
        # Options of calculators have no schema here.
        inner = ""
        if rule is not None:
            inner = rule.type
        values = [_plain(value, inner) for value in message.values(name)]
        is_list = len(values) > 1 or (rule is not None and rule.repeated)
        # A list wherever the field may stand twice: readers need not ask how often it does.
        if is_list:
            table[name] = values
        else:
            table[name] = values[0]
    return table


def _plain(value: TextValue, schema: str) -> Any:
    if isinstance(value, TextMessage):
        return _table(value, schema)
    if isinstance(value, bytes):
        text = as_text(value)
        if text is None:
            return {_BYTES: base64.b64encode(value).decode()}
        return text
    if isinstance(value, str):
        return _FLAGS.get(value, {_NAME: value})
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: repr(value)}
    return value


@dataclass
class _TableReader:
    """Makes messages of tables. The column of a position is the number of a path."""

    source: str
    paths: list[str] = field(default_factory=list)

    def message(self, table: object, path: str, depth: int) -> TextMessage:
        if not isinstance(table, dict):
            raise self._wrong(path, f"expected a table, got {_shown(table)}")
        if depth > MOST_DEPTH:
            raise self._wrong(path, f"expected at most {MOST_DEPTH} tables in each other")
        fields: list[TextField] = []
        for name, value in table.items():
            if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
                raise self._wrong(path, f"expected the name of a field, got {_shown(name)}")
            for entry_path, single in _each(value, f"{path}.{name}"):
                position = self._position(entry_path)
                fields.append(
                    TextField(name, self._value(single, entry_path, depth), position, position)
                )
        return TextMessage(tuple(fields), self._position(path))

    def _position(self, path: str) -> TextPosition:
        if len(self.paths) > 2 * MOST_FIELDS:
            raise self._wrong(path, f"expected at most {MOST_FIELDS:,} fields")
        self.paths.append(path)
        return TextPosition(NOWHERE.line, len(self.paths))

    def _value(self, value: object, path: str, depth: int) -> TextValue:
        # Before int, of which Python's bool is a kind.
        if isinstance(value, bool):
            if value:
                return "true"
            return "false"
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, int):
            if not LEAST_INT <= value <= MOST_UINT:
                raise self._wrong(path, "expected a number of at most 64 bits")
            return value
        if isinstance(value, float):
            # As the text format has it: a number that is not equal to itself would be no value.
            if math.isnan(value):
                return "nan"
            return value
        if isinstance(value, dict):
            return self._table(value, path, depth)
        raise self._wrong(path, f"expected a text, a number or a table, got {_shown(value)}")

    def _table(self, table: dict[Any, Any], path: str, depth: int) -> TextValue:
        # No field's name begins so: such a key says that the table stands for one value.
        if any(str(key).startswith("$") for key in table):
            return self._special(table, path)
        return self.message(table, path, depth + 1)

    def _special(self, table: Mapping[str, object], path: str) -> TextValue:
        """Return what a table with one key stands for."""
        ((key, text), *others) = table.items()
        if not others and isinstance(text, str):
            if key == _NAME and _VALUE_NAME.fullmatch(text):
                return text
            if key == _NUMBER and text in _INFINITE:
                return _INFINITE[text]
            if key == _BYTES:
                try:
                    return base64.b64decode(text, validate=True)
                except binascii.Error as error:
                    raise self._wrong(path, f"expected base 64: {error}") from error
        raise self._wrong(
            path, f"expected {_NAME} and a name, {_BYTES} and base 64, or {_NUMBER} and inf or -inf"
        )

    def at_entry(self, error: GraphTextError) -> GraphTextError:
        """Return an error about a message as one about the entry that it was made of."""
        return self._wrong(self.paths[error.column - 1], error.reason)

    def _wrong(self, path: str, reason: str) -> GraphTextError:
        return GraphTextError(f"{path}: {reason}", source=self.source)


def _each(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield the entries of a list, or the one that stands alone, each with its path."""
    if not isinstance(value, list):
        yield path, value
        return
    for number, entry in enumerate(value):
        yield f"{path}[{number}]", entry


def _shown(value: object) -> str:
    return f"{value!r:.80}"
