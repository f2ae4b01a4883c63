from typing import Any, Literal, NewType, TypeVar

import pytest
from graph_parts import Call, Join, Keep, Log

from handheld.errors import GraphValidationError
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    SyncSetPolicy,
    calculator,
    stream_names,
)
from handheld.graph.plan import plan


@calculator
def length(text: str) -> int:
    return len(text)


def side_node(**contract: Any) -> Call:
    return Call(lambda context: None, Contract(inputs={"in": object}, **contract))


INNER = GraphConfig(
    inputs={"x": int}, outputs=["y"], nodes=[Node(PassThrough(), inputs="x", outputs="y")]
)

WRONG = {
    "unknown stream": (
        [Node(PassThrough(), inputs="imges", outputs="out", name="blur")],
        "node 'blur', input port 'in': unknown stream 'imges'; did you mean 'images'?",
    ),
    "no such port": (
        [Node(PassThrough(), inputs={"inn": "images"}, name="blur")],
        "node 'blur' has no input port 'inn'; did you mean 'in'?",
    ),
    "no such output port": (
        [Node(PassThrough(), inputs="images", outputs={"result": "out"}, name="blur")],
        "node 'blur' has no output port 'result'; there are ['out']",
    ),
    "too many streams": (
        [Node(PassThrough(), inputs=["images", "other"], name="blur")],
        "node 'blur': 2 input streams ['images', 'other'], but its input ports are ['in']",
    ),
    "port left open": (
        [Node(Join(2), inputs=["images"], name="join")],
        "node 'join': input port 'in1' is not connected; name its stream in the Node",
    ),
    "types do not fit": (
        [Node(Keep(bool), inputs="images", outputs="n"), Node(length, inputs="n", outputs="out")],
        "node 'length', input port 'text' takes str, but stream 'n' carries int (node "
        "'keep', output port 'out'); "
        "connect another stream, or put a calculator between them that converts",
    ),
    "two producers": (
        [
            Node(PassThrough(), inputs="images", outputs="a"),
            Node(PassThrough(), inputs="images", outputs="a"),
        ],
        "stream 'a' has two producers: node 'pass_through', output port 'out', and node "
        "'pass_through_2', output port 'out'; "
        "rename one of them (Merge or Mux joins two streams into one)",
    ),
    "a producer of a graph input": (
        [Node(PassThrough(), inputs="images", outputs="images")],
        "stream 'images' has two producers: the graph's own input, and node 'pass_through', "
        "output port 'out'",
    ),
    "cycle": (
        [
            Node(Join(2), inputs=["images", "c"], outputs="a", name="first"),
            Node(PassThrough(), inputs="a", outputs="b", name="second"),
            Node(PassThrough(), inputs="b", outputs="c", name="third"),
        ],
        "nodes form a cycle: first <- third <- second <- first, closed by stream 'a' at node "
        "'second', input port 'in'; "
        "if it is meant, mark the input that takes the earlier result with BackEdge('a')",
    ),
    "a node that feeds itself": (
        [Node(Join(2), inputs=["images", "a"], outputs="a", name="self")],
        "nodes form a cycle: self <- self, closed by stream 'a' at node 'self', input port 'in1'",
    ),
    "same name": (
        [
            Node(PassThrough(), inputs="images", name="a"),
            Node(PassThrough(), inputs="images", name="a"),
        ],
        "two nodes are called 'a'; give each its own name",
    ),
    "no calculator": (
        [Node(len, inputs="images")],
        "node 'len': expected a Calculator object, a function decorated",
    ),  # type: ignore[arg-type]
    "policy with an unknown port": (
        [
            Node(
                Join(2),
                inputs=["images", "images"],
                policy=SyncSetPolicy((("in0", "in7"),)),
                name="join",
            )
        ],
        "node 'join': its input policy names port 'in7'; did you mean 'in1'?",
    ),
    "policy with a port twice": (
        [
            Node(
                Join(2),
                inputs=["images", "images"],
                policy=SyncSetPolicy((("in0",), ("in0", "in1"))),
                name="join",
            )
        ],
        "node 'join': its input policy puts a port into two sync sets",
    ),
    "unknown side packet": (
        [
            Node(
                side_node(side_inputs={"model": str}),
                inputs="images",
                side_inputs="modle",
                name="detect",
            )
        ],
        "node 'detect', input port 'model': unknown side packet 'modle'; there are none",
    ),
    "side packet of another type": (
        [
            Node(
                side_node(side_outputs={"model": bytes}),
                inputs="images",
                side_outputs="model",
                name="load",
            ),
            Node(
                side_node(side_inputs={"model": str}),
                inputs="images",
                side_inputs="model",
                name="detect",
            ),
        ],
        "node 'detect', input port 'model' takes str, but side packet 'model' carries bytes "
        "(node 'load', output port 'model')",
    ),
    "inside a subgraph": (
        [
            Node(
                GraphConfig(inputs={"x": int}, nodes=[Node(PassThrough(), inputs="z")]),
                inputs="images",
                name="sub",
            )
        ],
        "node 'sub/pass_through', input port 'in': unknown stream 'sub/z'",
    ),
    "a node called as one inside a subgraph": (
        [
            Node(INNER, inputs="images", outputs="out", name="sub"),
            Node(PassThrough(), inputs="images", outputs="more", name="sub/pass_through"),
        ],
        "two nodes are called 'sub/pass_through'; give each its own name",
    ),
    "a subgraph's input of another type": (
        [
            Node(side_node(outputs={"out": str}), inputs="images", outputs="text"),
            Node(INNER, inputs="text", outputs="out", name="sub"),
        ],
        "node 'sub', input port 'x' takes int, but stream 'text' carries str",
    ),
    "a subgraph's side packet of another type": (
        [
            Node(side_node(side_outputs={"model": bytes}), inputs="images", side_outputs="model"),
            Node(
                GraphConfig(inputs={"x": object}, side_inputs={"m": str}, nodes=[]),
                inputs="images",
                side_inputs="model",
                name="sub",
            ),
        ],
        "node 'sub', input port 'm' takes str, but side packet 'model' carries bytes",
    ),
    "no names of streams": (
        [Node(PassThrough(), inputs="images", outputs=None, name="blur")],  # type: ignore[arg-type]
        "node 'blur': expected the names of output streams, got None",
    ),
    "a subgraph's output that nobody makes": (
        [
            Node(
                GraphConfig(inputs={"x": int}, outputs=["y"], nodes=[]),
                inputs="images",
                outputs="out",
                name="sub",
            )
        ],
        "subgraph 'sub': no node of it makes its output 'y'",
    ),
    "a subgraph's input as its output": (
        [
            Node(
                GraphConfig(inputs={"x": int}, outputs=["x"], nodes=[]),
                inputs="images",
                outputs="out",
                name="sub",
            )
        ],
        "subgraph 'sub': no node of it makes its output 'x'; put a PassThrough between its "
        "input and its output",
    ),
}


@pytest.mark.parametrize(("nodes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_graph_says_where_and_what_to_do(nodes: list[Node], message: str) -> None:
    with pytest.raises(GraphValidationError) as caught:
        plan(GraphConfig(inputs={"images": object}, nodes=nodes))
    assert message in str(caught.value)


def test_an_output_must_exist() -> None:
    with pytest.raises(
        GraphValidationError,
        match="the graph's output 'imags' is no stream of the graph; did you mean 'images'",
    ):
        plan(GraphConfig(inputs={"images": object}, nodes=[], outputs=["imags"]))


def test_producers_precede_consumers_and_back_edges_do_not_count() -> None:
    nodes = [
        Node(PassThrough(), inputs="b", outputs="c", name="third"),
        Node(Join(2), inputs=["images", BackEdge("c")], outputs="a", name="first"),
        Node(PassThrough(), inputs="a", outputs="b", name="second"),
    ]
    assert [node.name for node in plan(GraphConfig(inputs={"images": int}, nodes=nodes)).nodes] == [
        "first",
        "second",
        "third",
    ]


def test_side_packets_order_nodes_too() -> None:
    nodes = [
        Node(
            side_node(side_inputs={"model": str}),
            inputs="images",
            side_inputs="model",
            name="detect",
        ),
        Node(
            side_node(side_outputs={"model": str}),
            inputs="images",
            side_outputs="model",
            name="load",
        ),
    ]
    assert [node.name for node in plan(GraphConfig(inputs={"images": int}, nodes=nodes)).nodes] == [
        "load",
        "detect",
    ]


def test_subgraphs_are_opened_up_under_their_names() -> None:
    nodes = [Node(INNER, inputs="images", outputs="out", name="sub"), Node(Log(), inputs="out")]
    expanded = plan(GraphConfig(inputs={"images": int}, nodes=nodes))
    assert [(node.name, dict(node.inputs), dict(node.outputs)) for node in expanded.nodes] == [
        ("sub/pass_through", {"in": "images"}, {"out": "out"}),
        ("log", {"in": "out"}, {}),
    ]


@pytest.mark.parametrize("outside", [True, False])
def test_a_back_edge_may_lead_into_a_subgraph(outside: bool) -> None:
    inner_name = "loop" if outside else BackEdge("loop")
    inner = GraphConfig(
        inputs={"x": int, "loop": int},
        outputs=["y"],
        nodes=[Node(Join(2), inputs=["x", inner_name], outputs="y")],
    )
    outer_name = BackEdge("result") if outside else "result"
    nodes = [
        Node(inner, inputs=["images", outer_name], outputs="a"),
        Node(PassThrough(), inputs="a", outputs="result"),
    ]
    assert [node.name for node in plan(GraphConfig(inputs={"images": int}, nodes=nodes)).nodes] == [
        "graph/join",
        "pass_through",
    ]


def test_a_chain_of_ten_thousand_nodes_is_no_matter() -> None:
    nodes = [
        Node(PassThrough(), inputs=f"s{i}", outputs=f"s{i + 1}", name=f"n{i}")
        for i in reversed(range(10_000))
    ]
    assert plan(GraphConfig(inputs={"s0": int}, nodes=nodes)).nodes[-1].name == "n9999"


def test_stream_names() -> None:
    config = GraphConfig(
        inputs={"images": int}, nodes=[Node(INNER, inputs="images", outputs="out", name="sub")]
    )
    assert stream_names(config) == ("images", "out")


WRONG_CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "inputs in a list": (
        {"inputs": ["x"]},
        r"inputs: expected a mapping of names to types, got \['x'\]",
    ),
    "a type in quotes": ({"inputs": {"x": "int"}}, "inputs: expected a type for 'x', got 'int'"),
    "a value for a type": (
        {"side_inputs": {"x": 3}},
        "side_inputs: expected a type for 'x', got 3",
    ),
    "a number for a name": ({"inputs": {3: int}}, "inputs: expected names as texts, got 3"),
    "a calculator for a node": ({"nodes": [length]}, r"nodes: expected Node\(...\) objects"),
    "no node at all": ({"nodes": 3}, r"nodes: expected Node\(...\) objects, got 3"),
}


@pytest.mark.parametrize(("entries", "message"), WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
def test_a_config_of_other_types_is_refused(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphValidationError, match=message):
        GraphConfig(**{"nodes": [], **entries})


def test_one_node_and_one_output_need_no_list() -> None:
    config = GraphConfig(
        inputs={"x": int},
        outputs="result",
        nodes=Node(PassThrough(), inputs="x", outputs="result"),  # type: ignore[arg-type]
    )
    assert stream_names(config) == ("x", "result")


@pytest.mark.parametrize("side", ["inputs", "outputs", "side_inputs", "side_outputs"])
def test_a_contract_of_other_types_is_refused(side: str) -> None:
    with pytest.raises(GraphValidationError, match=f"{side}: expected a type for 'x', got 3"):
        Contract(**{side: {"x": 3}})


@pytest.mark.parametrize(
    "hint", [int, None, Any, list[int], int | None, Literal["a"], NewType("N", int), TypeVar("T")]
)
def test_every_form_of_a_type_may_stand_in_a_contract(hint: Any) -> None:
    assert Contract(inputs={"x": hint}).inputs == {"x": hint}


class _Two(Calculator):
    """Makes the side packet 2."""

    contract = Contract(side_outputs={"two": int})

    def open(self, context: Context) -> None:
        context.send_side("two", 2)

    def process(self, context: Context) -> None:
        context.finish()


class _PlusSide(Calculator):
    """Adds a side packet."""

    contract = Contract(inputs={"in": int}, outputs={"out": int}, side_inputs={"plus": int})

    def process(self, context: Context) -> None:
        context.send("out", context.get("in") + context.side["plus"])


def test_side_packets_leave_a_subgraph() -> None:
    inner = GraphConfig(nodes=[Node(_Two(), side_outputs="two")], side_outputs="two", name="inner")
    config = GraphConfig(
        inputs={"x": int},
        nodes=[
            Node(_PlusSide(), inputs="x", outputs="y", side_inputs="second"),
            Node(inner, side_outputs={"two": "second"}),
        ],
    )
    with Graph(config) as graph:
        sums = graph.output("y")
        graph.add("x", 40, timestamp=0)
        assert next(sums).payload == 42


def test_a_side_packet_that_no_node_of_a_subgraph_makes_cannot_leave_it() -> None:
    inner = GraphConfig(nodes=[Node(_Two(), side_outputs="two")], side_outputs=["three"], name="in")
    message = "subgraph 'in': no node of it makes its side output 'three'"
    with pytest.raises(GraphValidationError, match=message):
        plan(GraphConfig(nodes=[Node(inner, side_outputs="three")]))
