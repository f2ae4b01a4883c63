"""What is drawn of a graph, whatever describes it: boxes, and arrows between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Before the name of a graph's input or output, whose box must not be taken for that of a node or of
# the other end with the same name. Characters that no name has.
_INPUT = "\0"
_OUTPUT = "\1"


@dataclass(frozen=True)
class StreamArrow:
    """A stream, or a side packet, from one box to another.

    Attributes:
        source: box.
        target: box.
        stream: its name, or that of the side packet.
        back: whether it leads back, around a loop.
        side: whether it is a side packet.
    """

    source: str
    target: str
    stream: str
    back: bool
    side: bool = False


@dataclass(frozen=True)
class Picture:
    """A graph to draw.

    Attributes:
        boxes: each once: those of the graph's inputs, of nodes, of the graph's outputs.
        arrows: between boxes.
    """

    boxes: Sequence[str]
    arrows: Sequence[StreamArrow]


def picture(inputs: Iterable[str], nodes: Iterable[str], arrows: Sequence[StreamArrow]) -> Picture:
    """Return what is drawn of a graph.

    Args:
        inputs: streams that enter it.
        nodes: names of its nodes, each once.
        arrows: between nodes, and boxes of :func:`input_box` and :func:`output_box`.
    """
    boxes: dict[str, None] = {}  # an ordered set
    for stream in inputs:
        boxes[input_box(stream)] = None
    for node in nodes:
        boxes[node] = None
    # Only the outputs are new here, and inputs that nobody declared.
    for arrow in arrows:
        boxes[arrow.source] = None
        boxes[arrow.target] = None
    return Picture(list(boxes), arrows)


def input_box(stream: str) -> str:
    """Return the box of a stream that enters the graph."""
    return _INPUT + stream


def output_box(stream: str) -> str:
    """Return the box of a stream that leaves the graph."""
    return _OUTPUT + stream


def is_end(box: str) -> bool:
    """Whether a box is that of an input or output of the graph."""
    return box.startswith((_INPUT, _OUTPUT))


def label(box: str) -> str:
    """Return the name in a box."""
    return box.lstrip(_INPUT + _OUTPUT)
