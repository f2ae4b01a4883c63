"""Plain typed functions as calculators."""

import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from handheld.errors import GraphValidationError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.graph.types import allows_none, without_none

P = ParamSpec("P")
R = TypeVar("R")


class FunctionCalculator(Calculator, Generic[P, R]):
    """A typed function as a calculator; see :func:`calculator`.

    Attributes:
        function: called for each timestamp.
        options: values of its keyword-only parameters.
        missing: those of them that have neither a value nor a default yet; a graph refuses it until they have.
        required: inputs without which it is not called.
    """

    def __init__(self, function: Callable[P, R], options: dict[str, Any] | None = None) -> None:
        self.function, self.options = function, dict(options or {})
        self.__doc__, self.__name__ = function.__doc__, getattr(function, "__name__", "function")
        parameters, hints = inspect.signature(function).parameters, _hints(function)
        named = {p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
        if unknown := self.options.keys() - named:
            raise GraphValidationError(f"{self.__name__}() has no option {sorted(unknown)}; it has {sorted(named)}")
        inputs = {p.name: hints[p.name] for p in parameters.values() if p.kind is not p.KEYWORD_ONLY}
        result = without_none(hints["return"])
        self._fields: tuple[str, ...] = getattr(result, "_fields", ())
        outputs = {f: get_type_hints(result)[f] for f in self._fields} or {"out": result}
        self.contract = Contract(
            inputs={name: without_none(hint) for name, hint in inputs.items()},
            outputs={} if result is type(None) else {name: without_none(hint) for name, hint in outputs.items()},
        )
        self.missing = tuple(
            name for name in sorted(named - self.options.keys()) if parameters[name].default is inspect.Parameter.empty
        )
        self._ports = tuple(inputs)
        self.required = tuple(name for name, hint in inputs.items() if not allows_none(hint))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.function(*args, **kwargs)

    def with_options(self, **options: Any) -> "FunctionCalculator[P, R]":
        """Return a calculator of the same function with keyword-only arguments set."""
        return FunctionCalculator(self.function, {**self.options, **options})

    def process(self, context: Context) -> None:
        """Call the function with the payloads of one timestamp; without one that it needs, count the timestamp as skipped."""
        inputs = context.inputs
        for port in self.required:
            if port not in inputs:
                context.skips += 1
                return
        result: Any = self.function(*map(context.get, self._ports), **self.options)
        if result is None:
            return
        if not self._fields:
            context.send("out", result)
            return
        for port, value in zip(self._fields, result, strict=True):
            if value is not None:
                context.send(port, value)


def calculator(function: Callable[P, R]) -> FunctionCalculator[P, R]:
    """Make a calculator of a typed function, with ports from its signature.

    Each parameter is an input port, each keyword-only parameter an option, and the result goes to the port ``out``; a
    ``NamedTuple`` gives one port for each field. ``None`` as a result or field sends nothing. The function is called when
    every input has a packet; a parameter annotated ``X | None`` may be missing. It can still be called as before.

    >>> @calculator
    ... def scale(value: float, *, factor: float = 2.0) -> float:
    ...     return value * factor
    >>> scale(1.5), sorted(scale.contract.inputs), scale.with_options(factor=3.0).options
    (3.0, ['value'], {'factor': 3.0})
    """
    return FunctionCalculator(function)


def is_plain(function: Callable[..., Any]) -> bool:
    """Whether calling a function runs it to its end, rather than making a coroutine or a generator."""
    lazy = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return not any(test(function) for test in lazy)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    if not is_plain(function):
        name = getattr(function, "__name__", "function")
        raise GraphValidationError(
            f"{name}() is async or a generator, whose call gives no result at once; write a plain function, or a Calculator "
            "class that sends several packets"
        )
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    if all(p.kind is p.KEYWORD_ONLY for p in parameters):
        name = getattr(function, "__name__", "function")
        raise GraphValidationError(
            f"{name}() has no input: a source must be a Calculator class, which says when it is finished"
        )
    variadic = [p.name for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    missing = [p.name for p in parameters if p.name not in hints and p.name not in variadic]
    if variadic or missing or "return" not in hints:
        name = getattr(function, "__name__", "function")
        what = f"annotate {missing or 'its result'}" if not variadic else f"replace {variadic} by named parameters"
        raise GraphValidationError(f"{name}() cannot become a calculator: {what}, since ports come from the signature")
    return hints
