"""Recorded inputs fed to a graph again."""

from typing import TYPE_CHECKING

from handheld.errors import GraphRecordError
from handheld.graph.record.recording import GraphRecording, RecordedBound, RecordedReset

if TYPE_CHECKING:
    from handheld.graph.graph import Graph


def replay(graph: "Graph", recording: GraphRecording) -> int:
    """Feed the inputs of a graph as they were fed when they were recorded.

    With the same timestamps and bounds, in the same order, and as fast as the graph takes them; for
    their headers, make it with ``Graph(config, headers=recording.headers)``. Streams of the
    recording that are no inputs of the graph are left out. What the graph raises, for the same
    packet as then, is raised here.

    Returns:
        Number of packets that were fed.

    Raises:
        GraphRecordError: the recording has no input of this graph, or holds what cannot be read.
    """
    inputs = set(graph.config.inputs)
    if inputs.isdisjoint(recording.streams):
        raise GraphRecordError(
            f"{recording.path}: it holds {recording.streams}, none of the graph's inputs "
            f"{sorted(inputs)}"
        )
    fed = 0
    for event in recording:
        if isinstance(event, RecordedReset):
            graph.reset()
            continue
        if event.stream not in inputs:
            continue
        if isinstance(event, RecordedBound):
            graph.set_bound(event.stream, event.bound)
        else:
            graph.add(event.stream, event.packet.payload, event.packet.timestamp)
            fed += 1
    return fed
