"""All that is wrong with a graph's text, and its picture."""

from xml.etree import ElementTree

import pytest
from graph_texts import GRAPHS, LOOP
from hypothesis import given, settings

from handheld.errors import GraphTextError
from handheld.graph import PassThrough
from handheld.graph.text import LIBRARY, Registry, parse_graph, print_graph, read_options
from handheld.graph.text.check import GraphFinding, check_file, check_text
from handheld.graph.text.drawing import text_to_mermaid, text_to_svg
from handheld.graph.text.wiring import cycles, unique_names, wiring

SVG = "{http://www.w3.org/2000/svg}"


def told(text, registry=LIBRARY):
    """Return severity, line, column and reason of what a check finds."""
    findings = check_text(text, registry, "my.pbtxt").findings
    return [(each.severity, each.line, each.column, each.reason) for each in findings]


def test_a_graph_that_is_well_has_no_findings():
    check = check_text(LOOP, LIBRARY)
    assert check.findings == []
    assert check.ok
    assert [node.calculator for node in check.unregistered] == ["Detector"]
    assert check.unregistered[0].line == 19
    assert check.nodes[0].registered == "PreviousLoopbackCalculator"


WRONG = """
nod {}
input_stream: "image"
input_stream: "image"
input_stream: "unused"
output_stream: "OUT:result"
node {
  calculator: "A"
  input_stream: "imag"
  input_stream: "IN:1:image"
  input_side_packet: "path"
  output_stream: "x"
  output_side_packet: "made"
  executor: "slow"
}
node { calculator: "B" input_stream: "x" input_stream: "z" output_stream: "y" }
node { calculator: "C" input_stream: "IN:y" output_stream: "z" output_stream: "Result" }
"""


def test_all_findings_are_told_with_their_positions():
    assert told(WRONG) == [
        ("error", 2, 1, "no field 'nod' in 'graph'; did you mean 'node'?"),
        (
            "error",
            4,
            15,
            "stream 'image' has two producers: the graph itself in line 3, and the graph itself",
        ),
        ("warning", 5, 15, "nobody takes stream 'unused' of the graph itself"),
        ("error", 6, 16, "unknown stream 'result' (the graph itself); did you mean 'Result'?"),
        ("error", 7, 6, "A: the graph has no executor 'slow'; there are none"),
        ("error", 9, 17, "unknown stream 'imag' (A); did you mean 'image'?"),
        ("error", 10, 17, "indices of IN are [1], expected 0 to 0"),
        (
            "note",
            11,
            22,
            "side packet 'path' (A) has to come from outside; no input_side_packet of the graph "
            "says so",
        ),
        ("warning", 13, 23, "nobody takes side packet 'made' of A"),
        (
            "error",
            16,
            56,
            "a cycle: B -> C -> B, closed by stream 'z'; if it is meant, say input_stream_info "
            '{ tag_index: ":1" back_edge: true }',
        ),
        ("warning", 17, 79, "nobody takes stream 'Result' of C"),
        (
            "warning",
            17,
            79,
            "'Result': MediaPipe itself takes names of lower-case letters, digits and _ alone",
        ),
    ]


def test_two_producers_are_told_with_both_lines():
    text = "input_stream: 'a'\nnode { calculator: 'A'\noutput_stream: 'a' }\noutput_stream: 'a'"
    reason = "stream 'a' has two producers: the graph itself in line 1, and A"
    assert told(text) == [("error", 3, 16, reason)]


def test_executors_that_we_do_not_have_are_told():
    text = """executor { name: "x" type: "GpuExecutor" }
node { calculator: "A" executor: "gpu" }
node { calculator: "A" executor: "x" }
node { calculator: "A" executor: "inline" }
"""
    ((severity, line, column, reason),) = told(text)
    assert (severity, line, column) == ("warning", 1, 10)
    assert reason.startswith("no executor of type 'GpuExecutor'")


def test_options_and_ports_of_registered_calculators_are_checked():
    text = """input_stream: "a"
output_stream: "b"
node { calculator: "FlowLimiterCalculator" input_stream: "a" output_stream: "b"
  input_stream: "FINISHED:b" input_stream_info { tag_index: "FINISHED" back_edge: true }
  options { [a.FlowLimiterCalculatorOptions.ext] { max_in_flight: 0 } } }
node { calculator: "MuxCalculator" input_stream: "INPUT:a" input_stream: "SELECT:a"
  output_stream: "OUTPT:c" }
node { calculator: "EndLoopXCalculator" input_stream: "ITEM:a" output_stream: "ITERABLE:d" }
"""
    errors = [entry[1:] for entry in told(text) if entry[0] == "error"]
    assert errors == [
        (
            5,
            67,
            "option max_in_flight: expected a whole number of 1 or more, got 0 "
            "(FlowLimiterCalculator)",
        ),
        (7, 18, "MuxCalculator has no output stream OUTPT; did you mean 'OUT'?"),
        (8, 6, "EndLoopXCalculator: input stream BATCH_END is not connected"),
    ]


def test_options_in_the_brackets_of_the_other_form_are_told():
    """We read them; MediaPipe says: Expected "/", found "]"."""
    extension = "[a.GateCalculatorOptions.ext] { allow: true }"
    message = "[type.googleapis.com/a.GateCalculatorOptions] { allow: true }"
    text = 'input_stream: "x"\n node { calculator: "Mine" input_stream: "x" %s { %s } }'
    for name, right, wrong in (
        ("options", extension, message),
        ("node_options", message, extension),
    ):
        assert check_text(text % (name, right), LIBRARY).findings == []
        (finding,) = check_text(text % (name, wrong), LIBRARY).findings
        assert (finding.severity, finding.line) == ("warning", 2)
        assert finding.reason.startswith(f"Mine: {name} have the form [")


@pytest.mark.parametrize("name", ["options", "node_options"])
def test_options_of_one_type_stand_once(name):
    fields = "[a.b/c.MineOptions] { x: 1 } " * 2
    text = f'node {{ calculator: "Mine" output_stream: "x" {name} {{ {fields} }} }}'
    reasons = [finding.reason for finding in check_text(text, LIBRARY).findings]
    assert "'[a.b/c.MineOptions]' stands here and in line 1; it may stand once" in reasons


def test_ports_of_subgraphs_are_checked():
    inner = parse_graph("type: 'S' input_stream: 'IN:a' node { calculator: 'X' input_stream: 'a' }")
    text = "input_stream: 'a' node { calculator: 'S' input_stream: 'IMAGE:a' }"
    reason = "S has no input stream IMAGE; there are ['IN']"
    assert told(text, LIBRARY.with_subgraphs(inner)) == [("error", 1, 56, reason)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"node {", ":1:7: error: expected '}', got the end of the text"),
        (b"type: 'a'\n\xff", ":2:1: error: not in UTF-8"),
        (b"\0", ":1:1: error: a NUL"),
        (b"", ":0:0: error: a graph without nodes"),
        (b"config { node { calculator: 'A' } }", ":1:1: error: 'config' belongs to a Calcul"),
        (b"% if (x) %", ":1:1: error: '%' belongs to a template"),
    ],
)
def test_a_file_that_is_no_graph_is_a_finding(tmp_path, content, reason):
    path = tmp_path / "a.pbtxt"
    path.write_bytes(content)
    check = check_file(path, LIBRARY)
    assert not check.ok
    assert reason in str(check.findings[0])


def test_a_file_that_is_not_there_is_a_finding(tmp_path):
    (finding,) = check_file(tmp_path / "none.pbtxt", LIBRARY).findings
    assert finding.severity == "error"
    assert "cannot be read" in finding.reason


def test_a_finding_is_one_line():
    finding = GraphFinding("error", "wrong", "a.pbtxt", 3, 4)
    assert str(finding) == "a.pbtxt:3:4: error: wrong"


def test_each_cycle_is_told_once_and_long_chains_are_none():
    def node(sends, *takes):
        inputs = " ".join(f"input_stream: '{name}'" for name in takes)
        return f"node {{ calculator: 'A' {inputs} output_stream: '{sends}' }}"

    # Two loops through one node, a loop of one, and a diamond.
    text = node("a", "b", "c") + node("b", "a") + node("c", "a") + node("d", "d", "b", "c")
    around = [cycle.nodes for cycle in cycles(wiring(parse_graph(text)))]
    assert sorted(around) == [(0, 1), (0, 2), (3,)]
    chain = "".join(node(f"s{number + 1}", f"s{number}") for number in range(20_000))
    assert list(cycles(wiring(parse_graph(chain)))) == []


def test_nodes_that_wait_for_side_packets_of_each_other():
    taker = "node { calculator: 'A' input_side_packet: 'p' output_stream: 'p' }"
    giver = "node { calculator: 'B' input_stream: 'p' output_side_packet: 'p' }"
    (finding,) = check_text(f"{taker}\n{giver}", LIBRARY).findings
    assert str(finding) == (
        "<text>:1:43: error: a cycle: A -> B -> A, closed by side packet 'p', without which its "
        "node does not open; a stream of the cycle can be a back edge"
    )
    (finding,) = check_text(f"{giver}\n{taker}", LIBRARY).findings
    assert str(finding).startswith("<text>:1:38: error: a cycle: B -> A -> B, closed by stream 'p'")
    back = giver.replace("output", "input_stream_info { tag_index: ':0' back_edge: true } output")
    assert check_text(taker + back, LIBRARY).findings == []


def test_a_side_packet_that_two_nodes_set():
    text = "node { calculator: 'A' output_side_packet: 'p' }" * 2
    reasons = [finding.reason for finding in check_text(text, LIBRARY).findings]
    assert "side packet 'p' has two producers: A in line 1, and A" in reasons


def test_a_check_of_a_very_large_graph_comes_to_an_end():
    def node(sends, *takes):
        inputs = " ".join(f"input_stream: '{name}'" for name in takes)
        return f"node {{ calculator: 'A' {inputs} output_stream: '{sends}' }}"

    # Each stream but the first is taken by the one before too, and each has a name misspelt.
    nodes = [node(f"s{n}", f"s{n - 1}", f"s{n + 1}", f"x{n}") for n in range(15_000)]
    check = check_text("\n".join(nodes), LIBRARY)
    reasons = [finding.reason for finding in check.findings]
    assert sum(reason.startswith("unknown stream") for reason in reasons) == 15_002
    assert sum(reason.startswith("a cycle") for reason in reasons) == 100
    around = "".join(node(f"s{n}", f"s{n - 1}") for n in range(1, 50)) + node("s0", "s49")
    (cycle,) = check_text(around, LIBRARY).findings
    assert cycle.reason.startswith("a cycle: A -> A -> A -> A -> A -> A -> 39 more -> A -> A")


def test_names_are_made_unique():
    assert unique_names(["a", "a", "a_2", "a", "b"]) == ["a", "a_3", "a_2", "a_4", "b"]


def test_a_picture_shows_what_nobody_registered():
    mermaid = text_to_mermaid(parse_graph(LOOP))
    assert mermaid == (
        "flowchart TD\n"
        '    n0(["image"])\n'
        '    n1["PreviousLoopbackCalculator"]\n'
        '    n2["finder"]\n'
        '    n3(["boxes"])\n'
        '    n0 -- "image" --> n1\n'
        '    n2 -. "boxes" .-> n1\n'
        '    n0 -- "image" --> n2\n'
        '    n1 -- "old_boxes" --> n2\n'
        '    n2 -- "boxes" --> n3\n'
    )


def test_side_packets_between_nodes_are_dashed():
    text = """
    input_stream: "a" input_side_packet: "model"
    node { calculator: "A" input_stream: "a" input_side_packet: "model" output_side_packet: "a" }
    node { calculator: "B" input_stream: "a" input_side_packet: "a" }
    node { calculator: "C" input_side_packet: "c" output_side_packet: "c" }
    """
    graph = parse_graph(text)
    assert text_to_mermaid(graph).splitlines()[-4:] == [
        '    n0 -- "a" --> n1',
        '    n0 -- "a" --> n2',
        '    n1 -. "a" .-> n2',
        '    n3 -. "c" .-> n3',
    ]
    paths = ElementTree.fromstring(text_to_svg(graph)).iter(f"{SVG}path")
    assert sum("stroke-dasharray" in path.attrib for path in paths) == 2


def test_a_picture_shows_what_is_wrong_too():
    text = WRONG.replace("nod {}", "").replace('input_stream: "image"\n', "", 1)
    root = ElementTree.fromstring(text_to_svg(parse_graph(text)))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    # A stream that nobody sends has a box of its own, and a cycle is closed by a dashed line.
    assert {"A", "B", "C", "imag", "result"} <= set(texts)
    dashed = [path for path in root.iter(f"{SVG}path") if "stroke-dasharray" in path.attrib]
    assert len(dashed) == 1


def test_two_nodes_of_one_name_are_two_boxes():
    text = "node { calculator: 'A' } node { calculator: 'A' } node { calculator: 'A' name: 'A 2' }"
    assert text_to_mermaid(parse_graph(text)) == (
        'flowchart TD\n    n0["A"]\n    n1["A 3"]\n    n2["A 2"]\n'
    )


def test_a_graph_too_large_to_draw_is_refused():
    graph = parse_graph("node { calculator: 'A' }" * 5_001)
    with pytest.raises(GraphTextError, match="at most 5,000 nodes and connections to draw"):
        text_to_svg(graph)


@settings(deadline=None)
@given(GRAPHS)
def test_any_graph_is_drawn_and_checked(graph):
    check = check_text(print_graph(graph), LIBRARY)
    assert len(check.nodes) == len(graph.nodes) + len(graph.generators)
    ElementTree.fromstring(text_to_svg(graph))
    assert text_to_mermaid(graph).startswith("flowchart TD\n")


def test_each_graph_of_mediapipe_is_drawn_and_checked(mediapipe_graph):
    check = check_file(mediapipe_graph, LIBRARY)
    assert all(node.line for node in check.nodes)
    # One of MediaPipe's own test files has a stream that nobody sends.
    errors = [finding for finding in check.findings if finding.severity == "error"]
    assert all(finding.reason.startswith("unknown stream 'in'") for finding in errors)
    ElementTree.fromstring(text_to_svg(check.graph))
    mermaid = text_to_mermaid(check.graph)
    for node in check.nodes:
        assert node.calculator in mermaid or any(n.name for n in check.graph.nodes)


def test_options_that_a_subgraph_is_given_are_not_looked_for_in_it():
    def sized(node):
        with read_options(node) as options:
            if not options.has("size"):
                raise options.located("size", "size is missing")
            options.whole("size")
        return PassThrough()

    registry = LIBRARY | Registry().add("Sized", sized)
    node = "input_stream: 'a' node { calculator: 'Sized' input_stream: 'a' output_stream: 'b' %s }"
    taken = node % "option_value: 'size:size'"
    assert check_text(f"type: 'Inner' {taken}", registry).ok
    # A graph that runs by itself has its options.
    assert not check_text(taken, registry).ok
    assert not check_text(f"type: 'Inner' {node % ''}", registry).ok
