from xml.etree import ElementTree

import pytest
from graph_parts import Join, Numbers

from handheld.errors import GraphValidationError
from handheld.graph import (
    BackEdge,
    GraphConfig,
    Node,
    PassThrough,
    PreviousLoopback,
    SidePacketToStream,
    StreamToSidePacket,
    to_mermaid,
    to_svg,
)

LOOP = GraphConfig(
    inputs={"image <&> mask": int, "unused": int},
    outputs=["sum", "unused"],
    nodes=[
        Node(
            PreviousLoopback(),
            inputs={"main": "image <&> mask", "loop": BackEdge("sum")},
            outputs="previous",
        ),
        Node(
            Join(2), inputs=["image <&> mask", "previous"], outputs="sum", name='the "join" & more'
        ),
        Node(Numbers(3), outputs="lonely", name="lonely source"),
        Node(PassThrough(), inputs=BackEdge("previous"), outputs="late", name="fed from behind"),
    ],
)
NODES = ["previous_loopback", 'the "join" & more', "lonely source", "fed from behind"]


def test_svg_is_valid_and_shows_every_node_and_stream() -> None:
    root = ElementTree.fromstring(to_svg(LOOP))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set(texts) == {*NODES, "image <&> mask", "unused", "sum", "previous"}
    dashed = [
        path
        for path in root.iter("{http://www.w3.org/2000/svg}path")
        if "stroke-dasharray" in path.attrib
    ]
    assert len(dashed) == 2  # the back edges


def test_svg_boxes_lie_inside_the_picture_and_apart() -> None:
    root = ElementTree.fromstring(to_svg(LOOP))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if "rx" in rect.attrib
    ]
    assert len(boxes) == len(NODES) + 2 + 2  # and two inputs, two outputs
    for number, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        assert all(
            x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
            for x2, y2, w2, h2 in boxes[number + 1 :]
        )


def test_mermaid() -> None:
    config = GraphConfig(
        inputs={"in": int},
        outputs=["sum"],
        nodes=[
            Node(
                PreviousLoopback(),
                inputs={"main": "in", "loop": BackEdge("sum")},
                outputs="previous",
            ),
            Node(Join(2), inputs=["in", "previous"], outputs="sum", name='a "b"'),
        ],
    )
    assert to_mermaid(config).splitlines() == [
        "flowchart TD",
        '    n0(["in"])',
        '    n1["previous_loopback"]',
        '    n2["a #quot;b#quot;"]',
        '    n3(["sum"])',
        '    n0 -- "in" --> n1',
        '    n2 -. "sum" .-> n1',
        '    n0 -- "in" --> n2',
        '    n1 -- "previous" --> n2',
        '    n2 -- "sum" --> n3',
    ]
    assert all(f'"{name}"' in to_mermaid(LOOP).replace("#quot;", '"') for name in NODES)


def test_side_packets_between_nodes_are_dashed() -> None:
    config = GraphConfig(
        inputs={"p": int},
        side_inputs={"outside": int},
        nodes=[
            Node(StreamToSidePacket(), inputs="p", side_outputs="p", name="giver"),
            Node(SidePacketToStream("zero"), side_inputs="p", outputs="x", name="taker"),
            Node(SidePacketToStream("zero"), side_inputs="outside", name="other"),
        ],
    )
    assert to_mermaid(config).splitlines()[-2:] == [
        '    n0 -- "p" --> n1',
        '    n1 -. "p" .-> n2',
    ]
    root = ElementTree.fromstring(to_svg(config))
    svg = "{http://www.w3.org/2000/svg}"
    assert sum("stroke-dasharray" in path.attrib for path in root.iter(f"{svg}path")) == 1
    # Both are named, though they are called the same.
    assert [text.text for text in root.iter(f"{svg}text")].count("p") == 3


def test_letters_that_nobody_sees_break_no_picture() -> None:
    name = "a\x00b\x1b\ud800\n c"
    config = GraphConfig(
        inputs={name: int}, nodes=[Node(PassThrough(), inputs=name, name=name + "n")]
    )
    ElementTree.fromstring(to_svg(config).encode())
    assert to_mermaid(config).encode().decode().splitlines() == [
        "flowchart TD",
        '    n0(["a\ufffdb\ufffd\ufffd c"])',
        '    n1["a\ufffdb\ufffd\ufffd cn"]',
        '    n0 -- "a\ufffdb\ufffd\ufffd c" --> n1',
    ]


def test_an_empty_graph_is_an_empty_picture() -> None:
    assert to_mermaid(GraphConfig(nodes=[])) == "flowchart TD\n"
    ElementTree.fromstring(to_svg(GraphConfig(nodes=[])))


@pytest.mark.parametrize("draw", [to_mermaid, to_svg])
def test_a_wrong_graph_has_no_picture(draw: object) -> None:
    with pytest.raises(GraphValidationError):
        draw(GraphConfig(nodes=[Node(PassThrough(), inputs="nowhere")]))  # type: ignore[operator]
