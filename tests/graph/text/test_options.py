"""Options of nodes, read as the types that calculators expect."""

import math

import pytest

from handheld.errors import GraphTextError
from handheld.graph.text.model import HandlerText
from handheld.graph.text.options import read_handler_options, read_options
from handheld.graph.text.read import parse_graph

TEXT = """
node {
  calculator: "A"
  options {
    [mediapipe.AOptions.ext] {
      loud: true quiet: False size: 3 scale: 2 share: .5 far: inf name: "a" "b" origin: TOP_LEFT
      sizes: [1, 2] scales: [1, 2.5] flags: [true, 0] names: ["x", "y"] origins: [TOP, LEFT]
      color { r: 255 g: 1 }
      range { low: 1 } range { low: 2 }
    }
  }
}
"""


def reader(text=TEXT, *types):
    return read_options(parse_graph(text, "my.pbtxt").nodes[0], *types)


def of_node(fields):
    return f"node {{\n calculator: 'A'\n options {{ [a.AOptions.ext] {{\n{fields}\n}} }} }}"


def test_each_type_is_read():
    with reader() as options:
        assert options.flag("loud") is True
        assert options.flag("quiet", True) is False
        assert options.whole("size", low=1, high=3) == 3
        assert options.number("scale") == 2.0
        assert options.number("share", high=1) == 0.5
        assert options.number("far") == math.inf
        assert options.text("name") == "ab"
        assert options.choice("origin", ["TOP_LEFT", "BOTTOM_LEFT"], "BOTTOM_LEFT") == "TOP_LEFT"
        assert options.wholes("sizes") == (1, 2)
        assert options.numbers("scales") == (1.0, 2.5)
        assert options.flags("flags") == (True, False)
        assert options.texts("names") == ("x", "y")
        assert options.choices("origins", ["TOP", "LEFT"]) == ("TOP", "LEFT")
        with options.message("color") as color:
            assert (color.whole("r"), color.whole("g"), color.whole("b", 7)) == (255, 1, 7)
        assert [inner.whole("low") for inner in options.messages("range")] == [1, 2]
        assert [message.values("low") for message in options.raw("range")] == [[1], [2]]
        assert options.has("size")
        assert not options.has("weight")
        assert "origin" in options.names()


def test_the_number_of_a_name_is_read_where_it_is_known():
    text = of_node("x: 2 y: 2 z: [A, 2]")
    assert reader(text).choice("x", {"A": 1, "B": 2}, "A") == "B"
    assert reader(text).choices("z", {"A": 1, "B": 2}) == ("A", "B")
    with pytest.raises(GraphTextError, match="expected one of A, B, got 2"):
        reader(text).choice("y", ["A", "B"], "A")


def test_what_is_not_said_has_its_default():
    with reader("node { calculator: 'A' }") as options:
        assert options.flag("loud") is False
        assert options.whole("size", 4) == 4
        assert options.number("scale", 1.5) == 1.5
        assert options.text("name", "x") == "x"
        assert options.choice("origin", ["A", "B"], "B") == "B"
        assert options.wholes("sizes") == ()
        assert options.message("color").whole("r", 9) == 9
        assert options.messages("range") == []


@pytest.mark.parametrize(
    ("fields", "ask", "reason"),
    [
        ("loud: 2", lambda o: o.flag("loud"), "my.pbtxt:4:7: option 'loud': expected true or fal"),
        ("size: 1.0", lambda o: o.whole("size"), ":4:7: option 'size': expected a whole number"),
        ("size: 0", lambda o: o.whole("size", low=1), ":4:7: option size: expected a whole number"),
        ("x: 'a'", lambda o: o.number("x"), ":4:4: option 'x': expected a number, got b'a'"),
        ("x: nan", lambda o: o.number("x", low=0), ":4:4: option x: expected a number in [0"),
        ("x: y", lambda o: o.text("x"), ":4:4: option 'x': expected a text, got 'y'"),
        ("x: '\\xff'", lambda o: o.text("x"), "expected a text"),
        ("x: UP", lambda o: o.choice("x", ["A", "B"], "A"), "expected one of A, B, got 'UP'"),
        ("x: 'A'", lambda o: o.choice("x", ["A", "B"], "A"), "expected one of A, B, got b'A'"),
        ("x: 1", lambda o: o.message("x"), "expected a message {...}, got 1"),
        ("x {}", lambda o: o.whole("x"), "expected a whole number, got a message"),
        ("x: 1\nx: 2", lambda o: o.whole("x"), ":5:1: option 'x' stands here and in line 4"),
        ("x: [1, 'a']", lambda o: o.wholes("x"), ":4:8: option 'x': expected a whole number"),
    ],
)
def test_another_type_or_range_is_an_error_with_its_position(fields, ask, reason):
    with pytest.raises(GraphTextError) as caught:
        ask(reader(of_node(fields)))
    assert reason in str(caught.value)
    assert "(A)" in str(caught.value)


def test_what_nobody_asked_for_is_an_error():
    options = reader(of_node("treshold: 1"))
    options.number("threshold")
    with pytest.raises(GraphTextError, match=r"4:1: no option 'treshold'; did you mean 'thres"):
        options.finish()
    with pytest.raises(GraphTextError, match="no option 'b'"):
        reader(of_node("a { b: 1 }")).message("a").finish()
    with reader(of_node("delegate {}")) as options:
        options.ignore("delegate")
    # An error within the block is the first one.
    with pytest.raises(ZeroDivisionError), reader(of_node("a: 1")):
        raise ZeroDivisionError


def test_options_of_either_form_and_of_the_right_type_are_read():
    text = "node { calculator: 'A' node_options { [type.googleapis.com/a.b.AOptions] { x: 1 } } }"
    assert reader(text, "AOptions").whole("x") == 1
    assert reader(text, "a.b.AOptions").whole("x") == 1
    assert reader(text, "BOptions", "AOptions").whole("x") == 1
    with pytest.raises(GraphTextError, match=r"options of type a.b.AOptions, expected BOptions"):
        reader(text, "BOptions")


def test_of_one_type_in_both_forms_the_older_one_counts():
    text = """node { calculator: "A"
      options { merge_fields: true [a.AOptions.ext] { x: 1 } }
      node_options { [type.googleapis.com/a.AOptions] { x: 2 } }
      node_options { [type.googleapis.com/a.MoreOptions] { y: 3 } } }"""
    options = reader(text)
    assert (options.whole("x"), options.whole("y")) == (1, 3)


def test_handlers_have_options_too():
    text = "input_stream_handler { options { [a.HOptions.ext] { batch_size: 0 } } }"
    handler = parse_graph(text).input_stream_handler
    assert isinstance(handler, HandlerText)
    with pytest.raises(GraphTextError, match="option batch_size: expected a whole number of 1"):
        read_handler_options(handler, "x").whole("batch_size", low=1)
