"""Runs a graph of its text, fed by hand."""

from handheld.graph import Graph
from handheld.graph.text import LIBRARY, load_graph, parse_graph


def run_text(text, feed, *, side=None, registry=LIBRARY, left_out=()):
    """Run a graph and return output -> timestamp -> payload.

    Args:
        text: in MediaPipe's format; with or without declared outputs.
        feed: stream -> timestamp -> payload.
        side: side packet -> payload.
        registry: of its calculators.
        left_out: see load_graph.
    """
    config = load_graph(parse_graph(text, "my.pbtxt"), registry, left_out=left_out)
    packets = []
    for stream, by_timestamp in feed.items():
        packets += [(timestamp, stream, payload) for timestamp, payload in by_timestamp.items()]
    with Graph(config, side=side or {}) as graph:
        readers = {name: graph.output(name) for name in config.outputs}
        for timestamp, stream, payload in sorted(packets, key=lambda packet: packet[:2]):
            graph.add(stream, payload, timestamp)
        graph.close_input()
        return {name: {p.timestamp: p.payload for p in reader} for name, reader in readers.items()}
