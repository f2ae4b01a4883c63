"""MediaPipe's own text graph of hands, as it stands in its tree, on our calculators.

On MediaPipe's test clip its landmarks are set beside those that MediaPipe gave (mean and worst
distance over palm length, as in hands_conformance) and beside those of ``HandTracker`` with the
same models and without smoothing (pixels). Then the 55 graphs of MediaPipe: which of them can be
made with what is registered, and which calculators the others lack.

``HANDHELD_DATA`` is the folder with ``graphs`` and ``hands/video``.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _report import show, write
from hands_conformance import VIDEO, frames_of_opencv

from handheld.errors import GraphTextError
from handheld.graph import Graph, GraphConfig
from handheld.graph.text import LIBRARY, GraphText, Registry, load_graph, read_graph_file
from handheld.graph.text.load import find_unregistered
from handheld.hands import HandTracker
from handheld.hands.mediapipe import MEDIAPIPE_CALCULATORS
from handheld.media import Frame

GRAPHS = VIDEO.parents[1] / "graphs"
HANDS = GRAPHS / "modules" / "hand_landmark" / "hand_landmark_tracking_cpu.pbtxt"
_MISSING_NAMED = 4


def registry_of_tree(files: list[Path]) -> Registry:
    """Return our calculators, with the types of all graphs; of one type twice, the first."""
    registry = MEDIAPIPE_CALCULATORS | LIBRARY
    for path in files:
        graph = read_graph_file(path)
        if graph.type and graph.type not in registry.subgraphs:
            registry = registry.with_subgraphs(graph)
    return registry


def by_text(config: GraphConfig, frames: list[Frame]) -> tuple[Any, float]:
    """Return (frames, 21, 2) landmarks in pixels, and milliseconds a frame."""
    side = {"num_hands": 1, "model_complexity": 1, "use_prev_landmarks": True}
    height, width = frames[0].image.shape[:2]
    points = []
    with Graph(config, side=side) as graph:
        packets = graph.output("multi_hand_landmarks")
        start = time.perf_counter()
        for frame in frames:
            graph.add("image", frame.image, frame.t_us)
            (hand,) = next(packets).payload
            points.append(hand[:, :2] * [width, height])
        seconds = time.perf_counter() - start
    return np.array(points), 1000 * seconds / len(frames)


def by_tracker(frames: list[Frame]) -> tuple[Any, float]:
    """Return the same of the tracker."""
    points = []
    with HandTracker(pack="mediapipe-full", max_hands=1, smoothing=False) as tracker:
        start = time.perf_counter()
        for frame in frames:
            (hand,) = tracker.track(frame)
            assert hand.landmarks is not None
            points.append(hand.landmarks[:, :2])
        seconds = time.perf_counter() - start
    return np.array(points), 1000 * seconds / len(frames)


def hand_rows(frames: list[Frame], registry: Registry) -> list[dict[str, object]]:
    """Set the text graph beside MediaPipe's output and beside the tracker."""
    there = np.array(json.loads((VIDEO / "asl_hand.full.json").read_text()))[:, :, :2]
    size = np.linalg.norm(there[:, 9] - there[:, 0], axis=1)
    config = load_graph(HANDS, registry)
    # Once for the caches, then by turns; the best of three is what the code takes.
    by_text(config, frames[:20])
    runs = [(by_text(config, frames), by_tracker(frames)) for _ in range(3)]
    (text, _), (tracker, _) = runs[0]
    rows: list[dict[str, object]] = []
    for number, (what, points) in enumerate((("text graph", text), ("HandTracker", tracker))):
        apart = np.linalg.norm(points - there, axis=2).mean(axis=1) / size
        rows.append(
            {
                "what": what,
                "frames": len(frames),
                "from MediaPipe, mean": f"{apart.mean():.2%}",
                "worst": f"{apart.max():.2%}",
                "from HandTracker, px": f"{np.abs(points - tracker).max():.1e}",
                "ms a frame": f"{min(run[number][1] for run in runs):.2f}",
            }
        )
    return rows


def graph_row(path: Path, registry: Registry, missing: Counter[str]) -> dict[str, object]:
    """Tell whether a graph can be made."""
    text: GraphText = read_graph_file(path)
    names = sorted({entry.name for entry in find_unregistered(text, registry)})
    missing.update(names)
    row: dict[str, object] = {"graph": path.relative_to(GRAPHS).as_posix()}
    if names:
        listed = ", ".join(names[:_MISSING_NAMED])
        more = len(names) - _MISSING_NAMED
        return row | {"runs": "no", "why": listed + (f" and {more} more" if more > 0 else "")}
    try:
        load_graph(text, registry)
    except GraphTextError as error:
        # The options of a subgraph are given by whoever uses it.
        return row | {"runs": "as a subgraph", "why": str(error).partition(": ")[2]}
    return row | {"runs": "yes", "why": ""}


if __name__ == "__main__":
    paths = sorted(GRAPHS.rglob("*.pbtxt"))
    known = registry_of_tree(paths)
    clip = frames_of_opencv(VIDEO / "asl_hand.25fps.mp4")
    hands = hand_rows(clip, known)
    show("MediaPipe's hand graph on our calculators", hands)
    write("mediapipe_graph", hands)
    lacking: Counter[str] = Counter()
    graphs = [graph_row(path, known, lacking) for path in paths]
    show("MediaPipe's graphs", graphs)
    write("mediapipe_graphs", graphs)
    print("lacking:", ", ".join(f"{name} ({count})" for name, count in lacking.most_common()))
