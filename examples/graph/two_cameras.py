"""Two cameras, one at 30 frames a second and one at 20, joined at the moments that both have.

A frame belongs to the nearest of 60 ticks a second, so that frames of one moment have one
timestamp. While the node that joins them is busy, ``FixedSizePolicy`` throws the oldest away, the
same timestamps on both sides: it always gets a fresh pair, never one frame of then and one of now.

Prints:
    pairs: [0, 800, 900, 1000]
    thrown away: 35 frames
"""

import threading

from handheld.graph import (
    Calculator,
    Context,
    Contract,
    FixedSizePolicy,
    Graph,
    GraphConfig,
    Node,
)

TICK = 1_000_000 / 60  # microseconds


class OnTicks(Calculator):
    """Moves frames to the nearest tick."""

    contract = Contract(inputs={"in": str}, outputs={"out": str}, timestamp_offset=None)

    def process(self, context: Context) -> None:
        number = round(context.timestamp / TICK)
        context.send("out", context.get("in"), round(number * TICK))


class Stitch(Calculator):
    """Pairs frames; its first pair takes as long as both cameras run."""

    contract = Contract(
        inputs={"left": str, "right": str},
        outputs={"pair": tuple[str, str]},
        policy=FixedSizePolicy(trigger_queue_size=10, target_queue_size=3),
    )

    def __init__(self, begun: threading.Event, cameras_stopped: threading.Event) -> None:
        self.begun = begun
        self.cameras_stopped = cameras_stopped

    def process(self, context: Context) -> None:
        self.begun.set()
        self.cameras_stopped.wait(10)
        if len(context.inputs) == 2:
            context.send("pair", (context.get("left"), context.get("right")))


def main() -> None:
    """Run both cameras for a second."""
    begun = threading.Event()
    cameras_stopped = threading.Event()
    config = GraphConfig(
        inputs={"left": str, "right": str},
        nodes=[
            # In the cameras' own calls: so the frames come in one order, in each run.
            Node(OnTicks(), inputs="left", outputs="left_frames", executor="inline"),
            Node(OnTicks(), inputs="right", outputs="right_frames", executor="inline"),
            Node(
                Stitch(begun, cameras_stopped),
                inputs=["left_frames", "right_frames"],
                outputs="pair",
                name="stitch",
            ),
        ],
    )
    frames = [("left", number / 30) for number in range(31)]
    frames += [("right", number / 20) for number in range(21)]
    with Graph(config, threads=1) as graph:
        pairs = graph.output("pair")
        for camera, seconds in sorted(frames, key=lambda frame: frame[1]):
            graph.add(camera, f"{camera} at {seconds:.3f}", round(seconds * 1_000_000))
            if camera == "right":
                begun.wait(10)
        cameras_stopped.set()
        graph.wait()
        print("pairs:", [packet.timestamp // 1000 for packet in pairs])
        print("thrown away:", graph.stats().nodes["stitch"].drops, "frames")


if __name__ == "__main__":
    main()
