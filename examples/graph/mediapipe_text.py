"""A graph in MediaPipe's text form, with a calculator of one's own under a name of its own.

Prints:
    passed: [20.0]
"""

from handheld.graph import Graph, calculator
from handheld.graph.text import LIBRARY, Registry, load_graph, parse_graph

TEXT = """
input_stream: "VALUE:x"
output_stream: "OUT:passed"
node {
  calculator: "ScaleCalculator"
  input_stream: "VALUE:x"
  output_stream: "OUT:scaled"
  options: { [my.ScaleCalculatorOptions.ext] { factor: 10 } }
}
node {
  calculator: "IsLargeCalculator"
  input_stream: "VALUE:scaled"
  output_stream: "OUT:allowed"
}
node {
  calculator: "GateCalculator"
  input_stream: "scaled"
  input_stream: "ALLOW:allowed"
  output_stream: "passed"
}
"""


@calculator
def scale(value: float, *, factor: float = 2.0) -> float:
    return value * factor


@calculator
def is_large(value: float) -> bool:
    return value > 15.0


def main() -> None:
    """Run the text."""
    own = Registry().add("ScaleCalculator", scale).add("IsLargeCalculator", is_large)
    with Graph(load_graph(parse_graph(TEXT), LIBRARY | own)) as graph:
        passed = graph.output("passed")
        graph.add("x", 1.0, timestamp=0)
        graph.add("x", 2.0, timestamp=33_000)
        print("passed:", [packet.payload for packet in passed.drain()])


if __name__ == "__main__":
    main()
