"""Two inputs whose times never meet: the graph says so, with both streams and how far apart.

Prints:
    nothing came
    the nearest packets of 'left' and 'right' are off by 7 microseconds
    warned: True
"""

import warnings

from handheld.errors import GraphStuckError
from handheld.graph import Graph, GraphConfig, Node, calculator


@calculator
def join(left: int, right: int) -> int:
    return left + right


def main() -> None:
    """Feed frames of two clocks that are seven microseconds apart."""
    config = GraphConfig(
        inputs={"left": int, "right": int},
        nodes=[Node(join, inputs=["left", "right"], outputs="both", name="join")],
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with Graph(config) as graph:
            both = graph.output("both")
            for number in range(3):
                graph.add("left", number, 1000 * number)
                graph.add("right", number, 1000 * number + 7)
            try:
                next(both)
            except GraphStuckError:
                print("nothing came")
            # print(graph.explain()) tells it in words, and what each node waits for.
            (unmet,) = graph.explain().unmet
            print(
                f"the nearest packets of {unmet.left.stream!r} and {unmet.right.stream!r} "
                f"are off by {unmet.nearest} microseconds"
            )
    print("warned:", any("no timestamp in common" in str(entry.message) for entry in told))


if __name__ == "__main__":
    main()
