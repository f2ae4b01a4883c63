from functools import partial
from typing import Any, NamedTuple

import pytest
from graph_parts import pairs

from handheld.errors import GraphValidationError
from handheld.graph import Calculator, Graph, GraphConfig, Node, calculator


class Halves(NamedTuple):
    high: int
    low: int | None


@calculator
def halves(number: int) -> Halves:
    return Halves(number // 10, number % 10 or None)


@calculator
def scale(number: int, bonus: int | None, *, factor: int = 2) -> int | None:
    scaled = number * factor + (bonus or 0)
    return scaled if scaled < 100 else None


def run(
    function: Calculator, inputs: dict[str, dict[int, Any]], outputs: list[str]
) -> dict[str, list[tuple[Any, int]]]:
    config = GraphConfig(
        inputs=dict.fromkeys(inputs, int),
        nodes=[Node(function, inputs=list(inputs), outputs=outputs)],
    )
    with Graph(config) as graph:
        readers = {name: graph.output(name) for name in outputs}
        for name, packets in inputs.items():
            for timestamp, payload in packets.items():
                graph.add(name, payload, timestamp)
        graph.close_input()
        return {name: pairs(list(reader)) for name, reader in readers.items()}


def test_ports_come_from_the_signature() -> None:
    assert dict(scale.contract.inputs) == {"number": int, "bonus": int}
    assert dict(scale.contract.outputs) == {"out": int}
    assert dict(halves.contract.outputs) == {"high": int, "low": int}


def test_optional_inputs_may_be_missing_and_none_sends_nothing() -> None:
    sent = run(scale, {"n": {0: 1, 1: 2, 2: 60}, "b": {1: 5, 3: 7}}, ["out"])
    assert sent == {"out": [(2, 0), (9, 1)]}  # 60 * 2 is too much, and at 3 there is no number


def test_options_are_keyword_only_arguments() -> None:
    assert run(scale.with_options(factor=10), {"n": {0: 1}, "b": {}}, ["out"]) == {"out": [(10, 0)]}
    assert scale(4, None, factor=3) == 12
    with pytest.raises(GraphValidationError, match=r"no option \['facter'\]; it has \['factor'\]"):
        scale.with_options(facter=3)


def test_a_named_tuple_has_one_port_for_each_field() -> None:
    assert run(halves, {"n": {0: 42, 1: 30}}, ["h", "l"]) == {"h": [(4, 0), (3, 1)], "l": [(2, 0)]}


def test_one_function_may_be_two_nodes() -> None:
    nodes = [Node(halves, inputs="n", outputs=["a"]), Node(halves, inputs="a", outputs=["b"])]
    with Graph(GraphConfig(inputs={"n": int}, nodes=nodes)) as graph:
        reader = graph.output("b")
        graph.add("n", 420, 0)
        assert next(reader).payload == 4


def no_annotation(number):  # type: ignore[no-untyped-def]
    return number


def no_result(number: int):  # type: ignore[no-untyped-def]
    return number


def variadic(*numbers: int) -> int:
    return sum(numbers)


def unresolved(x: "Nowhere") -> int:  # type: ignore[name-defined]  # noqa: F821
    return int(x)


def no_input(*, start: int = 0) -> int:
    return start


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_annotation, r"no_annotation\(\) .* annotate \['number'\]"),
        (no_result, "annotate its result"),
        (variadic, r"replace \['numbers'\] by named parameters"),
        (no_input, r"no_input\(\) has no input: a source must be a Calculator class"),
        (3, "^3 cannot become a calculator: .*write a function with annotations"),
        (int, "cannot become a calculator: "),
        (partial(int), "cannot become a calculator: "),
        (unresolved, "cannot become a calculator: name 'Nowhere' is not defined"),
    ],
)
def test_what_cannot_become_a_calculator(function: Any, message: str) -> None:
    with pytest.raises(GraphValidationError, match=message):
        calculator(function)
