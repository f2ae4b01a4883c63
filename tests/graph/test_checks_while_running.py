"""What a running graph checks of the code in its nodes: types that are sent, names of ports, one
close, interrupts.
"""

import gc
import pickle
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from graph_parts import pairs

from handheld.errors import (
    CalculatorError,
    GraphError,
    GraphValidationError,
    HandheldError,
    InputError,
    MissingDependencyError,
)
from handheld.graph import (
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    Packet,
    PassThrough,
    Timestamp,
    calculator,
)

THREADS = pytest.mark.parametrize("threads", [0, 2])


def one_node(made: Calculator, outputs: str = "out") -> GraphConfig:
    return GraphConfig(inputs={"in": int}, nodes=[Node(made, inputs="in", outputs=outputs)])


class Sends(Calculator):
    """Sends one value, whatever its contract says."""

    def __init__(self, hint: Any, value: Any) -> None:
        self.contract = Contract(inputs={"in": int}, outputs={"out": hint})
        self.value = value

    def process(self, context: Context) -> None:
        context.send("out", self.value)


class Number(float):
    """A number of another library."""


WRONG_TYPES = {
    "text for a number": (int, "no", "sends str on port 'out', whose contract says int"),
    "None": (int, None, "sends NoneType on port 'out'"),
    "a fraction for a whole number": (int, 1.5, "sends float"),
    "not a list": (
        list[int],
        (1, 2),
        r"sends tuple on port 'out', whose contract says list\[int\]",
    ),
    "none of a union": (int | str, b"", "sends bytes"),
}
RIGHT_TYPES = {
    "a whole number for a fraction": (float, 1),
    "a subclass": (float, Number(1.5)),
    "a truth value for a whole number": (int, True),
    "a member of a union": (int | str, "a"),
    "None where the contract allows it": (int | None, None),
    "anything for object": (object, b""),
    "a list": (list[int], [1]),
}


@THREADS
@pytest.mark.parametrize(("hint", "value", "message"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_a_payload_that_is_not_of_the_ports_type_is_refused(
    hint: Any, value: Any, message: str, threads: int
) -> None:
    with (
        pytest.raises(CalculatorError, match=message),
        Graph(one_node(Sends(hint, value)), threads=threads) as graph,
    ):
        graph.add("in", 1, 0)


@pytest.mark.parametrize(("hint", "value"), RIGHT_TYPES.values(), ids=RIGHT_TYPES)
def test_a_payload_of_the_ports_type_passes(hint: Any, value: Any) -> None:
    with Graph(one_node(Sends(hint, value))) as graph:
        reader = graph.output("out")
        graph.add("in", 1, 0)
        assert reader.drain() == [Packet(value, 0)]


def test_the_result_of_a_function_is_checked() -> None:
    @calculator
    def wrong(number: int) -> int:
        return str(number)  # type: ignore[return-value]

    with (
        pytest.raises(CalculatorError, match="sends str on port 'out'"),
        Graph(one_node(wrong)) as graph,
    ):
        graph.add("in", 1, 0)


class Asks(Calculator):
    """Reads a port that it does not have."""

    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def __init__(self, ask: str) -> None:
        self.ask = ask

    def process(self, context: Context) -> None:
        getattr(context, self.ask)("inn")


@pytest.mark.parametrize("ask", ["get", "bound"])
def test_a_misspelt_input_port_is_no_missing_packet(ask: str) -> None:
    message = r"asks for port 'inn', which its contract does not declare; it declares \['in'\]"
    with pytest.raises(CalculatorError, match=message), Graph(one_node(Asks(ask))) as graph:
        graph.add("in", 1, 0)


class ClosesBadly(Calculator):
    """Fails when it is closed, and counts how often it is."""

    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def __init__(self) -> None:
        self.calls: list[str] = []

    def open(self, context: Context) -> None:
        self.calls.append("open")

    def process(self, context: Context) -> None:
        self.calls.append("process")

    def close(self, context: Context) -> None:
        self.calls.append("close")
        raise RuntimeError("cannot close")


@THREADS
def test_a_node_whose_close_raises_is_closed_once(threads: int) -> None:
    made = ClosesBadly()
    with (
        pytest.raises(CalculatorError, match="cannot close"),
        Graph(one_node(made), threads=threads) as graph,
    ):
        graph.add("in", 1, 0)
    assert made.calls == ["open", "process", "close"]


def test_a_source_gives_timestamps_that_know_seconds() -> None:
    class Ticks(Calculator):
        contract = Contract(outputs={"out": int})

        def process(self, context: Context) -> None:
            context.send("out", 1, timestamp=2_500_000)
            context.finish()

    seen = []

    @calculator
    def add_one(number: int) -> int:
        return number + 1

    nodes = [Node(Ticks(), outputs="tick"), Node(add_one, inputs="tick", outputs="next")]
    with Graph(GraphConfig(nodes=nodes)) as graph:
        graph.observe("next", seen.append)
        reader = graph.output("tick")
        seen += list(reader)
    assert [packet.timestamp.seconds for packet in seen] == [2.5, 2.5]
    assert all(type(packet.timestamp) is Timestamp for packet in seen)


def generator(number: int) -> Iterator[int]:
    yield number


async def asynchronous(number: int) -> AsyncIterator[int]:
    yield number


@pytest.mark.parametrize("function", [generator, asynchronous])
def test_a_function_that_gives_no_result_at_once_is_refused(function: Any) -> None:
    with pytest.raises(GraphValidationError, match=f"{function.__name__}.. is a generator"):
        calculator(function)


def test_a_process_that_gives_no_result_at_once_is_refused() -> None:
    class Lazy(PassThrough):
        def process(self, context: Context) -> Any:
            yield context.send("out", 1)

    with pytest.raises(GraphValidationError, match=r"node 'lazy': its process.. is a generator"):
        Graph(one_node(Lazy()))


def test_an_option_without_a_value_is_missed_before_the_graph_runs() -> None:
    @calculator
    def scale(number: int, *, factor: int, shift: int = 0) -> int:
        return factor * number + shift

    with pytest.raises(
        GraphValidationError, match=r"node 'scale': scale.. needs the options \['factor'\]"
    ):
        Graph(one_node(scale))
    assert Graph(one_node(scale.with_options(factor=3))).config.nodes


def test_a_class_where_an_object_was_meant_is_told() -> None:
    with pytest.raises(GraphValidationError, match=r"did you mean PassThrough\(\.\.\.\)"):
        Graph(
            GraphConfig(inputs={"in": int}, nodes=[Node(PassThrough, inputs="in", outputs="out")])
        )  # type: ignore[arg-type]


class Interrupts(Calculator):
    contract = Contract(inputs={"in": int}, outputs={"out": int})

    def process(self, context: Context) -> None:
        raise KeyboardInterrupt


def test_after_an_interrupt_the_graph_says_so() -> None:
    with Graph(one_node(Interrupts())) as graph:
        with pytest.raises(KeyboardInterrupt):
            graph.add("in", 1, 0)
        with pytest.raises(
            GraphError,
            match=r"node 'interrupts' was interrupted .KeyboardInterrupt.: make the graph anew",
        ):
            graph.add("in", 2, 1)
        graph.cancel()


@calculator
def invert(number: int) -> float:
    return 1 / number


def fail_for_want_of_a_result() -> None:
    with Graph(one_node(invert), threads=1) as graph:
        graph.add("in", 0, 0)
        with pytest.raises(CalculatorError):
            graph.wait()
        raise KeyError("no result")


def test_what_failed_on_the_pool_is_told_where_the_block_fails_for_want_of_it() -> None:
    with pytest.raises(KeyError) as caught:
        fail_for_want_of_a_result()
    assert any("ZeroDivisionError" in note for note in caught.value.__notes__)


@THREADS
def test_an_observer_may_end_the_graph(threads: int) -> None:
    seen: list[int] = []
    with Graph(one_node(PassThrough()), threads=threads) as graph:

        def stop_at_two(packet: Packet[int]) -> None:
            seen.append(packet.payload)
            if packet.payload == 2:
                graph.close()

        graph.observe("out", stop_at_two)
        graph.add("in", 1, 0)
        graph.add("in", 2, 1)
    assert seen == [1, 2]


@THREADS
def test_a_block_whose_graph_was_cancelled_meanwhile_is_left_quietly(threads: int) -> None:
    for _ in range(50):  # on a pool, at whatever moment of its end
        with Graph(one_node(PassThrough()), threads=threads) as graph:
            graph.observe("out", lambda _, graph=graph: graph.cancel())
            graph.add("in", 1, 0)


def test_a_graph_on_a_pool_that_is_dropped_ends_its_threads() -> None:
    graph = Graph(one_node(PassThrough()), threads=2)
    graph.__enter__()
    graph.add("in", 1, 0)
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("handheld-graph")]
    assert mine
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del graph
        gc.collect()
    assert not any(thread.is_alive() for thread in mine)
    assert [warning.category for warning in told] == [ResourceWarning]


ERRORS = [
    CalculatorError("n", Timestamp(3), ValueError("x")),
    MissingDependencyError("numba", "train", "drawing"),
    InputError("x"),
    GraphValidationError("y"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling(error: HandheldError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_packets_keep_their_pairs() -> None:
    assert pairs([Packet(1, 2)]) == [(1, 2)]


def test_a_generator_that_a_calculator_returns_is_refused() -> None:
    class Lazy(PassThrough):
        def process(self, context: Context) -> Any:
            return (context.send("out", number) for number in range(3))

    graph = Graph(GraphConfig(inputs={"x": int}, nodes=[Node(Lazy(), inputs="x", outputs="y")]))
    with pytest.raises(CalculatorError, match="returned a generator, of which nothing runs"), graph:
        graph.add("x", 1, 1)


@pytest.mark.parametrize("method", ["open", "reset", "close"])
def test_no_method_is_a_generator(method: str) -> None:
    def lazily(self: Any, context: Context) -> Any:
        yield

    lazily.__name__ = method
    lazy = type("Lazy", (PassThrough,), {method: lazily})
    with pytest.raises(GraphValidationError, match=rf"its {method}\(\) is a generator"):
        Graph(GraphConfig(inputs={"x": int}, nodes=[Node(lazy(), inputs="x", outputs="y")]))
