"""A threshold that is turned while frames flow, from a stated frame on.

Prints:
    accepted: [0.6, 0.5, 0.4]
"""

from handheld.graph import Graph, GraphConfig, Node, calculator


@calculator
def accept(score: float, *, lowest: float = 0.5) -> float | None:
    return score if score >= lowest else None


def main() -> None:
    """Lower the threshold at the fourth score."""
    nodes = [Node(accept, inputs="score", outputs="accepted")]
    with Graph(GraphConfig(inputs={"score": float}, nodes=nodes), threads=2) as graph:
        accepted = graph.output("accepted")
        graph.set("accept.lowest", 0.3, at=3)
        for timestamp, score in enumerate([0.6, 0.4, 0.5, 0.4]):
            graph.add("score", score, timestamp)
        graph.wait()
        print("accepted:", [packet.payload for packet in accepted])


if __name__ == "__main__":
    main()
