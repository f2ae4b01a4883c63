"""A million packets through the hand graph, recorded and traced: memory stays flat, calls as fast.

``python benchmarks/graph_soak.py [--packets 1000000]``

The graph is the tracker's own, with models of a few operations that find one hand in a white
square (``tests/fixtures``). Its hands are recorded to a file and its calls traced to another, in
the system's temporary folder. A row for each tenth of the run.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _report import show, write

from handheld.graph import Graph
from handheld.graph.record import GraphRecording
from handheld.hands import HandTracker
from handheld.hands.codecs import HAND_CODECS
from handheld.hands.packs import ModelPack
from handheld.media import Frame

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
PACK = ModelPack("tiny", FIXTURES / "tiny_palm.tflite", FIXTURES / "tiny_landmark.tflite")
FRAME_US = 33_333
TENTHS = 10


def resident_mb() -> float:
    """Return the memory of this process, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def tenth(graph: Graph, reader: Any, numbers: range, image: Any) -> dict[str, Any]:
    """Feed a tenth of the frames, and return what they cost."""
    start = time.process_time()
    for number in numbers:
        graph.add("frame", Frame(image, number * FRAME_US, number), number * FRAME_US)
        next(reader)
    spent = time.process_time() - start
    return {
        "frames": f"{numbers.start:,} to {numbers.stop - 1:,}",
        "CPU µs a frame": round(spent / len(numbers) * 1e6, 1),
        "resident MB": round(resident_mb(), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000, help="frames that are fed")
    options = parser.parse_args()
    image = np.full((48, 64, 3), 30, np.uint8)
    image[18:30, 26:38] = 255
    size = options.packets // TENTHS
    rows = []
    with tempfile.TemporaryDirectory() as folder, HandTracker(pack=PACK) as tracker:
        record, trace = Path(folder) / "soak.rec", Path(folder) / "soak.json"
        with Graph(tracker.config, side=tracker._side, trace=trace) as graph:
            recorder = graph.record(record, ["hands"], codecs=HAND_CODECS)
            reader = graph.output("hands")
            for number in range(TENTHS):
                frames = range(number * size, (number + 1) * size)
                rows.append(tenth(graph, reader, frames, image))
                print(rows[-1], flush=True)
        recording = GraphRecording(record, HAND_CODECS)
        hands = recording.check()["hands"]
        print(
            f"record: {hands.packets:,} packets to {hands.last}, {record.stat().st_size / 1e6:.0f} "
            f"MB, damage {recording.damage!r}, skipped {recorder.skipped}; "
            f"trace {trace.stat().st_size / 1e6:.0f} MB"
        )
    show(f"The hand graph with fake models over {options.packets:,} frames", rows)
    write("graph_soak", rows)


if __name__ == "__main__":
    main()
