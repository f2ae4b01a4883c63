"""Names for calculators: what a text means by ``calculator: "..."``."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from handheld.errors import GraphTextError, GraphValidationError, HandheldError
from handheld.graph.calculator import Calculator
from handheld.graph.function import FunctionCalculator
from handheld.graph.text.files import read_graph_file
from handheld.graph.text.model import GraphText, NodeText
from handheld.graph.text.signature import Factory, class_factory, function_factory
from handheld.graph.text.tokens import located

Registrable = Callable[[NodeText], Calculator] | type[Calculator] | FunctionCalculator[..., Any]
"""A factory, a class of calculators, or a function under ``@calculator``."""


@dataclass(frozen=True)
class RegisteredCalculator:
    """What makes the calculators of one name.

    Attributes:
        factory: makes the calculator of a node; may raise any error of this package.
        ports: port in a text (``TAG``, ``TAG:1``, ``0``) -> port of the calculator, where they
            differ in more than upper case.
    """

    factory: Factory
    ports: Mapping[str, str] = field(default_factory=dict)

    def make(self, node: NodeText) -> Calculator:
        """Make the calculator of a node.

        Raises:
            GraphTextError: the options or ports of the node are not those that the calculator
                takes; says where.
        """
        try:
            calculator = self.factory(node)
        # It is a HandheldError too, and knows its place in the text already.
        except GraphTextError:
            raise
        except HandheldError as error:
            raise located(f"{node.title}: {error}", node.source, node.position) from error
        if not isinstance(calculator, Calculator):
            raise GraphValidationError(
                f"the factory of {node.calculator!r} returned {calculator!r}, expected a Calculator"
            )
        return calculator


@dataclass(frozen=True)
class Registry:
    """Calculators and subgraphs by the names under which texts know them: a value.

    Adding to it returns another one; of two that are joined (``registry | other``) the right one
    has the last word.

    >>> from handheld.graph import PassThrough, calculator
    >>> @calculator
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> registry = Registry().add("Double", double).add("PassThroughCalculator", PassThrough)
    >>> sorted(registry)
    ['Double', 'PassThroughCalculator']

    Attributes:
        calculators: name -> what makes it.
        subgraphs: type -> graph.
    """

    calculators: Mapping[str, RegisteredCalculator] = field(default_factory=dict)
    subgraphs: Mapping[str, GraphText] = field(default_factory=dict)

    def add(
        self, name: str, calculator: Registrable, *, ports: Mapping[str, str] | None = None
    ) -> "Registry":
        """Return a registry that knows one calculator more.

        Args:
            name: as texts have it; ``*`` in it stands for any letters, for names that nobody has
                under their own.
            calculator: a factory, which is called with each node; a class, whose arguments are
                options of the node; or a function under ``@calculator``, whose keyword-only
                arguments are.
            ports: port in a text -> port of the calculator. A port that is not named here is that
                of the same name in upper or lower case (``IN:1`` is ``IN:1`` or ``in1``); one
                without a tag goes by its order.

        Raises:
            GraphValidationError: it is none of these.
        """
        entry = RegisteredCalculator(_factory(name, calculator), dict(ports or {}))
        return Registry({**self.calculators, name: entry}, self.subgraphs)

    def with_subgraphs(self, *graphs: GraphText | str | os.PathLike[str]) -> "Registry":
        """Return a registry that knows more subgraphs, by their types.

        Args:
            graphs: graphs, or files of such.

        Raises:
            GraphTextError: a file cannot be read, or a graph has no type.
        """
        subgraphs = dict(self.subgraphs)
        for entry in graphs:
            graph = entry
            if not isinstance(graph, GraphText):
                graph = read_graph_file(graph)
            if not graph.type:
                raise GraphTextError(
                    "a subgraph needs a type, by which others name it", source=graph.source
                )
            subgraphs[graph.type] = graph
        return Registry(self.calculators, subgraphs)

    def __or__(self, other: "Registry") -> "Registry":
        return Registry(
            {**self.calculators, **other.calculators}, {**self.subgraphs, **other.subgraphs}
        )

    def __iter__(self) -> Iterator[str]:
        return iter([*self.calculators, *self.subgraphs])

    def resolve(self, name: str, package: str = "") -> str:
        """Return the registered name that a name means within a package; empty for none.

        As in MediaPipe, the innermost package that has the name is meant.
        """
        for candidate in _qualified(name, package):
            if candidate in self.calculators or candidate in self.subgraphs:
                return candidate
        # Last, so that a name of its own always comes before a pattern that fits it too.
        for pattern in self.calculators:
            if "*" in pattern and fnmatchcase(name, pattern):
                return pattern
        return ""


def _qualified(name: str, package: str) -> Iterable[str]:
    scopes: list[str] = []
    if package:
        scopes = package.split(".")
    while scopes:
        yield ".".join([*scopes, name])
        scopes.pop()
    yield name


def _factory(name: str, calculator: Registrable) -> Factory:
    if isinstance(calculator, FunctionCalculator):
        return function_factory(calculator)
    if isinstance(calculator, type):
        if issubclass(calculator, Calculator):
            return class_factory(calculator)
    # A calculator may be callable too, but one object cannot be every node of its name.
    elif callable(calculator) and not isinstance(calculator, Calculator):
        return calculator
    raise GraphValidationError(
        f"{name!r}: expected a class of calculators, a function decorated with @calculator, or "
        f"a function that takes a node and returns a calculator, got {calculator!r}"
    )
