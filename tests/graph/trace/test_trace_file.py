"""Traces as files: written while the graph runs, read whole or cut off."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from graph_parts import Call, Keep

from handheld.errors import FileError, InputError
from handheld.graph import Graph, GraphConfig, Node, PassThrough, Timestamp
from handheld.graph.trace import FileTracer, MemoryTracer, Trace, background, read_trace

CHAIN = GraphConfig(
    inputs={"in": int},
    nodes=[
        Node(PassThrough(), inputs="in", outputs="a", name='first "<&>\n'),
        Node(PassThrough(), inputs="a", outputs="b", name="zweiter ä"),
    ],
)


def run(path: Path, packets: int = 5, **options: object) -> None:
    with Graph(CHAIN, trace=path, **options) as graph:
        for timestamp in range(packets):
            graph.add("in", timestamp, timestamp)


def test_a_trace_is_json_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    run(path)
    events = json.loads(path.read_bytes())
    assert {event["ph"] for event in events} == {"M", "X", "s", "f", "C"}
    (first, *_) = [e for e in events if e["ph"] == "X" and e["cat"] == "process"]
    assert first["name"] == 'first "<&>\n'
    assert first["args"]["t"] == 0
    assert first["dur"] > 0
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert starts.keys() == ends.keys()
    assert len(starts) == 10
    # An arrow begins within a slice of its thread.
    slices = [e for e in events if e["ph"] == "X" and e["pid"] == 1]
    for start in starts.values():
        assert any(
            one["tid"] == start["tid"] and one["ts"] <= start["ts"] <= one["ts"] + one["dur"]
            for one in slices
        )


def test_a_trace_that_was_read_is_the_same_trace_when_written(tmp_path: Path) -> None:
    run(tmp_path / "trace.json", threads=2)
    trace = read_trace(tmp_path / "trace.json")
    assert [node.name for node in trace.graph.nodes] == ['first "<&>\n', "zweiter ä"]
    assert sum(call.method == "process" for call in trace.calls) == 10
    assert len(trace.arrows) == 10
    trace.write_json(tmp_path / "again.json")
    assert read_trace(tmp_path / "again.json") == trace
    json.loads((tmp_path / "again.json").read_bytes())


def test_special_timestamps_have_their_names(tmp_path: Path) -> None:
    with Graph(CHAIN, trace=tmp_path / "t.json") as graph:
        graph.add("in", 1, Timestamp.PRE_STREAM)
    trace = read_trace(tmp_path / "t.json")
    assert {call.timestamp for call in trace.calls} == {"Unstarted", "PreStream", "Done"}


@pytest.mark.parametrize("in_memory", [True, False])
def test_threads_have_their_names(tmp_path: Path, in_memory: bool) -> None:
    path = tmp_path / "t.json"
    tracer = MemoryTracer() if in_memory else FileTracer(path, flush_s=3600)
    with Graph(CHAIN, trace=tracer, threads=1) as graph:
        graph.add("in", 1, 0)
    trace = tracer.trace() if in_memory else read_trace(path)
    assert {call.thread for call in trace.calls} == {"MainThread", "handheld-graph-0"}


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "trace.json"
    run(path, packets=200)
    whole = read_trace(path)
    text = path.read_bytes()
    path.write_bytes(text[: int(len(text) * cut)])
    part = read_trace(path)
    assert 0 < len(part.lines) < len(whole.lines)
    assert part.lines == whole.lines[: len(part.lines)]
    assert [node.name for node in part.graph.nodes] == [node.name for node in whole.graph.nodes]


def test_every_cut_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    run(path, packets=2)
    text = path.read_bytes()
    for length in range(1, len(text)):
        path.write_bytes(text[:length])
        read_trace(path)


KILLED = """
import os, sys, time
from handheld.graph import Graph, GraphConfig, Node, PassThrough
nodes = [Node(PassThrough(), inputs="in", outputs="out", name="work")]
with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=sys.argv[1]) as graph:
    reader = graph.output("out")
    for timestamp in range(10**9):
        graph.add("in", timestamp, timestamp)
        next(reader)
"""


def test_a_killed_process_leaves_what_was_flushed(tmp_path: Path, until) -> None:
    path = tmp_path / "trace.json"
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), path])
    try:
        until(lambda: path.exists() and path.stat().st_size > 1_000_000)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    trace = read_trace(path)
    work = [call for call in trace.calls if call.node == "work" and call.method == "process"]
    assert len(work) > 1000
    # None is missing between the first and the last.
    assert [call.timestamp for call in work] == list(range(len(work)))
    trace.write_page(tmp_path / "page.html")


def test_what_comes_faster_than_it_is_written_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = FileTracer(tmp_path / "t.json", flush_s=3600, max_pending=10)
    with Graph(CHAIN, trace=tracer) as graph:
        for timestamp in range(100):
            graph.add("in", timestamp, timestamp)
    trace = read_trace(tmp_path / "t.json")
    written = sum(call.method in ("process", "close") for call in trace.calls)
    assert written < 20
    assert trace.lost + written == 202


def test_counts_are_written_while_the_graph_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until
) -> None:
    monkeypatch.setattr(background, "_DESCRIBED_EVERY_S", 0.0)
    path = tmp_path / "t.json"
    keep = Node(Call(lambda c: c.drop()), inputs="in", name="drops")
    config = GraphConfig(inputs={"in": int}, nodes=[keep])
    with Graph(config, trace=FileTracer(path, flush_s=0.01)) as graph:
        graph.add("in", 1, 0)
        until(lambda: read_trace(path).graph.nodes[0].drops == 1)
        assert not path.read_text().rstrip().endswith("]")


def test_a_path_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match="the trace cannot be written"),
        Graph(CHAIN, trace=tmp_path / "no" / "folder.json"),
    ):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_disk_that_is_full_from_the_start_is_told_before_anything_runs() -> None:
    with (
        pytest.raises(FileError, match=r"the trace cannot be written.*No space left"),
        Graph(CHAIN, trace="/dev/full"),
    ):
        pass


class FullDisk:
    """A sink that fails after the first records."""

    def take(self, records: object) -> None:
        raise OSError("no space left")

    def describe(self) -> None:
        pass

    def close(self) -> None:
        pass


class FullTracer(background.BackgroundTracer):
    def open_sink(self, describe: object) -> FullDisk:
        return FullDisk()


def test_a_full_disk_ends_the_trace_and_not_the_graph(caplog: pytest.LogCaptureFixture) -> None:
    config = GraphConfig(
        inputs={"in": int}, nodes=[Node(Keep(lambda n: True), inputs="in", outputs="out")]
    )
    with (
        caplog.at_level(logging.ERROR),
        Graph(config, trace=FullTracer(flush_s=0.001)) as graph,
    ):
        reader = graph.output("out")
        for timestamp in range(50):
            graph.add("in", timestamp, timestamp)
        assert len(reader.drain()) == 50
    assert [record.getMessage() for record in caplog.records] == [
        "the trace ends here; the graph goes on"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "begins with '\\['"),
        (b'{"traceEvents": []}', "begins with '\\['"),
        (b'[\n{"ph":"X"},\n{"ph":"X"}\n]\n', "one of its events is none"),
        (b"[\n1,\n2\n]\n", "one of its events is none"),
        (b'[\n{"ph":"M","name":"handheld_graph","args":{}}\n]', "one of its events is none"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "trace.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_trace(path)


def test_an_empty_trace_is_one(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text("[\n]\n")
    trace: Trace = read_trace(path)
    assert (trace.calls, trace.lost) == ((), 0)
    trace.write_page(tmp_path / "page.html")


@pytest.mark.parametrize("options", [{"flush_s": 0.0}, {"max_pending": 0}])
def test_options_are_checked(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        FileTracer(tmp_path / "t.json", **options)


def test_a_trace_ends_with_its_graph_and_leaves_no_thread(tmp_path: Path) -> None:
    run(tmp_path / "t.json")
    assert not [t for t in threading.enumerate() if t.name == "handheld-trace"]
