"""Options of nodes: read field by field, each as the type that a calculator expects."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Self, TypeVar

from handheld.errors import GraphTextError, InputError
from handheld.graph._suggest import suggestion
from handheld.graph.text.message import TextField, TextMessage
from handheld.graph.text.model import ExecutorText, HandlerText, NodeText
from handheld.graph.text.schema import as_flag, as_number, as_text
from handheld.graph.text.tokens import TextPosition, located
from handheld.ranges import in_range, whole_in_range

Value = TypeVar("Value")

Choices = Sequence[str] | Mapping[str, int]
"""Names of an enum's values, with their numbers or without."""

OWN_TYPE = "handheld.GraphOptions"
"""The type of options that a graph hands on to a node that has none of its own."""

_EXTENSION = ".ext"


def option_type(name: str) -> str:
    """Return the type of options by the name in brackets under which they stand.

    >>> option_type("[mediapipe.GateCalculatorOptions.ext]")
    'mediapipe.GateCalculatorOptions'
    >>> option_type("[type.googleapis.com/mediapipe.GateCalculatorOptions]")
    'mediapipe.GateCalculatorOptions'
    """
    return name.strip("[]").rpartition("/")[2].removesuffix(_EXTENSION)


def option_fields(options: TextMessage, others: Iterable[TextMessage] = ()) -> list[TextField]:
    """Return the messages in brackets; of a type that stands in both, that of ``options`` alone."""
    fields = [entry for entry in options if entry.name.startswith("[")]
    types = {option_type(entry.name) for entry in fields}
    bracketed = [entry for entry in chain.from_iterable(others) if entry.name.startswith("[")]
    return fields + [entry for entry in bracketed if option_type(entry.name) not in types]


def read_options(node: NodeText, *types: str) -> "OptionReader":
    """Return the options of a node, to be read field by field.

    >>> from handheld.graph.text.read import parse_graph
    >>> text = "node { calculator: 'A' options { [a.AOptions.ext] { size: 3 } } }"
    >>> with read_options(parse_graph(text).nodes[0], "AOptions") as options:
    ...     options.whole("size", 1, low=1), options.flag("loud", False)
    (3, False)

    Args:
        node: with options in either form.
        types: names of the messages that the calculator knows, with their package or without; none
            for any.

    Raises:
        GraphTextError: the node has options of another type.
    """
    return _reader(option_fields(node.options, node.node_options), types, node)


def read_handler_options(handler: HandlerText, source: str, *types: str) -> "OptionReader":
    """Return the options of a handler, see :func:`read_options`."""
    node = NodeText(calculator=handler.type, source=source, position=handler.position)
    return _reader(option_fields(handler.options), types, node)


def read_executor_options(executor: ExecutorText, source: str) -> "OptionReader":
    """Return the options of an executor, see :func:`read_options`."""
    title = executor.type or "the executor"
    node = NodeText(calculator=title, source=source, position=executor.position)
    return _reader(option_fields(executor.options), (), node)


def _reader(fields: Sequence[TextField], types: Sequence[str], node: NodeText) -> "OptionReader":
    messages: list[TextMessage] = []
    for entry in fields:
        type_ = option_type(entry.name)
        if types and not _is_one(type_, (*types, OWN_TYPE)):
            reason = f"{node.title} has options of type {type_}, expected {' or '.join(types)}"
            raise located(reason, node.source, entry.position)
        if isinstance(entry.value, TextMessage):
            messages.append(entry.value)
    return OptionReader(messages, title=node.title, source=node.source, position=node.position)


def _is_one(type_: str, types: Sequence[str]) -> bool:
    return type_ in types or type_.rpartition(".")[2] in types


class OptionReader:
    """The fields of a message of options, each asked for by its name and type.

    As a context manager it looks, at the end, whether fields were left that nobody asked for.

    Args:
        messages: of which the fields are; of a field that may stand once, the last message's.
        title: of what has these options, for messages.
        source: file or other name of the text.
        position: of what has these options, for what is missing.
    """

    def __init__(
        self,
        messages: Sequence[TextMessage],
        *,
        title: str,
        source: str,
        position: TextPosition,
    ) -> None:
        self._messages = messages
        self._title = title
        self._source = source
        self._position = position
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()

    def finish(self) -> None:
        """Raise :class:`GraphTextError` for the first field that nobody asked for."""
        for message in self._messages:
            for entry in message:
                if entry.name not in self._known:
                    reason = f"no option {entry.name!r}{suggestion(entry.name, self._known)}"
                    raise self._wrong(reason, entry.position)

    def ignore(self, *names: str) -> None:
        """Let fields pass that mean nothing here."""
        self._known.update(names)

    def has(self, name: str) -> bool:
        """Whether a field stands in the text."""
        return bool(self._entries(name))

    def names(self) -> list[str]:
        """Return the names of the fields that stand in the text."""
        names: dict[str, None] = {}  # an ordered set
        for message in self._messages:
            names.update(dict.fromkeys(entry.name for entry in message))
        return list(names)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        return self._or_default(name, default, self._flag)

    def whole(
        self, name: str, default: int = 0, *, low: int | None = None, high: int | None = None
    ) -> int:
        """Return a whole number within a range."""
        return self._or_default(name, default, partial(self._whole, low=low, high=high))

    def number(
        self,
        name: str,
        default: float = 0.0,
        *,
        low: float | None = None,
        high: float | None = None,
    ) -> float:
        """Return a number within a range, both ends included."""
        return self._or_default(name, default, partial(self._number, low=low, high=high))

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        return self._or_default(name, default, self._text)

    def choice(self, name: str, choices: Choices, default: str) -> str:
        """Return one of several names, as an enum's; with their numbers, these may stand too."""
        return self._or_default(name, default, partial(self._choice, choices=choices))

    def flags(self, name: str) -> tuple[bool, ...]:
        """Return each true or false of a field that may stand several times."""
        return tuple(map(self._flag, self._entries(name)))

    def wholes(
        self, name: str, *, low: int | None = None, high: int | None = None
    ) -> tuple[int, ...]:
        """Return the whole numbers of a field that may stand several times."""
        return tuple(self._whole(entry, low, high) for entry in self._entries(name))

    def numbers(
        self, name: str, *, low: float | None = None, high: float | None = None
    ) -> tuple[float, ...]:
        """Return the numbers of a field that may stand several times."""
        return tuple(self._number(entry, low, high) for entry in self._entries(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a field that may stand several times."""
        return tuple(map(self._text, self._entries(name)))

    def choices(self, name: str, choices: Choices) -> tuple[str, ...]:
        """Return the names of a field that may stand several times."""
        return tuple(self._choice(entry, choices) for entry in self._entries(name))

    def message(self, name: str) -> "OptionReader":
        """Return the fields of a message; none where it does not stand."""
        entry = self._single(name)
        if entry is None:
            return self._inner(name, [], self._position)
        return self._inner(name, [self._message(entry)], entry.position)

    def messages(self, name: str) -> list["OptionReader"]:
        """Return the fields of each message of a field that may stand several times."""
        return [
            self._inner(name, [self._message(entry)], entry.position)
            for entry in self._entries(name)
        ]

    def raw(self, name: str) -> list[TextMessage]:
        """Return the messages of a field as they stand, such as nodes within a switch."""
        return list(map(self._message, self._entries(name)))

    def located(self, name: str, reason: str) -> GraphTextError:
        """Return an error about a field, at its position or at that of what has these options."""
        entries = self._entries(name)
        position = self._position
        if entries:
            position = entries[0].value_position
        return self._wrong(reason, position)

    def _inner(
        self, name: str, messages: Sequence[TextMessage], position: TextPosition
    ) -> "OptionReader":
        title = f"{name!r} of {self._title}"
        return OptionReader(messages, title=title, source=self._source, position=position)

    def _entries(self, name: str) -> list[TextField]:
        # Whether it stands or not: to ask for a field is to know it.
        self._known.add(name)
        entries: list[TextField] = []
        for message in self._messages:
            entries += message.named(name)
        return entries

    def _or_default(
        self, name: str, default: Value, convert: Callable[[TextField], Value]
    ) -> Value:
        entry = self._single(name)
        if entry is None:
            return default
        return convert(entry)

    def _single(self, name: str) -> TextField | None:
        self._known.add(name)
        # Within a message it may stand once; of several messages, as of a graph's own options and
        # those of the node that uses it, the last one has the last word, as where protobuf merges.
        single: TextField | None = None
        for message in self._messages:
            entries = message.named(name)
            if len(entries) > 1:
                line = entries[0].position.line
                reason = f"option {name!r} stands here and in line {line}; it may stand once"
                raise self._wrong(reason, entries[1].position)
            if entries:
                single = entries[0]
        return single

    def _flag(self, entry: TextField) -> bool:
        return self._converted(entry, as_flag(entry.value), "true or false")

    def _text(self, entry: TextField) -> str:
        text = None
        if isinstance(entry.value, bytes):
            text = as_text(entry.value)
        return self._converted(entry, text, "a text")

    def _whole(self, entry: TextField, low: int | None, high: int | None) -> int:
        # 1.0 is no whole number in a text: protobuf refuses it for a field of integers.
        number = None
        if isinstance(entry.value, int):
            number = entry.value
        value = self._converted(entry, number, "a whole number")
        self._check(
            entry, lambda: whole_in_range(f"option {entry.name}", value, low=low, high=high)
        )
        return value

    def _number(self, entry: TextField, low: float | None, high: float | None) -> float:
        number = self._converted(entry, as_number(entry.value), "a number")
        if low is not None or high is not None:
            self._check(entry, lambda: in_range(f"option {entry.name}", number, low=low, high=high))
        return number

    def _choice(self, entry: TextField, choices: Choices) -> str:
        value = entry.value
        if isinstance(value, str) and value in choices:
            return value
        # The number of an enum's value may stand for its name, where it is known.
        numbers: Mapping[str, int] = {}
        if isinstance(choices, Mapping):
            numbers = choices
        for choice, number in numbers.items():
            if type(value) is int and value == number:
                return choice
        expected = ", ".join(choices)
        return self._converted(entry, None, f"one of {expected}")

    def _message(self, entry: TextField) -> TextMessage:
        message = None
        if isinstance(entry.value, TextMessage):
            message = entry.value
        return self._converted(entry, message, "a message {...}")

    def _converted(self, entry: TextField, value: Value | None, expected: str) -> Value:
        if value is None:
            shown = "a message"
            if not isinstance(entry.value, TextMessage):
                shown = f"{entry.value!r:.80}"
            reason = f"option {entry.name!r}: expected {expected}, got {shown}"
            raise self._wrong(reason, entry.value_position)
        return value

    def _check(self, entry: TextField, check: Callable[[], None]) -> None:
        try:
            check()
        except InputError as error:
            raise self._wrong(str(error), entry.value_position) from error

    def _wrong(self, reason: str, position: TextPosition) -> GraphTextError:
        return located(f"{reason} ({self._title})", self._source, position)
