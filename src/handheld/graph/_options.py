"""Options of calculators that are changed while their graph runs."""

import threading
from bisect import insort
from typing import Any, NamedTuple

from handheld.errors import GraphError, InputError
from handheld.graph._state import RunNode
from handheld.graph._suggest import suggestion
from handheld.graph.calculator import Calculator, Context
from handheld.graph.timestamp import Timestamp
from handheld.graph.types import full_type_name, runtime_classes, type_name

# Of a change at a node's next call, whatever its timestamp.
_AT_ONCE = int(Timestamp.UNSET)


class OptionChange(NamedTuple):
    """A new value for an option, from a timestamp on."""

    at: int
    name: str
    value: Any


class OptionChanges:
    """The changes that a node has still to make, which it makes in the middle of its calls.

    Instead of the calculator's ``process``, which a node without changes calls directly: so that
    those cost nothing.
    """

    def __init__(self, calculator: Calculator) -> None:
        self._calculator = calculator
        self._lock = threading.Lock()  # changes come from whatever thread sets an option
        self._changes: list[OptionChange] = []

    def add(self, change: OptionChange) -> None:
        """Make a change later: of two at one timestamp, that which was added last counts."""
        with self._lock:
            # The earlier one is left out, so that a node which is never called keeps nothing.
            self._changes = [
                other for other in self._changes if (other.at, other.name) != change[:2]
            ]
            insort(self._changes, change, key=lambda later: later.at)

    def forget_times(self) -> None:
        """Forget what was to change at a timestamp: those of the next run mean other moments."""
        with self._lock:
            self._changes = [change for change in self._changes if change.at == _AT_ONCE]

    def process(self, context: Context) -> Any:
        """Change what is due at the timestamp of a call, then let the calculator do it."""
        with self._lock:
            due = [change for change in self._changes if change.at <= context.timestamp]
            del self._changes[: len(due)]
        for change in due:
            self._calculator.set_option(change.name, change.value)
        return self._calculator.process(context)


def check_option(node: RunNode, name: str, value: Any) -> None:
    """Raise where a node has no such option, or one of another type."""
    options = node.calculator.contract.options
    if name not in options:
        raise InputError(
            f"node {node.name!r} has no option {name!r} that can be set{suggestion(name, options)}"
        )
    classes = runtime_classes(options[name])
    if classes and not isinstance(value, classes):
        raise InputError(
            f"option {name!r} of node {node.name!r} takes {type_name(options[name])}, "
            f"got {full_type_name(type(value))}"
        )
    if node.lanes or node.flying:
        raise GraphError(
            f"node {node.name!r} handles several timestamps at once, so there is no moment at "
            "which an option of it could change; set max_in_flight to 1"
        )


def change_option(node: RunNode, name: str, value: Any, at: int | None) -> None:
    """Let a node set an option before its first call from a timestamp on; None: its next call."""
    if node.changes is None:
        node.changes = OptionChanges(node.calculator)
        node.process = node.changes.process
    node.changes.add(OptionChange(_AT_ONCE if at is None else at, name, value))
