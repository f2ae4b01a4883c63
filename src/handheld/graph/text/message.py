"""Messages of protobuf's text format, read and printed without their schema.

A message is its fields, in order, each with its position. What a field may hold depends on the
schema, so nothing is said of that here: a field that may stand once only can stand twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from handheld.errors import GraphTextError
from handheld.graph.text.scalars import (
    Scalar,
    read_number,
    read_signed_name,
    read_string,
    written,
)
from handheld.graph.text.tokens import (
    END,
    NAME,
    NOWHERE,
    NUMBER,
    STRING,
    SYMBOL,
    TextPosition,
    TextToken,
    located,
    tokens,
)

MOST_DEPTH = 100
"""Messages in messages: as deep as protobuf itself reads messages that others sent."""

MOST_FIELDS = 200_000
"""Fields of one text, all messages together: a hundred times those of the largest graph."""

MOST_LETTERS = 1 << 22
"""Length of a text."""

_CLOSING = {"{": "}", "<": ">"}
_INDENT = "  "


@dataclass(frozen=True, eq=False)
class TextMessage:
    """A message: its fields in the order of the text.

    Two messages are equal if they mean the same: fields of one name come in the same order, and
    whether another stands between them makes no difference.

    >>> message = parse_message("size: 3 color { r: 1 } size: 4")
    >>> [field.name for field in message], message.values("size")
    (['size', 'color', 'size'], [3, 4])
    >>> message == parse_message("color: <r: 1>; size: [3, 4]")
    True
    """

    fields: tuple[TextField, ...] = ()
    position: TextPosition = NOWHERE

    def __iter__(self) -> Iterator[TextField]:
        return iter(self.fields)

    def __bool__(self) -> bool:
        return bool(self.fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextMessage):
            return NotImplemented
        return self._by_name() == other._by_name()

    def __hash__(self) -> int:
        return hash(frozenset(self._by_name().items()))

    def named(self, name: str) -> list[TextField]:
        """Return the fields of a name."""
        return [entry for entry in self.fields if entry.name == name]

    def values(self, name: str) -> list[TextValue]:
        """Return the values of the fields of a name."""
        return [entry.value for entry in self.named(name)]

    def _by_name(self) -> dict[str, tuple[tuple[type, TextValue], ...]]:
        """Return name -> values, each with its class: 1 and 1.0 are not the same in a text."""
        grouped: dict[str, list[tuple[type, TextValue]]] = {}
        for entry in self.fields:
            grouped.setdefault(entry.name, []).append((type(entry.value), entry.value))
        return {name: tuple(values) for name, values in grouped.items()}


@dataclass(frozen=True)
class TextField:
    """A field of a message.

    Attributes:
        name: as the schema has it; in brackets, that of an extension (``[mediapipe.Gate.ext]``) or
            the type of an ``Any`` (``[type.googleapis.com/mediapipe.Gate]``).
        value: a string as ``bytes``, a number, the name of an enum's value (or true, inf, ...) as
            ``str``, or a message.
        position: of its name.
        value_position: of its value.
    """

    name: str
    value: TextValue
    position: TextPosition = field(default=NOWHERE, compare=False)
    value_position: TextPosition = field(default=NOWHERE, compare=False)


TextValue: TypeAlias = Scalar | TextMessage

NO_MESSAGE = TextMessage()
"""A message without fields."""


def parse_message(text: str, source: str = "") -> TextMessage:
    """Read a message in protobuf's text format.

    Args:
        text: of at most four million letters, with at most 200,000 fields, at most 100 messages
            deep.
        source: file or other name, for errors.

    Raises:
        GraphTextError: names file, line and column, what was expected and what stands there.
    """
    if len(text) > MOST_LETTERS:
        raise GraphTextError(
            f"expected a text of at most {MOST_LETTERS:,} letters, got {len(text):,}", source=source
        )
    return _Parser(text, source).message()


@dataclass
class _OpenMessage:
    """A message that is being read.

    Attributes:
        closing: the bracket that ends it; empty for the whole text.
        name: of the field that it will be, with its position; None for the whole text.
        position: of its opening bracket.
        in_list: whether it is an entry of a list ``[{...}, {...}]``.
        fields: so far.
    """

    closing: str
    name: TextToken | None
    position: TextPosition
    in_list: bool = False
    fields: list[TextField] = field(default_factory=list)


class _Parser:
    """Reads messages with a stack of its own: Python's is too short for hostile texts."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._tokens = tokens(text, source)
        self._token = next(self._tokens)
        self._open: list[_OpenMessage] = [_OpenMessage("", None, self._token.position)]
        self._count = 0

    def message(self) -> TextMessage:
        while True:
            top = self._open[-1]
            if self._token.type == END:
                if top.name is not None:
                    raise self._wrong(f"expected {top.closing!r}", opened=top)
                return TextMessage(tuple(top.fields), top.position)
            if self._is(top.closing):
                self._close()
            else:
                self._field()

    def _field(self) -> None:
        name = self._name()
        has_colon = self._accept(":")
        if self._token.text in _CLOSING and self._token.type == SYMBOL:
            self._begin(name, in_list=False)
            return
        if self._is("["):
            self._advance()
            self._list(name)
            return
        if not has_colon:
            raise self._wrong(f"expected ':' or '{{' after {name.text!r}")
        self._scalar(name)
        self._separator()

    def _name(self) -> TextToken:
        """Read the name of a field, or of an extension in brackets."""
        token = self._token
        if token.type == NAME:
            self._advance()
            return token
        if not self._is("["):
            raise self._wrong("expected the name of a field", opened=self._open[-1])
        self._advance()
        pieces: list[str] = []
        while not self._is("]"):
            is_joint = self._token.type == SYMBOL and self._token.text in "./-"
            if self._token.type not in (NAME, NUMBER) and not is_joint:
                raise self._wrong("expected the name of an extension or a type, and ']'")
            pieces.append(self._token.text)
            self._advance()
        if not pieces:
            raise self._wrong("expected the name of an extension or a type")
        self._advance()
        return TextToken(NAME, f"[{''.join(pieces)}]", token.position)

    def _begin(self, name: TextToken, *, in_list: bool) -> None:
        """Go into a message."""
        if len(self._open) > MOST_DEPTH:
            raise self._wrong(f"expected at most {MOST_DEPTH} messages in each other")
        closing = _CLOSING[self._token.text]
        self._open.append(_OpenMessage(closing, name, self._token.position, in_list))
        self._advance()

    def _close(self) -> None:
        """Come out of a message."""
        closed = self._open.pop()
        self._advance()
        # The outermost has no bracket, so this one has a name.
        assert closed.name is not None
        self._add(closed.name, TextMessage(tuple(closed.fields), closed.position), closed.position)
        if closed.in_list:
            self._after_entry(closed.name)
        else:
            self._separator()

    def _list(self, name: TextToken) -> None:
        """Read a list, behind its bracket: it is the same as its entries one by one."""
        if self._accept("]"):
            # An empty list is no field at all.
            self._separator()
        elif self._token.type == SYMBOL and self._token.text in _CLOSING:
            # Its entries come by way of the stack, as any message: a list may hold deep ones.
            self._begin(name, in_list=True)
        else:
            self._scalar(name)
            while not self._accept("]"):
                if not self._accept(","):
                    raise self._wrong("expected ',' or ']' in a list")
                self._scalar(name)
            self._separator()

    def _after_entry(self, name: TextToken) -> None:
        """Go on behind a message in a list."""
        if self._accept("]"):
            self._separator()
            return
        if not self._accept(","):
            raise self._wrong("expected ',' or ']' in a list")
        if self._token.type != SYMBOL or self._token.text not in _CLOSING:
            raise self._wrong("expected '{', as the entry before it has")
        self._begin(name, in_list=True)

    def _scalar(self, name: TextToken) -> None:
        position = self._token.position
        negative = self._accept("-")
        token = self._token
        if token.type not in (NAME, NUMBER, STRING) or (negative and token.type == STRING):
            raise self._wrong(f"expected a value of {name.text!r}")
        try:
            value: Scalar
            if token.type == STRING:
                value = self._strings()
            elif token.type == NUMBER:
                value = read_number(token.text, negative=negative)
                self._advance()
            else:
                value = token.text
                if negative:
                    value = read_signed_name(token.text)
                self._advance()
        except ValueError as error:
            raise located(str(error), self._source, self._token.position) from None
        self._add(name, value, position)

    def _strings(self) -> bytes:
        """Read strings that stand one after the other: they are one."""
        pieces: list[bytes] = []
        while self._token.type == STRING:
            pieces.append(read_string(self._token.text))
            self._advance()
        return b"".join(pieces)

    def _add(self, name: TextToken, value: TextValue, position: TextPosition) -> None:
        self._count += 1
        if self._count > MOST_FIELDS:
            raise self._wrong(f"expected at most {MOST_FIELDS:,} fields")
        self._open[-1].fields.append(TextField(name.text, value, name.position, position))

    def _separator(self) -> None:
        # Between fields the format has a comma, a semicolon or nothing.
        if not self._accept(","):
            self._accept(";")

    def _is(self, symbol: str) -> bool:
        return self._token.type == SYMBOL and self._token.text == symbol

    # One token is looked ahead, which the format never needs more of.
    def _accept(self, symbol: str) -> bool:
        if not self._is(symbol):
            return False
        self._advance()
        return True

    def _advance(self) -> None:
        self._token = next(self._tokens)

    def _wrong(self, expected: str, *, opened: _OpenMessage | None = None) -> GraphTextError:
        """Return an error about the token at hand."""
        reason = f"{expected}, got {self._token}"
        if opened is not None and opened.name is not None:
            line = opened.position.line
            reason += f" (in {opened.name.text!r}, which begins in line {line})"
        return located(reason, self._source, self._token.position)


def print_message(message: TextMessage) -> str:
    r"""Return a message in protobuf's text format, of the same meaning as it was read with.

    >>> print(print_message(parse_message("a:[1,2] b<c:'x'>")), end="")
    a: 1
    a: 2
    b {
      c: "x"
    }

    Raises:
        GraphTextError: it is more than 100 messages deep, as none that was read is.
    """
    lines: list[str] = []
    _print_fields(message, "", lines)
    return "".join(lines)


def _print_fields(message: TextMessage, indent: str, lines: list[str]) -> None:
    if len(indent) > MOST_DEPTH * len(_INDENT):
        raise GraphTextError(f"expected at most {MOST_DEPTH} messages in each other")
    for entry in message.fields:
        value = entry.value
        if not isinstance(value, TextMessage):
            lines.append(f"{indent}{entry.name}: {written(value)}\n")
        elif not value.fields:
            lines.append(f"{indent}{entry.name} {{}}\n")
        else:
            lines.append(f"{indent}{entry.name} {{\n")
            _print_fields(value, indent + _INDENT, lines)
            lines.append(f"{indent}}}\n")
