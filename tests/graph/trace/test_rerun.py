"""Traces for Rerun, tested with a module in its place."""

import sys
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
from graph_parts import Call

from handheld.errors import CalculatorError, MissingDependencyError
from handheld.graph import Context, Graph, GraphConfig, Node
from handheld.graph.trace.rerun import RerunTracer


class Recording:
    """Keeps what is logged: (path, value, times)."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.logged: list[tuple[tuple[str, ...], Any, dict[str, float]]] = []
        self.times: dict[str, float] = {}
        self.saved = ""
        self.flushed = 0

    def save(self, path: str) -> None:
        self.saved = path

    def flush(self) -> None:
        self.flushed += 1

    def reset_time(self) -> None:
        self.times = {}

    def set_time(self, timeline: str, *, duration: float) -> None:
        self.times[timeline] = duration

    def log(self, path: list[str], value: Any) -> None:
        self.logged.append((tuple(path), value, dict(self.times)))


@pytest.fixture
def rerun(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    fake = SimpleNamespace(
        RecordingStream=Recording,
        Scalars=lambda value: ("scalar", value),
        TextLog=lambda text, level: (level, text),
    )
    monkeypatch.setitem(sys.modules, "rerun", fake)
    return fake


@pytest.mark.usefixtures("rerun")
def test_calls_drops_and_errors_are_logged() -> None:
    now = [10.0]

    def work(context: Context) -> None:
        now[0] += 0.25
        context.drop()
        if context.timestamp == 2_000_000:
            raise ValueError("no")

    recording = Recording()
    config = GraphConfig(inputs={"in": int}, nodes=[Node(Call(work), inputs="in", name="a/b c")])
    tracer = RerunTracer("run.rrd", recording=recording)
    with Graph(config, trace=tracer, clock=lambda: now[0]) as graph:
        graph.add("in", 1, 1_000_000)
        with pytest.raises(CalculatorError):
            graph.add("in", 1, 2_000_000)
        graph.cancel()
    node = ("graph", "nodes", "a/b c")
    took = [entry for entry in recording.logged if entry[0] == (*node, "took_ms")]
    assert took[1] == ((*node, "took_ms"), ("scalar", 250.0), {"run": 0.25, "packet": 1.0})
    assert took[0][2] == {"run": 0.0}  # it was opened at no packet's time
    assert (node, ("ERROR", "raised ValueError"), {"run": 0.5, "packet": 2.0}) in recording.logged
    assert ((*node, "drops"), ("scalar", 2), {"run": 0.5}) in recording.logged
    assert (
        ("graph", "inputs", "in"),
        ("TRACE", "a packet came in"),
        {"run": 0.0, "packet": 1.0},
    ) in (recording.logged)
    assert (recording.saved, recording.flushed) == ("run.rrd", 1)


def test_a_recording_of_its_own(rerun: SimpleNamespace) -> None:
    made: list[Recording] = []

    def stream(name: str) -> Recording:
        made.append(Recording(name))
        return made[-1]

    rerun.RecordingStream = stream
    config = GraphConfig(inputs={"in": int}, nodes=[Node(Call(lambda c: None), inputs="in")])
    with Graph(config, trace=RerunTracer()) as graph:
        graph.add("in", 1, 0)
    (recording,) = made
    assert (recording.name, recording.saved) == ("handheld", "")
    assert recording.logged


@pytest.mark.skipif(find_spec("rerun") is not None, reason="rerun-sdk is installed")
def test_without_it_the_error_names_the_extra() -> None:
    with pytest.raises(MissingDependencyError, match=r"'rerun-sdk'.*pip install '\.\[rerun\]'"):
        RerunTracer()
