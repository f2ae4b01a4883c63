"""Tokens of protobuf's text format, with their positions.

Source: https://protobuf.dev/reference/protobuf/textformat-spec/.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from handheld.errors import GraphTextError

NAME = "name"
NUMBER = "number"
STRING = "string"
SYMBOL = "symbol"
END = "end"

# Longer ones are no numbers that anybody wrote, and take long to read.
_LONGEST_NUMBER = 400

# Names are ASCII, strings are whatever stands between quotes. Possessive, so that a string without
# an end is refused at once. A number is first all that could belong to one: what it is not is then
# one error, and not two tokens.
_TOKEN = re.compile(
    r"""
    (?P<newline> \n )
    | (?P<blank> [ \t\r\f\v]++ | \#[^\n]*+ )
    | (?P<name> [A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<number> \.?[0-9] (?: [eE][+-] | [A-Za-z0-9_.] )*+ )
    | (?P<string> "(?: [^"\\\n\0]++ | \\[^\n\0] )*+" | '(?: [^'\\\n\0]++ | \\[^\n\0] )*+' )
    | (?P<symbol> [-{}<>\[\]:;,./] )
    """,
    re.VERBOSE,
)
_BLANKS = ("newline", "blank")
_TEMPLATE_LETTERS = "%@"


class TextPosition(NamedTuple):
    """Where something stands in a text: line and column, from 1; 0 for what was never a text."""

    line: int = 0
    column: int = 0


NOWHERE = TextPosition()


class TextToken(NamedTuple):
    """One token: what it is, its letters as they stand, and where."""

    type: str
    text: str
    position: TextPosition

    def __str__(self) -> str:
        """Return what messages call it."""
        if self.type == END:
            return "the end of the text"
        if self.type == STRING:
            return f"the string {_short(self.text)}"
        return repr(_short(self.text))


def tokens(text: str, source: str = "") -> Iterator[TextToken]:
    """Yield the tokens of a text, without blanks and comments; ``END`` is the last.

    Args:
        text: may begin with a byte order mark; lines end with LF or CRLF.
        source: file or other name, for errors.

    Raises:
        GraphTextError: a letter that begins no token, a string without an end.
    """
    line = 1
    offset = 0
    if text.startswith("\ufeff"):
        offset = 1
    line_start = offset
    while offset < len(text):
        position = TextPosition(line, offset - line_start + 1)
        match = _TOKEN.match(text, offset)
        if match is None:
            raise located(_unexpected(text, offset), source, position)
        offset = match.end()
        group = str(match.lastgroup)
        if group == "newline":
            line += 1
            line_start = offset
        if group in _BLANKS:
            continue
        if group == NUMBER and offset - match.start() > _LONGEST_NUMBER:
            reason = f"expected a number, got one of {offset - match.start():,} digits"
            raise located(reason, source, position)
        yield TextToken(group, match.group(), position)
    yield TextToken(END, "", TextPosition(line, offset - line_start + 1))


def located(reason: str, source: str, position: TextPosition) -> GraphTextError:
    """Return an error that says where."""
    return GraphTextError(reason, source=source, line=position.line, column=position.column)


def _unexpected(text: str, offset: int) -> str:
    letter = text[offset]
    if letter in "\"'":
        end = re.compile(r"[\n\0]|\Z").search(text, offset)
        if end is not None and end.group() == "\0":
            return "a string with a NUL in it, which no text has; write \\000"
        return f"a string without its end: expected {letter} on the same line"
    if letter in _TEMPLATE_LETTERS:
        return (
            f"{letter!r} belongs to a template, of which MediaPipe makes graphs; templates are not "
            "read: fill it in, and read the graph"
        )
    if letter == "\0":
        return "a NUL, which no text has: is this a graph in binary form? Print it as text first"
    return f"expected a name, a value or a bracket, got {letter!r}"


def _short(text: str, length: int = 40) -> str:
    if len(text) <= length:
        return text
    return f"{text[:length]}..."
