"""A detector that runs only when the tracker has lost its object: a loop with a back edge.

The detector finds the ball anywhere, and is dear. The tracker finds it near where it was, and is
cheap. ``PreviousLoopback`` gives each frame what the tracker said of the frame before.

Prints:
    tracked: [3, 4, 5, None, 20, 21, 22]
    the detector ran at frames: [0, 4]
"""

from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    Gate,
    Graph,
    GraphConfig,
    Node,
    PreviousLoopback,
    calculator,
)

BALL = [3, 4, 5, None, 20, 21, 22]  # where it is in each frame; hidden in one


@calculator
def is_lost(frame: int, previous: int | None) -> bool:
    return previous is None


class Detector(Calculator):
    """Finds the ball wherever it is."""

    contract = Contract(inputs={"frame": int}, outputs={"ball": int})

    def __init__(self, frames: list[int]) -> None:
        self.frames = frames

    def process(self, context: Context) -> None:
        frame = context.get("frame")
        self.frames.append(frame)
        ball = BALL[frame]
        if ball is not None:
            context.send("ball", ball)


@calculator
def track(frame: int, previous: int | None, detected: int | None) -> int | None:
    ball = BALL[frame]
    near = detected if previous is None else previous
    if ball is None or near is None or abs(ball - near) > 2:
        return None
    return ball


def main() -> None:
    """Track the ball."""
    frames_of_detector: list[int] = []
    config = GraphConfig(
        inputs={"frame": int},
        nodes=[
            Node(
                PreviousLoopback(),
                inputs={"main": "frame", "loop": BackEdge("ball")},
                outputs="previous",
            ),
            Node(is_lost, inputs=["frame", "previous"], outputs="lost"),
            Node(Gate(), inputs={"in": "frame", "allow": "lost"}, outputs="to_detect"),
            Node(Detector(frames_of_detector), inputs="to_detect", outputs="detected"),
            Node(track, inputs=["frame", "previous", "detected"], outputs="ball"),
        ],
    )
    with Graph(config) as graph:
        balls = graph.output("ball")
        for frame in range(len(BALL)):
            graph.add("frame", frame, timestamp=frame)
        tracked = {packet.timestamp: packet.payload for packet in balls.drain()}
    print("tracked:", [tracked.get(frame) for frame in range(len(BALL))])
    print("the detector ran at frames:", frames_of_detector)


if __name__ == "__main__":
    main()
