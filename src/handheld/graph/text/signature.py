"""Calculators of our own under a name: options become the arguments of a class or function."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin, get_type_hints

from handheld.graph.calculator import Calculator
from handheld.graph.function import FunctionCalculator
from handheld.graph.text.model import NodeText
from handheld.graph.text.options import OptionReader, read_options
from handheld.graph.types import is_union, without_none, without_notes

Factory = Callable[[NodeText], Calculator]
"""Makes the calculator of a node."""

_EMPTY = inspect.Parameter.empty
_LISTS = (tuple, list, Sequence)
_SINGLE: Mapping[Any, Callable[[OptionReader, str], Any]] = {
    bool: OptionReader.flag,
    int: OptionReader.whole,
    float: OptionReader.number,
    str: OptionReader.text,
}
_SEVERAL: Mapping[Any, Callable[[OptionReader, str], tuple[Any, ...]]] = {
    bool: OptionReader.flags,
    int: OptionReader.wholes,
    float: OptionReader.numbers,
    str: OptionReader.texts,
}


def class_factory(calculator: type[Calculator]) -> Factory:
    """Return what makes a calculator of a class, with options as the arguments of ``__init__``.

    An argument of type bool, int, float, str, ``Literal`` or an enum, or a tuple or list of the
    first four, may stand in a text; one of type :class:`NodeText` is the node itself.
    """

    def make(node: NodeText) -> Calculator:
        return calculator(**_arguments(node, calculator, calculator.__init__))

    return make


def function_factory(calculator: FunctionCalculator[..., Any]) -> Factory:
    """Return what makes a calculator of a function, with options as keyword-only arguments."""

    def make(node: NodeText) -> Calculator:
        options = _arguments(node, calculator.function, calculator.function, keyword_only=True)
        return calculator.with_options(**options)

    return make


def _arguments(
    node: NodeText, callee: Any, hinted: Any, *, keyword_only: bool = False
) -> dict[str, Any]:
    """Read the options that a node says.

    Raises :class:`~handheld.errors.GraphTextError` for one that there is not, or is missing.
    """
    hints: Mapping[str, Any] = {}
    # A class without __init__ has that of object, which has no annotations to be read.
    if isinstance(hinted, types.FunctionType):
        hints = get_type_hints(hinted)
    arguments: dict[str, Any] = {}
    with read_options(node) as options:
        for name, parameter in _parameters(callee, keyword_only=keyword_only).items():
            if hints.get(name) is NodeText:
                arguments[name] = node
            elif options.has(name):
                arguments[name] = _value(options, name, hints.get(name))
            elif parameter.default is _EMPTY and not keyword_only:
                raise options.located(name, f"option {name!r} is missing")
    return arguments


def _parameters(callee: Any, *, keyword_only: bool) -> dict[str, inspect.Parameter]:
    taken = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if keyword_only:
        taken.remove(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(callee).parameters
    return {name: value for name, value in parameters.items() if value.kind in taken}


def _value(options: OptionReader, name: str, hint: Any) -> Any:
    hint = without_none(without_notes(hint))
    if is_union(hint):
        # A text does not tell which it means: the first, as the simplest.
        hint = get_args(hint)[0]
    if hint in _SINGLE:
        return _SINGLE[hint](options, name)
    origin = get_origin(hint)
    if origin is Literal:
        choices = get_args(hint)
        return options.choice(name, choices, choices[0])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint[options.choice(name, list(hint.__members__), "")]
    entry = next(iter(get_args(hint)), None)
    if origin in _LISTS and entry in _SEVERAL:
        values = _SEVERAL[entry](options, name)
        return list(values) if origin is list else values
    reason = f"option {name!r} is of type {hint}, which no text can say: register a factory"
    raise options.located(name, reason)
