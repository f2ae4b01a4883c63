"""A live source whose clock jumps: one packet from the future, then packets that are too late.

By default a late packet is an error, after which the stream goes on. With ``on_late="drop"`` it is
left out, counted and logged once. Where the clock is not to be trusted at all, let the graph stamp
the packets, and where a jump was a mistake, ``reset`` starts the clock anew.

Prints:
    refused: stream 'reading': a packet at 2000 comes too late
    read: [1, 2, 4]
    late: 2
    after a reset: [6]
"""

from handheld.errors import TimestampError
from handheld.graph import Graph, GraphConfig, Node, PassThrough

CONFIG = GraphConfig(
    inputs={"reading": int}, nodes=[Node(PassThrough(), inputs="reading", outputs="out")]
)


def main() -> None:
    """Send late packets."""
    with Graph(CONFIG) as graph:
        graph.add("reading", 1, timestamp=5000)
        try:
            graph.add("reading", 2, timestamp=2000)
        except TimestampError as error:
            print("refused:", str(error).partition(",")[0])
        graph.add("reading", 3, timestamp=6000)  # the stream goes on
    with Graph(CONFIG, on_late="drop") as graph:
        out = graph.output("out")
        readings = [(1, 1000), (2, 900_000_000), (3, 2000), (3, 3000), (4, 900_000_001)]
        for value, timestamp in readings:
            graph.add("reading", value, timestamp)
        print("read:", [packet.payload for packet in out.drain()])
        print("late:", graph.stats().streams["reading"].late)
        graph.reset()
        graph.add("reading", 6, timestamp=4000)
        print("after a reset:", [packet.payload for packet in out.drain()])


if __name__ == "__main__":
    main()
