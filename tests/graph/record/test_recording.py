# ruff: noqa: PT012  (a graph may raise when its block is left, so the block stands inside)

"""Streams to a file and back, whole and damaged."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from graph_parts import Call, pairs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import recipes

from handheld.errors import CalculatorError, FileError, GraphRecordError, InputError
from handheld.graph import (
    BackEdge,
    Calculator,
    Context,
    Contract,
    Graph,
    GraphConfig,
    Node,
    PassThrough,
    PreviousLoopback,
    Timestamp,
    calculator,
)
from handheld.graph.record import GraphRecording, RecordedBound, RecordedPacket, replay, tape
from handheld.graph.testing import first_difference


class Sum(Calculator):
    contract = Contract(inputs={"a": int, "b": int}, outputs={"out": int})

    def open(self, context: Context) -> None:
        self.sum = 0

    def process(self, context: Context) -> None:
        for packet in context.inputs.values():
            self.sum += packet.payload
        if self.sum > 100:
            raise ValueError(f"too much: {self.sum}")
        context.send("out", self.sum)


SUMS = GraphConfig(
    inputs={"a": int, "b": int},
    outputs=["out"],
    nodes=[Node(Sum(), inputs=["a", "b"], outputs="out")],
)


def events(recording: GraphRecording) -> list[tuple[str, Any, int | None]]:
    """Return (stream, payload, timestamp) of packets and (stream, bound, None) of bounds."""
    rows: list[tuple[str, Any, int | None]] = []
    for event in recording:
        if isinstance(event, RecordedPacket):
            rows.append((event.stream, event.packet.payload, int(event.packet.timestamp)))
        elif isinstance(event, RecordedBound):
            rows.append((event.stream, int(event.bound), None))
    return rows


def record_sums(path: Path, threads: int = 0) -> None:
    with Graph(SUMS, threads=threads, headers={"a": {"rate": 30}}) as graph:
        graph.record(path, ["a", "b", "out"])
        graph.add("a", 1, 0)
        graph.add("b", 2, 0)
        graph.set_bound("b", 50)
        graph.add("a", 3, 40)
        graph.add("b", 4, 60)


@pytest.mark.parametrize("threads", [0, 2])
def test_packets_bounds_and_headers_come_back(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "run.rec"
    record_sums(path, threads)
    recording = GraphRecording(path)
    assert recording.streams == ["a", "b", "out"]
    assert pairs(recording.packets("a")) == [(1, 0), (3, 40)]
    assert pairs(recording.packets("out")) == [(3, 0), (6, 40), (10, 60)]
    rows = [row for row in events(recording) if row[0] == "b"]
    done = int(Timestamp.DONE)
    assert rows == [("b", 2, 0), ("b", 50, None), ("b", 4, 60), ("b", done, None)]
    assert recording.headers == {"a": {"rate": 30}}
    assert recording.damage == ""
    summary = recording.check()["a"]
    assert (summary.packets, summary.first, summary.last) == (2, 0, 40)
    with pytest.raises(GraphRecordError, match="no stream 'c'"):
        recording.packets("c")


@pytest.mark.filterwarnings("ignore::handheld.graph.GraphWarning")
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(recipe=recipes)
def test_what_was_recorded_of_a_random_graph_gives_the_same_again(
    recipe: Any, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.rec", tmp_path / "second.rec"
    config = recipe.config()
    streams = [*config.inputs, *(s for s in config.outputs if not s.startswith(("i", "s")))]
    with Graph(config) as graph:
        graph.record(first, streams)
        times = [0] * recipe.inputs
        for payload, (number, step, only_bound) in enumerate(recipe.feed):
            name = number % recipe.inputs
            times[name] += step
            if only_bound:
                graph.set_bound(f"i{name}", times[name])
            else:
                graph.add(f"i{name}", payload, times[name])
                times[name] += 1
        graph.wait()
    with Graph(recipe.config(), threads=2) as graph:
        graph.record(second, streams)
        replay(graph, GraphRecording(first))
        graph.wait()
    assert first_difference(GraphRecording(first), GraphRecording(second)) == ""


@pytest.mark.parametrize("threads", [0, 2])
def test_a_failure_is_recorded_and_replayed(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "failure.rec"
    with (
        pytest.raises(CalculatorError, match="at timestamp 60: ValueError: too much: 103"),
        Graph(SUMS, threads=threads) as graph,
    ):
        graph.record(path, ["a", "b"])
        for timestamp in range(0, 100, 20):
            graph.add("a", 5, timestamp)
            graph.add("b", 83 if timestamp == 60 else 0, timestamp)
        graph.wait()
    for again in (0, 3):
        with (
            pytest.raises(CalculatorError, match="at timestamp 60: ValueError: too much: 103"),
            Graph(SUMS, threads=again) as graph,
        ):
            replay(graph, GraphRecording(path))
            graph.wait()


def test_a_reset_is_recorded_too(tmp_path: Path) -> None:
    path = tmp_path / "reset.rec"
    with Graph(SUMS) as graph:
        graph.record(path, ["a", "b", "out"], flush_s=0)
        graph.add_all({"a": 1, "b": 2}, 100)
        graph.reset()
        graph.add_all({"a": 3, "b": 4}, 0)
    assert pairs(GraphRecording(path).packets("out")) == [(3, 100), (7, 0)]
    with Graph(SUMS) as graph:
        out = graph.output("out")
        assert replay(graph, GraphRecording(path)) == 4
        assert pairs(out.drain()) == [(7, 0)]  # what came before the reset is lost by it


def test_a_loop_and_streams_inside_are_recorded(tmp_path: Path) -> None:
    @calculator
    def add(value: int, before: int | None) -> int:
        return value + (before or 0)

    nodes = [
        Node(PreviousLoopback(), inputs={"main": "x", "loop": BackEdge("sum")}, outputs="before"),
        Node(add, inputs=["x", "before"], outputs="sum"),
    ]
    path = tmp_path / "loop.rec"
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes)) as graph:
        graph.record(path, ["before", "sum"])
        for timestamp in range(3):
            graph.add("x", 1, timestamp)
    assert pairs(GraphRecording(path).packets("before")) == [(1, 1), (2, 2)]


def test_values_without_a_codec(tmp_path: Path) -> None:
    config = GraphConfig(inputs={"x": object}, nodes=[Node(PassThrough(), inputs="x", outputs="y")])
    with Graph(config) as graph:
        recorder = graph.record(tmp_path / "a.rec", ["x"], skips_unknown=True)
        graph.add("x", {1, 2}, 0)
        graph.add("x", 3, 1)
    assert recorder.skipped == 1
    assert pairs(GraphRecording(tmp_path / "a.rec").packets("x")) == [(3, 1)]
    with Graph(config) as graph:
        graph.record(tmp_path / "b.rec", ["x"])
        with pytest.raises(GraphRecordError, match=r"recording stream 'x': no codec for .*set"):
            graph.add("x", {1, 2}, 0)


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with Graph(SUMS) as graph:
        with pytest.raises(FileError, match="cannot be written"):
            graph.record(tmp_path / "no" / "folder.rec", ["a"])
        with pytest.raises(InputError, match="'c' is no stream"):
            graph.record(tmp_path / "x.rec", ["c"])
        with pytest.raises(InputError, match="flush_s"):
            graph.record(tmp_path / "x.rec", ["a"], flush_s=-1)
        assert not (tmp_path / "x.rec").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_full_disk_ends_the_record_and_not_the_graph(caplog: pytest.LogCaptureFixture) -> None:
    with Graph(SUMS) as graph:
        recorder = graph.record("/dev/full", ["a", "out"], flush_s=0)
        out = graph.output("out")
        graph.add_all({"a": 1, "b": 2}, 0)
        assert next(out).payload == 3
        assert isinstance(recorder.error, OSError)
    assert "the recording ends here" in caplog.text


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_recording import SUMS
from handheld.graph import Graph
with Graph(SUMS) as graph:
    graph.record(sys.argv[1], ["a", "b", "out"], flush_s=0)
    for timestamp in range(1000):
        graph.add_all({{"a": 0, "b": 0}}, timestamp)
        if timestamp == 500:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_leaves_what_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "killed.rec"
    tests = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    script = f"import sys; sys.path += {tests!r}\n" + KILLED.format(tests=tests[0])
    done = subprocess.run([sys.executable, "-c", script, path], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    recording = GraphRecording(path)
    assert len(recording.packets("a")) == 501
    assert "no end" in recording.damage
    with Graph(SUMS) as graph:
        assert replay(graph, recording) == 1002


def test_a_quiet_stream_is_flushed_in_time(tmp_path: Path) -> None:
    path = tmp_path / "quiet.rec"
    with Graph(SUMS) as graph:
        graph.record(path, ["a"], flush_s=0.01)
        graph.add("a", 1, 0)
        for _ in range(1000):
            if GraphRecording(path).packets("a"):
                break
            threading.Event().wait(0.01)
        assert pairs(GraphRecording(path).packets("a")) == [(1, 0)]


def test_a_cut_file_gives_what_is_before_the_cut(tmp_path: Path) -> None:
    whole = tmp_path / "whole.rec"
    record_sums(whole)
    data = whole.read_bytes()
    everything = events(GraphRecording(whole))
    cut = tmp_path / "cut.rec"
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        try:
            recording = GraphRecording(cut)
        except GraphRecordError:
            continue
        rows = events(recording)
        assert rows == everything[: len(rows)]
        assert recording.damage
    assert len(everything) > 8


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_changed_file_is_told_and_never_more_than_an_error(tmp_path: Path, seed: int) -> None:
    whole = tmp_path / "whole.rec"
    if not whole.exists():
        record_sums(whole)
    data = bytearray(whole.read_bytes())
    rng = random.Random(seed)
    at = rng.randrange(len(tape.MAGIC), len(data))
    data[at] ^= 1 << rng.randrange(8)
    changed = tmp_path / "changed.rec"
    changed.write_bytes(data)
    with contextlib.suppress(GraphRecordError):
        recording = GraphRecording(changed)
        list(recording)
        assert recording.damage


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no recording of a graph"),
        (b"\x00" * 100, "no recording of a graph"),
        (tape.MAGIC, "ends before it says"),
        (tape.MAGIC + tape.block(b"[" * 100_000), "no JSON"),
        (tape.MAGIC + tape.block(b"[]"), "no object"),
        (tape.MAGIC + tape.block(b'{"streams": "ab", "codecs": []}'), "names no streams"),
        (tape.MAGIC + tape.block(b'{"streams": ["a", "a"], "codecs": []}'), "twice"),
        (tape.MAGIC + b"\xff\xff\xff\xff\x00\x00\x00\x00", "block of 4294967295 bytes"),
        (tape.MAGIC + b"\xff\xff\xff\x3f\x00\x00\x00\x00", "middle of a block"),
    ],
)
def test_what_is_no_recording_says_so(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(data)
    with pytest.raises(GraphRecordError, match=message):
        GraphRecording(path)


@pytest.mark.parametrize(
    ("entries", "damage"),
    [
        ([(tape.PACKET, 0, 5), (tape.PACKET, 0, 5)], "a packet at 5, where 6 is the earliest"),
        ([(tape.BOUND, 0, 9), (tape.PACKET, 0, 5)], "a packet at 5, where 9 is the earliest"),
        ([(tape.PACKET, 0, -(2**63))], "a packet at Unset"),
        ([(tape.PACKET, 1, 5)], "stream number 1"),
        ([(b"Q", 0, 5)], "an entry b'Q'"),
    ],
)
def test_entries_that_no_stream_can_carry(
    tmp_path: Path, entries: list[tuple[bytes, int, int]], damage: str
) -> None:
    path = tmp_path / "x.rec"
    blocks = [tape.entry_block(mark, stream, at, b"N") for mark, stream, at in entries]
    path.write_bytes(tape.MAGIC + tape.first_block(["a"], []) + b"".join(blocks))
    recording = GraphRecording(path)
    list(recording)
    assert damage in recording.damage


def test_a_recording_of_another_graph_is_refused(tmp_path: Path) -> None:
    record_sums(tmp_path / "a.rec")
    config = GraphConfig(inputs={"x": int}, nodes=[Node(Call(print), inputs="x")])
    with Graph(config) as graph, pytest.raises(GraphRecordError, match="none of the graph's inp"):
        replay(graph, GraphRecording(tmp_path / "a.rec"))
    with pytest.raises(FileError, match="cannot be read"):
        GraphRecording(tmp_path / "b.rec")


def test_readers_and_stats_do_not_see_the_recorder(tmp_path: Path) -> None:
    with Graph(SUMS) as graph:
        graph.record(tmp_path / "a.rec", ["a", "out"])
        assert graph.stats().streams["out"].readers == ()


def test_the_first_difference(tmp_path: Path) -> None:
    record_sums(tmp_path / "a.rec")
    with Graph(SUMS) as graph:
        graph.record(tmp_path / "b.rec", ["a", "b", "out"])
        graph.add_all({"a": 1, "b": 2}, 0)
        graph.add("a", 4, 40)
    first, second = GraphRecording(tmp_path / "a.rec"), GraphRecording(tmp_path / "b.rec")
    assert first_difference(first, second) == "stream 'a', packet 1: 3 at 40 and 4 at 40"
    assert first_difference(first, first) == ""


def test_a_bound_is_recorded_before_the_packets_that_came_after_it(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    with Graph(SUMS) as graph:
        graph.record(path, ["a", "b"])
        graph.add("a", 1, 0)
        graph.set_bound("b", 20)
        graph.add("a", 2, 1)
    end = int(Timestamp.DONE)
    assert events(GraphRecording(path)) == [
        ("a", 1, 0),
        ("b", 20, None),
        ("a", 2, 1),
        ("a", end, None),
        ("b", end, None),
    ]


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        (["a", "a"], "names a stream twice"),
        (["long" * 300], "at most 4096 texts, each of at most 1000 characters"),
        ([f"y{number}" for number in range(4097)], "at most 4096 texts"),
    ],
)
def test_what_no_recording_could_be_read_of_is_not_written(
    streams: list[str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.rec"
    path.write_bytes(b"an older one")
    nodes = [Node(PassThrough(), inputs="x", outputs=name) for name in dict.fromkeys(streams)]
    with Graph(GraphConfig(inputs={"x": int}, nodes=nodes)) as graph:
        with pytest.raises(GraphRecordError, match=message):
            graph.record(path, streams)
        graph.add("x", 1, 0)
    assert path.read_bytes() == b"an older one"
