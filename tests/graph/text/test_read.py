"""Graphs in MediaPipe's text format: read, refused, printed again."""

import pytest
from graph_texts import GRAPHS, LOOP
from hypothesis import given, settings

from handheld.errors import GraphTextError, InputError
from handheld.graph.text.message import MOST_LETTERS, NO_MESSAGE, parse_message
from handheld.graph.text.model import (
    ExecutorText,
    GraphText,
    NodeText,
    PortText,
    canonical_names,
    parse_port,
)
from handheld.graph.text.read import (
    inspect_graph,
    node_of_message,
    parse_graph,
    read_graph,
    read_text,
)
from handheld.graph.text.write import message_of_graph, print_graph


def test_a_graph_is_read():
    graph = parse_graph(LOOP, "loop.pbtxt")
    assert graph.type == "DetectAndTrack"
    assert graph.inputs == (PortText(name="image", tag="IMAGE"),)
    assert graph.outputs == (PortText(name="boxes", tag="BOXES"),)
    assert graph.side_inputs == (PortText(name="most", tag="MOST"),)
    assert graph.max_queue_size == 8
    assert graph.num_threads == 0
    (executor,) = graph.executors
    options = parse_message("[a.PoolOptions.ext] { num_threads: 1 }")
    assert executor == ExecutorText("slow", "ThreadPoolExecutor", options)
    loopback, finder = graph.nodes
    assert loopback.stream_info[0].back_edge
    assert finder.title == "Detector 'finder'"
    assert (finder.executor, finder.max_in_flight) == ("slow", 2)
    assert canonical_names(finder.inputs) == ("IMAGE", "BOXES")
    assert canonical_names(finder.outputs) == ("0",)
    assert finder.input_stream_handler.type == "ImmediateInputStreamHandler"
    assert finder.options == parse_message(
        "[a.DetectorOptions.ext] { threshold: 0.5 origin: TOP_LEFT sizes: 16 sizes: 32 }"
    )
    assert (finder.source, finder.position.line) == ("loop.pbtxt", 19)


def test_what_a_text_leaves_out_has_its_default():
    assert parse_graph("") == GraphText()
    assert parse_graph("# nothing\n") == GraphText()
    (node,) = parse_graph("node { calculator: 'A' }").nodes
    assert node == NodeText(calculator="A")
    (node,) = parse_graph("node { calculator: 'A' input_stream_handler {} options {} }").nodes
    assert node.input_stream_handler.type == "DefaultInputStreamHandler"
    assert node.options == NO_MESSAGE


def test_older_names_of_side_packets_are_read():
    text = """
    node { calculator: "A" external_input: "a" }
    packet_generator { packet_generator: "G" external_input: "B:b" external_output: "c" }
    """
    graph = parse_graph(text)
    assert graph.nodes[0].side_inputs == (PortText(name="a"),)
    assert graph.generators[0].side_inputs == (PortText(name="b", tag="B"),)
    assert graph.generators[0].side_outputs == (PortText(name="c"),)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("image", PortText(name="image")),
        ("IMAGE:image", PortText(name="image", tag="IMAGE")),
        ("IMAGE:0:image", PortText(name="image", tag="IMAGE", index=0)),
        ("_A9:12:x", PortText(name="x", tag="_A9", index=12)),
        (":3:x", PortText(name="x", index=3)),
        ("sub/image", PortText(name="sub/image")),
    ],
)
def test_a_port_is_read_and_printed(text, port):
    assert parse_port(text) == port
    assert str(port) == text


@pytest.mark.parametrize(
    "text", ["", "A:", "a:b", "A:b:c", "A:-1:c", "A:01:c", "A:10001:c", "A:1:2:c", "A: b", "9:x"]
)
def test_what_is_no_port_is_refused(text):
    with pytest.raises(InputError, match="expected name, TAG:name or TAG:index:name, got "):
        parse_port(text)


def test_ports_are_called_after_tag_and_index():
    ports = map(parse_port, ["a", "CLONE:1:b", "CLONE:c", ":4:d", "e"])
    assert canonical_names(ports) == ("0", "CLONE:1", "CLONE", "4", "5")


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("nod {}", 1, 1, "no field 'nod' in 'graph'; did you mean 'node'?"),
        ("node {\n  calculater: 'A'\n}", 2, 3, "did you mean 'calculator'?"),
        ("node { calculator: 'A'\n calculator: 'B' }", 2, 2, "stands here and in line 1"),
        ("node { calculator: 5 }", 1, 20, "'calculator': expected a text, got 5"),
        ("node { calculator: '\\xff' }", 1, 20, "'calculator': expected a text, got"),
        ("node: 5", 1, 7, "'node': expected a message {...}, got 5"),
        ("num_threads: 1.5", 1, 14, "expected a whole number of 32 bits, got 1.5"),
        ("num_threads: 2147483648", 1, 14, "expected a whole number of 32 bits, got 2147483648"),
        ("num_threads {}", 1, 13, "expected a whole number of 32 bits, got a message"),
        ("report_deadlock: yes", 1, 18, "expected true or false, got 'yes'"),
        ("report_deadlock: 2", 1, 18, "expected true or false, got 2"),
        ("runtime_info { capture_period_msec: -1 }", 1, 37, "0 or more, got -1"),
        ("node { options { [a.B.ext]: 5 } }", 1, 29, "expected a message of [a.B.ext]"),
        ("node { options { a: 5 } }", 1, 18, "no field 'a' in 'options'"),
        ("[a.B.ext] {}", 1, 1, "no field '[a.B.ext]' in 'graph'"),
        ("node {}", 1, 6, "a node without a calculator"),
        ("node { calculator: '' }", 1, 6, "a node without a calculator"),
        ("packet_generator {}", 1, 18, "a packet generator without its name"),
        ("input_stream: 'a:b'", 1, 15, "expected name, TAG:name or TAG:index:name, got 'a:b'"),
        ("input_stream: 'A_%i%:b'", 1, 15, "templates, which MediaPipe fills in, are not read"),
        ("input_stream: ['A:b', 'A:c']", 1, 23, "number them: A:0:b, A:1:c"),
        ("config {}", 1, 1, "belongs to a CalculatorGraphTemplate"),
        ("node { calculator: 'A' input_stream_info { tag_index: 'B' } }", 1, 42, "no such input"),
        ("node { calculator: 'A' input_stream_info { tag_index: 'b' } }", 1, 42, "expected TAG, "),
    ],
)
def test_what_is_no_graph_is_refused_with_its_position(text, line, column, reason):
    with pytest.raises(GraphTextError) as caught:
        parse_graph(text, "my.pbtxt")
    assert str(caught.value).startswith(f"my.pbtxt:{line}:{column}: ")
    assert reason in str(caught.value)


def test_all_that_is_wrong_is_told_in_the_order_of_the_text():
    text = "nod {}\ntype: 5\nnode { calculator: 'A' input_stream: ':' }\nnode { name: 'b' }"
    graph, wrong = inspect_graph(parse_message(text))
    assert [error.line for error in wrong] == [1, 2, 3, 4]
    assert [node.calculator for node in graph.nodes] == ["A", ""]


def test_a_node_within_options_is_read():
    node = node_of_message(parse_message("calculator: 'A' input_stream: 'a'"))
    assert node == NodeText(calculator="A", inputs=(PortText(name="a"),))
    with pytest.raises(GraphTextError, match="no field 'calc'"):
        node_of_message(parse_message("calc: 'A'"))


def test_a_file_is_read_with_a_mark_and_either_end_of_line(tmp_path):
    path = tmp_path / "a.pbtxt"
    path.write_bytes("\ufefftype: 'Ä'\r\nnode {\r\n calculator: 'B' }\r\n".encode())
    graph = read_graph(path)
    assert graph == GraphText(type="Ä", nodes=(NodeText(calculator="B"),))
    assert graph.source == str(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("type: 'A'\nname: 'ü'".encode("latin-1"), ":2:8: not in UTF-8"),
        (b"\x0a\x10\x12\x07\x00\xff\xfe", ":2:5: not in UTF-8"),
        (b"\x0a\x10\x12\x07abcdefg\x00", "2:1: expected a name"),
        (b"\x00" * 100, "1:1: a NUL, which no text has: is this a graph in binary form?"),
        (b" " * (MOST_LETTERS + 1), "expected a file of at most 4,194,304 bytes"),
        (b"node { " * 10**5, "at most 100 messages in each other"),
    ],
    ids=["Latin-1", "binary", "binary letters", "NULs", "large", "deep"],
)
def test_a_hostile_file_is_refused(tmp_path, content, reason):
    path = tmp_path / "a.pbtxt"
    path.write_bytes(content)
    with pytest.raises(GraphTextError) as caught:
        read_graph(path)
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "none.pbtxt", tmp_path, "/dev/zero"):
        with pytest.raises(GraphTextError, match="cannot be read"):
            read_graph(path)


@settings(deadline=None)
@given(GRAPHS)
def test_what_is_printed_is_read_as_it_was(graph):
    assert parse_graph(print_graph(graph)) == graph


def test_a_readable_graph_is_printed_with_the_same_meaning():
    assert parse_graph(print_graph(parse_graph(LOOP))) == parse_graph(LOOP)
    # Nothing is added and nothing lost, but what is said of itself by default.
    assert message_of_graph(parse_graph(LOOP)) == parse_message(LOOP)


def test_each_graph_of_mediapipe_is_read_and_printed_with_the_same_meaning(mediapipe_graph):
    graph = read_graph(mediapipe_graph)
    assert graph.nodes
    printed = print_graph(graph)
    assert parse_graph(printed) == graph
    said = parse_message(read_text(mediapipe_graph).replace("back_edge: false", ""))
    assert parse_message(printed) == said
