"""A subgraph for each item of a list: crops of a picture, each looked at, put together again.

Prints:
    words in the lines: [[3, 5], [], [4]]
"""

from collections.abc import Sequence

from handheld.graph import BeginLoop, EndLoop, Graph, GraphConfig, Node, calculator


@calculator
def length_of(word: str) -> int:
    return len(word)


def main() -> None:
    """Measure the words of three lines."""
    config = GraphConfig(
        inputs={"words": Sequence},
        nodes=[
            Node(
                BeginLoop(),
                inputs={"items": "words"},
                outputs={"item": "word", "batch_end": "end"},
            ),
            Node(length_of, inputs="word", outputs="length"),
            Node(EndLoop(), inputs={"item": "length", "batch_end": "end"}, outputs="lengths"),
        ],
    )
    with Graph(config) as graph:
        lengths = graph.output("lengths")
        for timestamp, line in enumerate(["one three", "", "four"]):
            graph.add("words", line.split(), timestamp)
        print("words in the lines:", [packet.payload for packet in lengths.drain()])


if __name__ == "__main__":
    main()
