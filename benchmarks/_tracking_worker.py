"""The worker's side of ``hands_vs_mediapipe.py``: measures one tracker in a process of its own.

Both sides run this same loop, each in its own virtual environment, so it needs numpy alone. The
first line of stdin sets the tracker up; each further line, ``FIRST COUNT``, asks for some frames of
the clip and gets one line of figures.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from _memory import peak_bytes
from numpy.typing import NDArray


class Tracker(Protocol):
    """A tracker under measurement."""

    detector_runs: int

    def track(self, image: NDArray[np.uint8], t_us: int) -> Any:
        """Follow hands into the next frame: this call is timed."""

    def points(self, result: Any, width: int, height: int) -> list[list[list[float]]]:
        """Return 21 (x, y) pixels for each hand of a result: not timed."""


def serve(make: Callable[[int, str, bool], Tracker]) -> None:
    """Answer requests until stdin ends. ``make`` takes the hands allowed, the pack, and whether to
    smooth.
    """
    setup = json.loads(sys.stdin.readline())
    tracker = make(setup["hands"], setup["pack"], setup["smoothing"])
    t_us = 0
    for line in sys.stdin:
        first, count = map(int, line.split())
        print(json.dumps(measure(tracker, setup, range(first, first + count), t_us)), flush=True)
        t_us += count * setup["step_us"]


def measure(tracker: Tracker, setup: dict[str, Any], frames: range, t_us: int) -> dict[str, Any]:
    """Track some frames; CPU and wall seconds and landmarks come one by one."""
    cpu, wall, points = [], [], []
    runs = tracker.detector_runs
    for index in frames:
        image = read_frame(setup, index)
        before = time.process_time(), time.perf_counter()
        result = tracker.track(image, t_us)
        after = time.process_time(), time.perf_counter()
        cpu.append(after[0] - before[0])  # of all threads
        wall.append(after[1] - before[1])
        points.append(tracker.points(result, image.shape[1], image.shape[0]))
        t_us += setup["step_us"]
    return {
        "cpu": cpu,
        "wall": wall,
        "points": points,
        "detector_runs": tracker.detector_runs - runs,
        "peak_mb": peak_bytes() / 2**20,
        "threads": len(os.listdir("/proc/self/task")),
    }


def read_frame(setup: dict[str, Any], index: int) -> NDArray[np.uint8]:
    """Return one frame; reading them one at a time, the clip does not count as the tracker's
    memory.
    """
    height, width, channels = setup["shape"]
    size = height * width * channels
    image = np.fromfile(setup["file"], np.uint8, size, offset=index * size).reshape(
        height, width, channels
    )
    if setup["beside_mirror"]:
        image = np.concatenate([image, image[:, ::-1]], axis=1)
    image.flags.writeable = False
    return image
