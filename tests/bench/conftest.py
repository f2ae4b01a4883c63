"""Models and machines of the bench's tests."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from handheld.bench.conditions import SystemSnapshot
from handheld.bench.run import BenchTools

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _graph(name):
    """The writer of ``tests/fixtures/make_models.py``, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("make_models", FIXTURES / "make_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Graph(name)


def classifier(side=2, classes=3, channels=3):
    """A float model of a picture whose scores are its first values: the class is where the picture
    is brightest, of the first pixels' channels.
    """
    graph = _graph("classifier")
    count = side * side * channels
    picture = graph.tensor("picture", (1, side, side, channels))
    flat = graph.reshape("flat", picture, [1, count])
    weights = np.eye(classes, count, dtype=np.float32)
    scores = graph.dense("scores", flat, weights, np.zeros(classes, np.float32))
    return bytes(graph.finish([picture], [scores]))


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(classifier())
    return path


class QuietMachine:
    """Time that passes only while calls spend it, on a machine where nothing else goes on.

    Args:
        durations: seconds of each call, in turn; the last one again and again.
    """

    def __init__(self, *durations):
        self.now = 0.0
        self.calls = 0
        self.durations = durations
        self.changes = {}
        self.snapshots = 0
        self.reads = 0

    def clock(self):
        # Read before and after each call: each second read is behind one.
        self.reads += 1
        if self.reads % 2 == 0:
            self.now += self.durations[min(self.calls, len(self.durations) - 1)]
            self.calls += 1
        return self.now

    def cpu_clock(self):
        return self.now

    def snapshot(self, core):
        self.snapshots += 1
        values = {
            "seconds": self.now,
            "core_busy": self.now,
            "core_stolen": 0.0,
            "all_busy": self.now,
            "cores": 2,
            "own_cpu": self.now,
            "preempted": 0,
            "pressure": 0.0,
            "clock_mhz": None,
            "throttled": None,
            "joules": None,
        }
        return SystemSnapshot(**values)

    @property
    def tools(self):
        return BenchTools(
            self.clock,
            self.cpu_clock,
            self.snapshot,
            lambda path, threads: None,
            lambda path, threads, core: None,
        )


@pytest.fixture
def fixtures_folder():
    return FIXTURES


@pytest.fixture
def quiet():
    return QuietMachine


@pytest.fixture
def make_classifier():
    return classifier


@pytest.fixture
def make_graph():
    return _graph
