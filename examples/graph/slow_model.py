"""A camera in front of a model that is too slow for it.

The flow limiter lets one frame be under way and one wait, and drops the oldest beyond that: the
model gets fresh frames, and the camera never waits.

Prints:
    seen by the model: [0, 29]
    dropped: 28
"""

import threading

from handheld.graph import BackEdge, FlowLimiter, Graph, GraphConfig, Node, calculator


def main() -> None:
    """Send a second of frames while the model looks at the first."""
    camera_stopped = threading.Event()

    @calculator
    def model(frame: int) -> int:
        camera_stopped.wait(10)  # as long as it takes
        return frame

    config = GraphConfig(
        inputs={"frame": int},
        nodes=[
            Node(
                FlowLimiter(max_in_flight=1, max_in_queue=1),
                inputs={"in": "frame", "finished": BackEdge("result")},
                outputs={"out": "admitted"},
            ),
            Node(model, inputs="admitted", outputs="result"),
        ],
    )
    # Threads: on the calling thread each add would run the model to its end, and drop nothing.
    with Graph(config, threads=2) as graph:
        results = graph.output("result")
        for frame in range(30):
            graph.add("frame", frame, timestamp=frame * 33_333)
        while graph.stats().drops < 28:
            pass  # the limiter takes note of frames on a thread of its own
        camera_stopped.set()
        graph.wait()
        print("seen by the model:", [packet.payload for packet in results])
        print("dropped:", graph.stats().drops)


if __name__ == "__main__":
    main()
