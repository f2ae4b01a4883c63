"""Single nodes, from their texts."""

from handheld.graph.testing import NodeRunner
from handheld.graph.text import parse_graph
from handheld.hands.mediapipe import mediapipe_calculators

FILES = {"labels.txt": b"cat\ndog\n", "model.tflite": b"no model"}


def calculator(text, files=FILES):
    """Make the calculator of the node that a text says."""
    registry = mediapipe_calculators(files)
    (node,) = parse_graph("node { " + text + " }", "a.pbtxt").nodes
    return registry.calculators[registry.resolve(node.calculator)].make(node)


def options(type_, text=""):
    return f"options {{ [mediapipe.{type_}.ext] {{ {text} }} }}"


def converted(node, inputs, output, side=None):
    """Return what a node sends on a port for one packet on each input; None for nothing."""
    with NodeRunner(node, side=side) as runner:
        for port, payload in inputs.items():
            runner.add(port, payload, 0)
        packets = runner.take(output)
    return packets[0].payload if packets else None


def side_packets(node, side=None):
    """Return the side packets that a node sets."""
    return node.packets(side or {})
