"""Plain typed functions as calculators."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Self, TypeVar, get_type_hints

from handheld.errors import GraphValidationError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.graph.types import allows_none, without_none

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class _Signature:
    """What a function takes and gives.

    Attributes:
        inputs: parameter -> type, of those that may stand without their name.
        options: keyword-only parameter -> default (``Parameter.empty`` for none).
        option_types: keyword-only parameter -> type, of those that are annotated.
        result: type of the result, less ``None``.
    """

    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    option_types: Mapping[str, Any]
    result: Any

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the result's fields, if it is a named tuple."""
        return getattr(self.result, "_fields", ())

    @property
    def outputs(self) -> dict[str, Any]:
        """Port -> type."""
        if self.result is type(None):
            return {}
        if not self.fields:
            return {"out": self.result}
        hints = get_type_hints(self.result)
        return {name: without_none(hints[name]) for name in self.fields}


class FunctionCalculator(Calculator, Generic[P, R]):
    """A typed function as a calculator; see :func:`calculator`.

    Attributes:
        function: called for each timestamp.
        options: values of its keyword-only parameters.
        missing: those of them that have neither a value nor a default yet; a graph refuses it until
            they have.
        required: inputs without which it is not called.
    """

    def __init__(self, function: Callable[P, R], options: dict[str, Any] | None = None) -> None:
        self.function = function
        self.options = dict(options or {})
        # So that help() and messages show the function rather than this class.
        self.__doc__ = function.__doc__
        self.__name__ = _name(function)
        signature = _read_signature(function)
        if unknown := self.options.keys() - signature.options:
            raise GraphValidationError(
                f"{self.__name__}() has no option {sorted(unknown)}; "
                f"it has {sorted(signature.options)}"
            )
        inputs = signature.inputs
        self.contract = Contract(
            inputs={name: without_none(hint) for name, hint in inputs.items()},
            outputs=signature.outputs,
            options={name: signature.option_types.get(name, object) for name in signature.options},
        )
        self.missing = _missing(signature, self.options)
        self.required = tuple(name for name, hint in inputs.items() if not allows_none(hint))
        self._ports = tuple(inputs)
        self._fields = signature.fields

    def __reduce__(self) -> Any:
        # Under its name a module has this object, not the function, so that cannot be pickled.
        module = getattr(self.function, "__module__", None)
        name = getattr(self.function, "__qualname__", "")
        if isinstance(_look_up(module, name), FunctionCalculator):
            return _look_up_with_options, (module, name, self.options)
        return type(self), (self.function, self.options)

    def __copy__(self) -> Self:
        # Else copying would go the way of pickling, and look for a name.
        twin: Self = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.function(*args, **kwargs)

    def with_options(self, **options: Any) -> Self:
        """Return a calculator of the same function with keyword-only arguments set."""
        return type(self)(self.function, {**self.options, **options})

    def process(self, context: Context) -> Any:  # an async one returns a coroutine
        """Call the function with the payloads of one timestamp.

        Without one that it needs, the timestamp is counted as skipped.
        """
        inputs = context.inputs
        for port in self.required:
            if port not in inputs:
                context.skips += 1
                return None
        result: Any = self.function(*map(context.get, self._ports), **self.options)
        if result is not None:
            self._send(context, result)
        return None

    def set_option(self, name: str, value: Any) -> None:
        """Call the function with another value of a keyword-only parameter from now on."""
        self.options = {**self.options, name: value}

    def _send(self, context: Context, result: Any) -> None:
        if not self._fields:
            context.send("out", result)
            return
        for port, value in zip(self._fields, result, strict=True):
            if value is not None:
                context.send(port, value)


class AsyncFunctionCalculator(FunctionCalculator[P, R]):
    """A coroutine function as a calculator; see :func:`calculator`."""

    async def process(self, context: Context) -> None:
        """Await the function, as a plain one is called."""
        inputs = context.inputs
        for port in self.required:
            if port not in inputs:
                context.skips += 1
                return
        function: Any = self.function
        result = await function(*map(context.get, self._ports), **self.options)
        if result is not None:
            self._send(context, result)


def calculator(function: Callable[P, R]) -> FunctionCalculator[P, R]:
    """Make a calculator of a typed function, with ports from its signature.

    Each parameter is an input port, each keyword-only parameter an option, and the result goes to
    the port ``out``; a ``NamedTuple`` gives one port for each field. ``None`` as a result or field
    sends nothing. The function is called when every input has a packet; a parameter annotated
    ``X | None`` may be missing. It can still be called as before. An ``async def`` is awaited.

    >>> @calculator
    ... def scale(value: float, *, factor: float = 2.0) -> float:
    ...     return value * factor
    >>> scale(1.5), sorted(scale.contract.inputs), scale.with_options(factor=3.0).options
    (3.0, ['value'], {'factor': 3.0})
    """
    if inspect.iscoroutinefunction(function):
        asynchronous: Any = function
        return AsyncFunctionCalculator(asynchronous)
    return FunctionCalculator(function)


def _look_up(module: str | None, name: str) -> Any:
    """Return what stands under a name in a module that is imported already; None if nothing."""
    value: Any = sys.modules.get(module or "")
    for attribute in name.split("."):
        value = getattr(value, attribute, None)
    return value


def _look_up_with_options(
    module: str, name: str, options: dict[str, Any]
) -> "FunctionCalculator[Any, Any]":
    importlib.import_module(module)
    decorated = _look_up(module, name)
    if not isinstance(decorated, FunctionCalculator):
        raise GraphValidationError(f"{module}.{name} is no function decorated with @calculator")
    return decorated.with_options(**options)


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calling a function runs nothing yet, and makes a generator."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _name(function: Callable[..., Any]) -> str:
    # A functools.partial has none, nor has an object with __call__.
    return getattr(function, "__name__", "function")


def _missing(signature: _Signature, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that have neither a value nor a default."""
    empty = inspect.Parameter.empty
    without_default = {name for name, value in signature.options.items() if value is empty}
    return tuple(sorted(without_default - options.keys()))


def _read_signature(function: Callable[..., Any]) -> _Signature:
    """Return what a function takes and gives.

    Raises :class:`GraphValidationError` where ports cannot be made of it.
    """
    # First, since Iterator[int], the result of a generator, would make a port of iterators.
    if is_generator(function):
        raise GraphValidationError(
            f"{_name(function)}() is a generator, whose call gives no result at once; "
            "write a plain or async function, or a Calculator class that sends several packets"
        )
    try:
        hints = get_type_hints(function)
        parameters = inspect.signature(function).parameters
    # What is no function, or has an annotation that names nothing.
    except (TypeError, ValueError, NameError) as error:
        raise GraphValidationError(
            f"{function!r} cannot become a calculator: {error}; "
            "write a function with annotations, or a Calculator class"
        ) from error
    inputs = []
    options = {}
    for name, parameter in parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            options[name] = parameter.default
        else:
            inputs.append(name)
    if not inputs:
        raise GraphValidationError(
            f"{_name(function)}() has no input: a source must be a Calculator class, which says "
            "when it is finished"
        )
    _check_annotations(function, [*parameters.values()], hints)
    return _Signature(
        inputs={name: hints[name] for name in inputs},
        options=options,
        option_types={name: hints[name] for name in options if name in hints},
        result=without_none(hints["return"]),
    )


def _check_annotations(
    function: Callable[..., Any], parameters: list[inspect.Parameter], hints: Mapping[str, Any]
) -> None:
    """Refuse parameters of which no port can be made."""
    variadic = []
    missing = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            variadic.append(parameter.name)
        elif parameter.name not in hints:
            missing.append(parameter.name)
    # First: a port needs a name, and annotating *args would give it none.
    if variadic:
        advice = f"replace {variadic} by named parameters"
    elif missing:
        advice = f"annotate {missing}"
    elif "return" not in hints:
        advice = "annotate its result"
    else:
        return
    raise GraphValidationError(
        f"{_name(function)}() cannot become a calculator: {advice}, "
        "since ports come from the signature"
    )
