"""Graphs that run of their texts: names, ports, back edges, subgraphs, policies, options."""

from collections.abc import Sequence
from enum import Enum
from typing import Literal

import pytest
from run_texts import run_text

from handheld.errors import CalculatorError, GraphTextError, GraphValidationError
from handheld.graph import (
    BackEdge,
    BarrierPolicy,
    Calculator,
    Context,
    Contract,
    DefaultPolicy,
    EarlyClosePolicy,
    FixedSizePolicy,
    Graph,
    GraphConfig,
    ImmediatePolicy,
    MuxPolicy,
    PassThrough,
    ProcessExecutor,
    SyncSetPolicy,
    ThreadExecutor,
    TimestampAlignPolicy,
    calculator,
)
from handheld.graph.text import (
    LIBRARY,
    NodeText,
    Registry,
    canonical_names,
    load_graph,
    node_of_message,
    parse_graph,
    read_graph,
    read_options,
    run_settings,
)
from handheld.graph.text.load import find_unregistered


@calculator
def scale(value: float, *, factor: float = 2.0) -> float:
    """A function with an option."""
    return value * factor


@calculator
def add(a: float, b: float) -> float:
    """A function of two inputs."""
    return a + b


class Corner(Enum):
    TOP = 1
    LEFT = 2


class Notes(Calculator):
    """Keeps what it was made with."""

    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def __init__(
        self,
        label: str,
        times: int = 1,
        *,
        loud: bool = False,
        sizes: tuple[int, ...] = (),
        shares: Sequence[float] = (),
        names: list[str] | None = None,
        unit: Literal["METER", "INCH"] = "METER",
        corner: Corner = Corner.TOP,
        odd: dict[str, int] | None = None,
    ) -> None:
        self.arguments = (label, times, loud, sizes, shares, names, unit, corner, odd)

    def process(self, context: Context) -> None:
        context.send("out", self.arguments)


class Constant(Calculator):
    """A side packet."""

    contract = Contract(side_outputs={"packet": int})

    def __init__(self, value: int) -> None:
        self.value = value

    def open(self, context: Context) -> None:
        context.send_side("packet", self.value)

    def process(self, context: Context) -> None:
        context.finish()


class PlusSide(Calculator):
    """Adds a side packet, where there is one."""

    contract = Contract(
        inputs={"in": int},
        outputs={"out": int},
        side_inputs={"plus": int},
        optional=frozenset({"plus"}),
    )

    def process(self, context: Context) -> None:
        context.send("out", context.get("in") + context.side.get("plus", 0))


REGISTRY = LIBRARY | (
    Registry()
    .add("Scale", scale)
    .add("Add", add)
    .add("Notes", Notes)
    .add("Constant", Constant)
    .add("PlusSide", PlusSide)
)


def node(fields, name="n"):
    return f"node {{ {fields} }}"


def test_functions_and_classes_run_under_their_names():
    text = """
    input_stream: "x"
    output_stream: "sum"
    node { calculator: "Scale" input_stream: "VALUE:x" output_stream: "OUT:twice" }
    node { calculator: "Scale" input_stream: "x" output_stream: "tenfold"
           options { [my.ScaleOptions.ext] { factor: 10 } } }
    node { calculator: "Add" input_stream: "B:twice" input_stream: "A:tenfold"
           output_stream: "sum" }
    """
    assert run_text(text, {"x": {0: 1.0, 5: 2.0}}, registry=REGISTRY) == {"sum": {0: 12.0, 5: 24.0}}


def test_options_are_the_arguments_of_a_class():
    text = """
    input_stream: "x" output_stream: "y"
    node { calculator: "Notes" input_stream: "x" output_stream: "y"
      node_options { [type.googleapis.com/my.Notes] {
        label: "a" times: 3 loud: true sizes: [1, 2] shares: [1, .5] names: "b" unit: INCH
        corner: LEFT } } }
    """
    arguments = ("a", 3, True, (1, 2), (1.0, 0.5), ["b"], "INCH", Corner.LEFT, None)
    assert run_text(text, {"x": {0: 0}}, registry=REGISTRY) == {"y": {0: arguments}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("", "my.pbtxt:2:6: option 'label' is missing (Notes)"),
        ("label: 5", "my.pbtxt:4:8: option 'label': expected a text, got 5"),
        ("label: 'a' tims: 3", "4:12: no option 'tims'; did you mean 'times'?"),
        ("label: 'a' odd: 3", "which no text can say: register a factory"),
        ("label: 'a' unit: FOOT", "expected one of METER, INCH"),
        ("label: 'a' corner: RIGHT", "expected one of TOP, LEFT"),
    ],
)
def test_options_that_no_argument_takes_are_errors(fields, reason):
    text = f"""input_stream: 'x'
node {{
 calculator: 'Notes' input_stream: 'x' options {{ [my.Notes.ext] {{
{fields} }} }} }}"""
    with pytest.raises(GraphTextError) as caught:
        load_graph(parse_graph(text, "my.pbtxt"), REGISTRY)
    assert reason in str(caught.value)


def test_an_error_of_a_constructor_names_the_node():
    options = "options { [a.b.ext] { inputs: 0 } }"
    text = f"input_stream: 'a'\nnode {{ calculator: 'Merge' name: 'm' {options} }}"
    with pytest.raises(GraphTextError, match=r"my.pbtxt:2:6: Merge 'm': .*") as caught:
        load_graph(parse_graph(text, "my.pbtxt"), LIBRARY)
    assert "inputs" in str(caught.value)


def test_what_is_not_registered_is_named_all_at_once_with_its_line():
    text = "node { calculator: 'Scale' }\nnode { calculator: 'Sub' }\nnode { calculator: 'B' }"
    inner = parse_graph(
        "type: 'Sub'\n\nnode { calculator: 'C' }\npacket_generator: {\npacket_generator: 'G'}",
        "sub.pbtxt",
    )
    with pytest.raises(GraphTextError) as caught:
        load_graph(parse_graph(text, "my.pbtxt"), REGISTRY.with_subgraphs(inner))
    message = "my.pbtxt:3:6: 3 not registered: 'B' (line 3); 'C' (sub.pbtxt:3); 'G' (sub.pbtxt:4)"
    assert str(caught.value) == message
    with pytest.raises(GraphTextError, match=r"'Scal' \(line 1\); did you mean 'Scale'\?"):
        load_graph(parse_graph("node { calculator: 'Scal' }"), REGISTRY)


def test_a_name_that_is_not_registered_is_told_once_with_its_lines():
    text = "node { calculator: 'A' }\nnode { calculator: 'B' }\nnode { calculator: 'A' }"
    with pytest.raises(
        GraphTextError, match=r"2 not registered: 'A' \(line 1, line 3\); 'B' \(line 2\)$"
    ):
        load_graph(parse_graph(text, "x"), REGISTRY)
    many = "".join(f"node {{ calculator: 'A{number}' }}" for number in range(150))
    with pytest.raises(GraphTextError, match=r"150 not registered: .*; 50 more$"):
        load_graph(parse_graph(many), REGISTRY)


def test_a_port_that_a_calculator_does_not_have_is_an_error_at_the_port():
    text = "input_stream: 'x'\nnode { calculator: 'Scale'\n input_stream: 'VALU:x' }"
    with pytest.raises(GraphTextError) as caught:
        load_graph(parse_graph(text, "my.pbtxt"), REGISTRY)
    reason = "my.pbtxt:3:16: Scale has no input stream VALU; did you mean 'VALUE'?"
    assert str(caught.value) == reason
    for field in ("output_stream", "input_side_packet", "output_side_packet"):
        text = f"node {{ calculator: 'Scale' {field}: 'X:x' }}"
        with pytest.raises(GraphTextError, match=r"Scale has no .* X"):
            load_graph(parse_graph(text), REGISTRY)


def test_a_port_that_is_not_connected_or_twice_is_an_error():
    text = "input_stream: 'x'\nnode { calculator: 'Add' input_stream: 'A:x' }"
    with pytest.raises(GraphTextError, match=r"2:6: Add: input stream B is not connected"):
        load_graph(parse_graph(text, "my.pbtxt"), REGISTRY)
    text = "input_stream: 'x'\nnode { calculator: 'Add' input_stream: 'A:x' input_stream: 'x' }"
    with pytest.raises(GraphTextError, match=r"2:60: Add: input stream 0 is the same port as A"):
        load_graph(parse_graph(text, "my.pbtxt"), REGISTRY)


SUBGRAPH = """
type: "PlusTwo"
input_stream: "IN:number"
input_side_packet: "PLUS:plus"
output_stream: "OUT:sum"
output_side_packet: "TWO:two"
node { calculator: "Constant" output_side_packet: "two" options { [a.b.ext] { value: 2 } } }
node { calculator: "PlusSide" input_stream: "number" output_stream: "more"
       input_side_packet: "two" }
node { calculator: "PlusSide" input_stream: "more" output_stream: "sum"
       input_side_packet: "PLUS:plus" }
"""
WITH_SUBGRAPH = REGISTRY.with_subgraphs(parse_graph(SUBGRAPH, "plus.pbtxt"))


def test_subgraphs_become_graphs_in_nodes():
    text = """
    input_stream: "x" output_stream: "y"
    node { calculator: "PlusTwo" input_stream: "IN:x" output_stream: "OUT:a"
           input_side_packet: "PLUS:ten" output_side_packet: "TWO:two" }
    node { calculator: "PlusTwo" input_stream: "IN:a" output_stream: "OUT:b" }
    node { calculator: "PlusSide" input_stream: "b" output_stream: "y"
           input_side_packet: "two" }
    node { calculator: "Constant" output_side_packet: "PACKET:ten"
           options { [a.b.ext] { value: 10 } } }
    """
    config = load_graph(parse_graph(text), WITH_SUBGRAPH)
    assert isinstance(config.nodes[0].calculator, GraphConfig)
    # 1 + 2 + 10, then + 2 without a side packet for PLUS, then + 2.
    assert run_text(text, {"x": {0: 1}}, registry=WITH_SUBGRAPH) == {"y": {0: 17}}


def test_two_ports_of_a_subgraph_that_are_one_stream_inside_are_refused():
    inner = parse_graph(
        "type: 'S' input_stream: 'IN:a' output_stream: 'X:b' output_stream: 'Y:b' "
        "node { calculator: 'PassThrough' input_stream: 'a' output_stream: 'b' }"
    )
    text = (
        "input_stream: 'a' node { calculator: 'S' input_stream: 'IN:a' "
        "output_stream: 'X:x' output_stream: 'Y:y' }"
    )
    with pytest.raises(GraphTextError, match="'S': two of its ports are 'b' inside"):
        load_graph(parse_graph(text), LIBRARY.with_subgraphs(inner))


def test_a_subgraph_in_itself_is_refused():
    inner = parse_graph("type: 'A' node { calculator: 'B' }", "a.pbtxt")
    other = parse_graph("type: 'B' node { calculator: 'A' }", "b.pbtxt")
    with pytest.raises(GraphTextError, match="without end, or more than 50: A in B in A"):
        load_graph(parse_graph("node { calculator: 'A' }"), Registry().with_subgraphs(inner, other))


def test_subgraphs_that_double_without_end_are_refused():
    graphs = [parse_graph("type: 'G0' node { calculator: 'Constant' }")]
    for number in range(1, 40):
        nodes = f"node {{ calculator: 'G{number - 1}' }}" * 2
        graphs.append(parse_graph(f"type: 'G{number}' {nodes}"))
    with pytest.raises(GraphTextError, match="at most 100,000 nodes"):
        load_graph(graphs[-1], REGISTRY.with_subgraphs(*graphs))


def test_a_subgraph_needs_a_type_and_may_be_a_file(tmp_path):
    path = tmp_path / "plus.pbtxt"
    path.write_text(SUBGRAPH)
    assert "PlusTwo" in Registry().with_subgraphs(path).subgraphs
    assert Registry().with_subgraphs(path) == Registry().with_subgraphs(parse_graph(SUBGRAPH))
    with pytest.raises(GraphTextError, match="a subgraph needs a type"):
        Registry().with_subgraphs(parse_graph(""))


def test_back_edges_are_marked():
    text = """
    input_stream: "image"
    node {
      calculator: "PreviousLoopbackCalculator"
      input_stream: "MAIN:image"
      input_stream: "LOOP:sum"
      input_stream_info { tag_index: "LOOP" back_edge: true }
      output_stream: "PREV_LOOP:before"
    }
    node { calculator: "Merge" input_stream: "IN:0:image" input_stream: "IN:1:before"
           input_stream_info { tag_index: "IN:1" back_edge: false } output_stream: "sum" }
    node { calculator: "Scale" input_stream: "sum" output_stream: "scaled"
           input_stream_info { tag_index: ":0" back_edge: true } }
    """
    loopback, merge, scaled = load_graph(parse_graph(text), REGISTRY).nodes
    assert loopback.inputs == {"main": "image", "loop": "sum"}
    assert isinstance(loopback.inputs["loop"], BackEdge)
    assert merge.inputs == {"in0": "image", "in1": "before"}
    assert not any(isinstance(stream, BackEdge) for stream in merge.inputs.values())
    assert isinstance(scaled.inputs["value"], BackEdge)


def test_what_nobody_feeds_is_left_out():
    text = """
    input_stream: "x" input_side_packet: "PLUS:plus" output_stream: "y"
    node { calculator: "PlusSide" input_stream: "x" input_side_packet: "plus" output_stream: "y" }
    """
    fed = run_text(text, {"x": {0: 1}}, side={"plus": 5}, registry=REGISTRY)
    assert fed == {"y": {0: 6}}
    open_side = run_text(text, {"x": {0: 1}}, registry=REGISTRY, left_out=["PLUS"])
    assert open_side == {"y": {0: 1}}


def test_side_packets_that_nobody_declares_come_from_outside():
    text = """
    input_stream: "x" output_stream: "y"
    node { calculator: "PlusSide" input_stream: "x" input_side_packet: "plus" output_stream: "y" }
    """
    fed = run_text(text, {"x": {0: 1}}, side={"plus": 5}, registry=REGISTRY)
    assert fed == {"y": {0: 6}}
    open_side = run_text(text, {"x": {0: 1}}, registry=REGISTRY, left_out=["plus"])
    assert open_side == {"y": {0: 1}}


def test_inputs_without_a_tag_move_up_where_one_is_left_out():
    subgraph = """
    type: "S" input_stream: "A:a" input_stream: "B:b" output_stream: "OUT:out"
    node { calculator: "MergeCalculator" input_stream: "a" input_stream: "b"
           input_stream_info { tag_index: ":1" back_edge: true } output_stream: "out" }
    """
    text = "input_stream: 'b' node { calculator: 'S' input_stream: 'B:b' output_stream: 'OUT:c' }"
    config = load_graph(parse_graph(text), LIBRARY.with_subgraphs(parse_graph(subgraph)))
    (merge,) = config.nodes[0].calculator.nodes
    assert merge.inputs == {"0": "b"}
    assert isinstance(merge.inputs["0"], BackEdge)


def policy_of(handler, *, on_graph=False, name="Merge"):
    text = (
        "input_stream: 'a' node { calculator: '" + name + "' input_stream: 'IN:0:a' "
        "input_stream: 'IN:1:a' output_stream: 'b' " + ("" if on_graph else handler) + " }"
    )
    (node,) = load_graph(parse_graph(text + (handler if on_graph else "")), LIBRARY).nodes
    return node.policy


def handler_of(type_, options=""):
    return (
        f"input_stream_handler {{ input_stream_handler: '{type_}' "
        f"options {{ [mediapipe.{type_}Options.ext] {{ {options} }} }} }}"
    )


def test_handlers_become_policies():
    assert policy_of("") is None
    assert policy_of(handler_of("DefaultInputStreamHandler")) == DefaultPolicy()
    assert policy_of(handler_of("ImmediateInputStreamHandler")) == ImmediatePolicy()
    sets = "sync_set { tag_index: 'IN:1' } sync_set { tag_index: 'IN' }"
    policy = policy_of(handler_of("SyncSetInputStreamHandler", sets))
    assert policy == SyncSetPolicy((("in1",), ("in0",)))
    policy = policy_of(handler_of("DefaultInputStreamHandler", "batch_size: 3"))
    assert policy == DefaultPolicy(batch_size=3)
    sizes = "trigger_queue_size: 5 target_queue_size: 2 fixed_min_size: true"
    policy = policy_of(handler_of("FixedSizeInputStreamHandler", sizes))
    assert policy == FixedSizePolicy(5, 2, True)
    assert policy_of(handler_of("FixedSizeInputStreamHandler")) == FixedSizePolicy()
    assert policy_of(handler_of("BarrierInputStreamHandler")) == BarrierPolicy()
    assert policy_of(handler_of("EarlyCloseInputStreamHandler")) == EarlyClosePolicy()
    base = "timestamp_base_tag_index: 'IN:1'"
    policy = policy_of(handler_of("TimestampAlignInputStreamHandler", base))
    assert policy == TimestampAlignPolicy("in1")


def test_the_mux_handler_goes_by_the_select_input():
    handler = handler_of("MuxInputStreamHandler")
    text = f"""input_stream: "a" input_stream: "s"
    node {{ calculator: "MuxCalculator" input_stream: "INPUT:a" input_stream: "SELECT:s"
           output_stream: "OUTPUT:b" {handler} }}"""
    (node,) = load_graph(parse_graph(text), LIBRARY).nodes
    assert node.policy == MuxPolicy("select")


def test_the_handler_of_a_graph_is_for_nodes_without_a_policy_of_their_own():
    handler = handler_of("ImmediateInputStreamHandler")
    assert policy_of(handler, on_graph=True) == ImmediatePolicy()
    text = (
        "input_stream: 'a' node { calculator: 'FlowLimiter' input_stream: 'a' "
        "input_stream: 'FINISHED:a' }" + handler_of("DefaultInputStreamHandler")
    )
    (limiter,) = load_graph(parse_graph(text), LIBRARY).nodes
    assert limiter.policy is None


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (handler_of("ImediateInputStreamHandler"), "did you mean 'ImmediateInputStreamHandler'?"),
        (
            handler_of("SyncSetInputStreamHandler", "sync_set { tag_index: 'X' }"),
            "no input stream X",
        ),
        (handler_of("SyncSetInputStreamHandler", "sync_set { tag_index: 'x' }"), "expected TAG"),
        (handler_of("SyncSetInputStreamHandler", "sync_sett {}"), "did you mean 'sync_set'?"),
        (handler_of("ImmediateInputStreamHandler", "x: 1"), "no option 'x'"),
        (handler_of("FixedSizeInputStreamHandler", "target_queue_size: 5"), "target_queue_size"),
        (handler_of("DefaultInputStreamHandler", "batch_size: 0"), "option batch_size"),
        (handler_of("MuxInputStreamHandler"), "no input stream SELECT"),
    ],
)
def test_a_handler_that_there_is_not_is_an_error(handler, reason):
    with pytest.raises(GraphTextError) as caught:
        policy_of(handler)
    assert reason in str(caught.value)


def test_output_handlers_other_than_in_order_are_refused():
    for text in ("{h}", "node {{ calculator: 'PassThrough' {h} }}"):
        handler = "input_stream: 'a' output_stream_handler { output_stream_handler: 'X' }"
        with pytest.raises(GraphTextError, match="no output stream handler 'X'"):
            load_graph(parse_graph(text.format(h=handler).replace("{{", "{")), LIBRARY)


def test_nodes_are_called_after_their_calculators():
    text = (
        "node { calculator: 'a.b.PassThroughCalculator' input_stream: 'a' }"
        "node { calculator: 'PassThrough' input_stream: 'a' }"
        "node { calculator: 'PassThrough' name: 'x' input_stream: 'a' }"
        "node { calculator: 'PassThrough' name: 'x' input_stream: 'a' }"
    )
    registry = LIBRARY.add("a.b.PassThroughCalculator", PassThrough)
    config = load_graph(parse_graph(text), registry)
    names = ["pass_through", "pass_through_2", "x", "x_2"]
    assert [node.name for node in config.nodes] == names


def test_names_are_looked_up_in_the_package_first():
    registry = Registry().add("a.b.X", scale).add("a.X", add).add("X", Notes).add("Begin*X", Notes)
    assert registry.resolve("X", "a.b") == "a.b.X"
    assert registry.resolve("X", "a.c") == "a.X"
    assert registry.resolve("X", "d") == "X"
    assert registry.resolve("b.X", "a") == "a.b.X"
    assert registry.resolve("BeginAnyX") == "Begin*X"
    assert registry.resolve("Y") == ""


def test_a_registry_is_a_value():
    empty = Registry()
    one = empty.add("A", scale)
    assert sorted(empty) == []
    assert sorted(one) == ["A"]
    assert (one | Registry().add("A", Notes)).calculators["A"] != one.calculators["A"]
    for wrong in (PassThrough(), int, "x", 5):
        with pytest.raises(GraphValidationError, match="'A': expected a class of calculators"):
            empty.add("A", wrong)
    registry = empty.add("A", lambda node: 5)
    with pytest.raises(GraphValidationError, match="the factory of 'A' returned 5"):
        load_graph(parse_graph("node { calculator: 'A' }"), registry)


def test_a_graph_takes_options_from_the_node_that_uses_it():
    inner = """
    type: "Inner" input_stream: "IN:x" output_stream: "OUT:y"
    graph_options { [type.googleapis.com/my.Options] { label: "default" deep { n: 7 } } }
    node { calculator: "Notes" input_stream: "x" output_stream: "y"
      options { [my.Notes.ext] { times: 1 unit: INCH } }
      option_value: "label:options/label" option_value: "times:deep/n" option_value: "loud:loud" }
    """
    middle = """
    type: "Middle" input_stream: "IN:x" output_stream: "OUT:y"
    graph_options { [type.googleapis.com/my.Options] {} }
    node { calculator: "Inner" input_stream: "IN:x" output_stream: "OUT:y"
      node_options { [type.googleapis.com/my.Options] { sizes: 3 loud: false } }
      option_value: "OPTIONS:options" }
    """
    text = """
    input_stream: "x" output_stream: "y"
    node { calculator: "Middle" input_stream: "IN:x" output_stream: "OUT:y"
      node_options { [type.googleapis.com/my.Options] { label: "mine" loud: true } } }
    """
    registry = REGISTRY.with_subgraphs(parse_graph(inner), parse_graph(middle))
    (arguments,) = run_text(text, {"x": {0: 0}}, registry=registry)["y"].values()
    assert arguments[:3] == ("mine", 7, True)
    assert arguments[6] == "INCH"
    # By itself it has its own defaults, and a node without options gets some.
    alone = inner.replace("options { [my.Notes.ext] { times: 1 unit: INCH } }", "")
    (arguments,) = run_text(alone, {"x": {0: 0}}, registry=registry)["y"].values()
    assert arguments[:3] == ("default", 7, False)


def test_packet_generators_are_nodes_with_side_packets():
    text = """
    input_stream: "x" output_stream: "y"
    packet_generator { packet_generator: "Constant" output_side_packet: "PACKET:two"
                       options { [a.b.ext] { value: 2 } } }
    node { calculator: "PlusSide" input_stream: "x" output_stream: "y" input_side_packet: "two" }
    """
    assert run_text(text, {"x": {0: 1}}, registry=REGISTRY) == {"y": {0: 3}}


def test_a_factory_reads_nodes_within_options():
    def switch(node):
        with read_options(node, "SwitchOptions") as options:
            nodes = [node_of_message(m, node.source) for m in options.raw("contained_node")]
            chosen = nodes[options.whole("select")]
        return REGISTRY.calculators[chosen.calculator].make(chosen)

    text = """
    input_stream: "x" output_stream: "y"
    node { calculator: "Switch" input_stream: "x" output_stream: "y" options {
      [a.SwitchOptions.ext] { select: 1
        contained_node { calculator: "PassThrough" }
        contained_node { calculator: "Scale" options { [a.b.ext] { factor: 3 } } } } } }
    """
    registry = REGISTRY.add("Switch", switch)
    assert run_text(text, {"x": {0: 5.0}}, registry=registry) == {"y": {0: 15.0}}


def test_a_calculator_may_have_ports_by_their_canonical_names():
    class Tagged(Calculator):
        def __init__(self, node: NodeText) -> None:
            self.contract = Contract(
                inputs=dict.fromkeys(canonical_names(node.inputs), object),
                outputs={"OUT": object},
            )

        def process(self, context):
            context.send("OUT", [context.get(port) for port in self.contract.inputs])

    text = """
    input_stream: "a" input_stream: "b" input_stream: "c" output_stream: "y"
    node { calculator: "T" input_stream: ["CLONE:1:b", "CLONE:0:a", "c"] output_stream: "OUT:y" }
    """
    registry = Registry().add("T", Tagged)
    feed = {"a": {0: 1}, "b": {0: 2}, "c": {0: 3}}
    assert run_text(text, feed, registry=registry) == {"y": {0: [2, 1, 3]}}


def settings_of(text):
    return run_settings(parse_graph(text, "my.pbtxt"))


def test_how_a_graph_runs_is_for_whoever_runs_it():
    settings = settings_of("num_threads: 4 max_queue_size: 8 report_deadlock: true")
    assert vars(settings) == {
        "threads": 4,
        "max_queue_size": 8,
        "on_deadlock": "raise",
        "executors": {},
    }
    settings = settings_of("")
    assert (settings.threads, settings.max_queue_size) == (0, 100)
    assert settings.on_deadlock == "grow"
    assert settings_of("max_queue_size: -1").max_queue_size > 10**9
    assert settings_of("num_threads: -2").threads == 0


def executor(name, type_, options=""):
    return (
        f"executor {{ name: '{name}' type: '{type_}' "
        f"options {{ [mediapipe.{type_ or 'Any'}Options.ext] {{ {options} }} }} }}"
    )


def test_executors_are_those_of_a_graph():
    text = executor("slow", "ThreadPoolExecutor", "num_threads: 3 thread_name_prefix: 'x'")
    text += executor("one", "ThreadPoolExecutor") + executor("far", "ProcessExecutor", "count: 2")
    assert settings_of(text).executors == {
        "slow": ThreadExecutor(3),
        "one": ThreadExecutor(1),
        "far": ProcessExecutor(2),
    }
    assert settings_of(executor("", "", "num_threads: 5")).threads == 5
    assert settings_of("num_threads: 2 " + executor("", "ApplicationThreadExecutor")).threads == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (executor("x", "ThreadPool"), "1:10: no executor of type 'ThreadPool'; did you mean"),
        (executor("x", ""), "1:10: executor 'x' has no type: it has to be given to the graph"),
        (executor("x", "ThreadPoolExecutor", "num_threads: 0"), "option num_threads"),
        (executor("x", "ThreadPoolExecutor") * 2, "two executors are called 'x'"),
    ],
)
def test_an_executor_that_there_is_not_is_an_error(text, reason):
    with pytest.raises(GraphTextError) as caught:
        settings_of(text)
    assert reason in str(caught.value)


def test_a_graph_runs_on_its_executors():
    text = """
    input_stream: "x" output_stream: "y"
    node { calculator: "Scale" input_stream: "x" output_stream: "y" executor: "slow" }
    """ + executor("slow", "ThreadPoolExecutor", "num_threads: 2")
    config = load_graph(parse_graph(text), REGISTRY)
    with Graph(config, **vars(settings_of(text))) as graph:
        doubled = graph.output("y")
        graph.add("x", 4.0, timestamp=0)
        assert next(doubled).payload == 8.0


def test_executors_layers_and_calls_at_once_are_handed_on():
    text = "node { calculator: 'PassThrough' executor: 'x' max_in_flight: 3 source_layer: 2 }"
    text = text.replace("}", "input_stream: 'a' }")
    more = "input_stream: 'a' node { calculator: 'PassThrough' input_stream: 'a' }"
    plain, loaded = load_graph(parse_graph(more + text), LIBRARY).nodes
    assert (loaded.max_in_flight, loaded.source_layer, loaded.executor) == (3, 2, "x")
    assert (plain.max_in_flight, plain.source_layer, plain.executor) == (1, 0, "")


def test_a_file_is_loaded_and_gives_its_name(tmp_path):
    path = tmp_path / "twice.pbtxt"
    path.write_text("input_stream: 'x' node { calculator: 'Scale' input_stream: 'x' }")
    assert load_graph(path, REGISTRY).name == "twice"
    assert load_graph(str(path), REGISTRY).name == "twice"
    assert load_graph(parse_graph(SUBGRAPH), REGISTRY).name == "PlusTwo"


def test_types_are_checked_when_packets_come():
    text = """input_stream: "x" output_stream: "y"
    node { calculator: "Scale" input_stream: "x" output_stream: "y" }"""
    with (
        pytest.raises(CalculatorError, match="scale"),
        Graph(load_graph(parse_graph(text), REGISTRY)) as graph,
    ):
        graph.add("x", {}, timestamp=0)


class StandIn(Calculator):
    """Has the ports of any node, and sends nothing but its side packets."""

    def __init__(self, node: NodeText) -> None:
        self.contract = Contract(
            inputs=dict.fromkeys(canonical_names(node.inputs), object),
            outputs=dict.fromkeys(canonical_names(node.outputs), object),
            side_inputs=dict.fromkeys(canonical_names(node.side_inputs), object),
            side_outputs=dict.fromkeys(canonical_names(node.side_outputs), object),
        )

    def open(self, context: Context) -> None:
        for port in self.contract.side_outputs:
            context.send_side(port, None)

    def process(self, context: Context) -> None:
        if not self.contract.inputs:
            context.finish()


def test_each_graph_of_mediapipe_runs_with_stand_ins(mediapipe_graph, mediapipe_graphs):
    others = map(read_graph, mediapipe_graphs)
    registry = LIBRARY.with_subgraphs(*(other for other in others if other.type))
    text = read_graph(mediapipe_graph)
    for name in {entry.name for entry in find_unregistered(text, registry)}:
        # Options are not theirs: they are read by nobody.
        registry = registry.add(name, lambda node: StandIn(node))
    if "in" in [port.name for node in text.nodes for port in node.inputs] and not text.inputs:
        pytest.skip("a test of MediaPipe's parser, with a stream that nobody sends")
    config = load_graph(text, registry)
    # Numbers of hands and models, and true: a list as long as any is split.
    with Graph(config, side=dict.fromkeys(config.side_inputs, 1)) as graph:
        for timestamp in range(3):
            for stream in config.inputs:
                graph.add(stream, [0, 0], timestamp)
