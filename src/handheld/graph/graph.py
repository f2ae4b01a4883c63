"""A running graph: feed it, read it, watch it."""

import asyncio
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from operator import index
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self

from handheld.errors import GraphError, GraphStuckError, GraphValidationError, InputError
from handheld.graph._executors import CallingThread, Executor, ThreadPool
from handheld.graph._explain import explain
from handheld.graph._inspect import (
    grow,
    stats,
    tell_unasked,
    tell_unmet,
    unasked_sources,
    why_stuck,
)
from handheld.graph._options import change_option, check_option
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import CLOSED, OPEN, PacketSource, RunNode, Stream
from handheld.graph._suggest import suggestion
from handheld.graph.calculator import Calculator, Context
from handheld.graph.config import GraphConfig
from handheld.graph.contract import Contract
from handheld.graph.executors import NodeExecutor, check_executors
from handheld.graph.explanation import GraphExplanation
from handheld.graph.packet import Packet
from handheld.graph.plan import plan
from handheld.graph.reader import PacketReader
from handheld.graph.record.codecs import Codecs
from handheld.graph.record.recorder import Recorder
from handheld.graph.stats import GraphStats
from handheld.graph.timestamp import Timestamp
from handheld.graph.trace.chrome import tracer_of
from handheld.graph.trace.instrument import TracedScheduler
from handheld.graph.trace.records import Tracer
from handheld.graph.types import full_type_name, runtime_classes, type_name
from handheld.ranges import in_range, one_of, whole_in_range


class Graph:
    """Runs a :class:`GraphConfig`.

    Used as a context manager: entering opens the nodes, leaving finishes and closes them.

    Args:
        config: the graph; checked here, see :func:`~handheld.graph.plan.plan`.
        side: the side packets that the config asks for, by name.
        headers: graph input -> what :meth:`Context.header` tells of it.
        threads: 0 runs every node inside the caller's own calls; n > 0 on a pool of n threads. With
            the default input policy both give the same packets in the same order.
        executors: name -> where the nodes that name it run, see :class:`Node`.
        max_queue_size: packets in an input queue at which the sources above it are held back.
        when_full: what :meth:`add` does while an input is held back: ``"wait"``, or ``"drop"`` the
            packet, which :meth:`stats` counts.
        on_deadlock: where full queues would stop the graph for ever, they ``"grow"``, with a
            :class:`GraphWarning`, or the graph ends with a :class:`GraphStuckError` (``"raise"``).
        on_late: a packet below what is settled on its stream is an ``"error"``, or it is logged,
            counted and left out (``"drop"``).
        clock: seconds, for :meth:`stats`, traces, packets that are added without a timestamp and
            :meth:`Context.now`.
        trace: where to write what every node does and when: a file (Chrome's JSON, which
            ``handheld graph view`` and Perfetto show), or a
            :class:`~handheld.graph.trace.records.Tracer`.

    >>> from handheld.graph import GraphConfig, Node, calculator
    >>> @calculator
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> nodes = [Node(double, inputs="number", outputs="twice")]
    >>> with Graph(GraphConfig(inputs={"number": int}, nodes=nodes)) as graph:
    ...     twice = graph.output("twice")
    ...     graph.add("number", 21, timestamp=0)
    ...     next(twice)
    Packet(payload=42, timestamp=Timestamp(0))
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        config: GraphConfig,
        *,
        side: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        threads: int = 0,
        executors: Mapping[str, NodeExecutor] | None = None,
        max_queue_size: int = 100,
        when_full: Literal["wait", "drop"] = "wait",
        on_deadlock: Literal["grow", "raise"] = "grow",
        on_late: Literal["error", "drop"] = "error",
        clock: Callable[[], float] = time.perf_counter,
        trace: Tracer | str | PathLike[str] | None = None,
    ) -> None:
        whole_in_range("threads", threads, low=0)
        whole_in_range("max_queue_size", max_queue_size, low=1)
        one_of("when_full", when_full, ("wait", "drop"))
        one_of("on_deadlock", on_deadlock, ("grow", "raise"))
        one_of("on_late", on_late, ("error", "drop"))
        graph_plan = plan(config)
        side = side or {}
        executors = executors or {}
        check_executors(executors, graph_plan.nodes)
        _check_side(config, side)
        self.config = config
        # A class of its own where it is traced, so that other graphs do not even ask.
        make: Callable[..., Scheduler] = Scheduler
        if trace is not None:
            make = partial(TracedScheduler, tracer=tracer_of(trace))
        self._scheduler = make(
            graph_plan,
            side,
            max_queue_size=max_queue_size,
            clock=clock,
            drops_late=on_late == "drop",
            grows=on_deadlock == "grow",
            threads=threads,
            executors=executors,
        )
        for name, header in (headers or {}).items():
            self._input(name)
            self._scheduler.streams[name].header = header
        self._when_full: str = when_full
        self._began = clock()
        self._executor = _executor(self._scheduler, threads, executors)
        # What isinstance can tell of a payload: looked up once, since every packet is checked.
        self._classes = {name: runtime_classes(hint) for name, hint in config.inputs.items()}
        self._recorders: list[Recorder] = []
        self._open = False
        self._closing = False
        self._ender: threading.Thread | None = None  # who cancels or closes it, or did
        self._ended = threading.Event()
        # The executor's own will not do: the calling thread has none, and stop() takes a pool's.
        self._claim = threading.Lock()

    def __enter__(self) -> Self:
        if self._open or self._over:
            raise GraphError(
                "a graph runs once; make another Graph of the same config to run it again"
            )
        try:
            self._scheduler.started()
            # Without the lock: no worker runs before the first packet or question.
            self._began = self._scheduler.clock()
            for node in self._scheduler.by_rank.values():
                self._scheduler.open(node)
                self._require_not_cancelled(node)
        except BaseException:
            self.cancel()
            raise
        self._open = True
        _OPEN_GRAPHS.add(self)
        return self

    def _require_not_cancelled(self, node: RunNode) -> None:
        """Raise where the graph was cancelled while this node was opened."""
        if not self._over:
            return
        # It was not open yet when the others were closed.
        if node.opened and node.state != CLOSED:
            self._scheduler.close_stopped(node)
        raise GraphError("the graph was cancelled while its nodes were opened")

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        self.cancel()
        failure = self._scheduler.error
        if failure is not None and failure is not error:
            # The block fails because results are missing: why they are must not be lost.
            error.add_note(f"the graph had failed before: {failure}")

    async def __aenter__(self) -> Self:
        # Opening may take long: others go on meanwhile, here and when it is closed.
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, error_type, error, trace)

    def __del__(self) -> None:
        # A pool's threads hold on to what they work on, so a graph that nobody can reach any more
        # would keep them for ever. getattr, because __init__ may have failed before the attribute.
        if getattr(self, "_open", False) and not self._over:
            if isinstance(self._executor, ThreadPool):
                warnings.warn(
                    "a graph on a pool of threads was never closed: use it as 'with Graph(...)'",
                    ResourceWarning,
                    stacklevel=2,
                )
            self.cancel()

    def add(
        self,
        stream: str,
        payload: Any,
        timestamp: int | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Put a packet on a graph input.

        While a full queue below holds the input back it waits or drops it, see ``when_full``.

        Args:
            stream: the name of a graph input.
            payload: of the input's declared type.
            timestamp: microseconds, larger than that of the packet before; None for a live source:
                the time since the graph was opened, and later than the packet before.
            timeout: seconds to wait for room.

        Raises:
            InputError: there is no such input, or the payload or timestamp is not of its type.
            TimestampError: the timestamp is not allowed or not larger than the one before.
            GraphStuckError: there was no room within ``timeout``.
            CalculatorError: a calculator failed, in this call or before.
        """
        self._add(stream, payload, timestamp, when_full=self._when_full, timeout=timeout)

    def add_all(
        self,
        payloads: Mapping[str, Any],
        timestamp: int | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Put a packet on each of several graph inputs at one timestamp, or on none.

        Args:
            payloads: input -> payload.
            timestamp: as for :meth:`add`, of all of them.
            timeout: as for :meth:`add`.

        Raises:
            As :meth:`add`, and then nothing was added.
        """
        scheduler = self._scheduler
        executor = self._running()
        for name, payload in payloads.items():
            self._input(name)
            self._check_payload(name, payload)
        at = None if timestamp is None else _timestamp(timestamp)
        streams = [scheduler.streams[name] for name in payloads]
        with executor.lock:
            self._raise_error()
            if not self._have_room(payloads, timeout):
                return
            scheduler.now = scheduler.clock()
            packets = self._together(streams, payloads, at)
            for stream, packet in zip(streams, packets, strict=False):
                scheduler.feed(stream, packet)
            self._go_on(executor)

    def _have_room(self, names: Iterable[str], timeout: float | None) -> bool:
        """Wait for room at several graph inputs; return whether there is some at all of them."""
        for name in names:
            source = self._input(name)
            if source.blocked and not self._has_room(source, self._when_full, timeout):
                return False
        return True

    def _together(
        self, streams: Sequence[Stream], payloads: Mapping[str, Any], at: Timestamp | None
    ) -> list[Packet[Any]]:
        """Return packets of one timestamp; none where it is too late for one of the streams."""
        at = self._stamp(streams) if at is None else at
        # Each is asked, so that each counts what was too late for it.
        in_time = [self._scheduler.is_in_time(stream, at) for stream in streams]
        if not all(in_time):
            return []
        return [Packet(payload, at) for payload in payloads.values()]

    def try_add(self, stream: str, payload: Any, timestamp: int | None = None) -> bool:
        """Put a packet on a graph input unless it is held back; return whether it was taken.

        For live sources, which cannot wait.
        """
        return self._add(stream, payload, timestamp, when_full="refuse")

    def _add(
        self,
        name: str,
        payload: Any,
        timestamp: int | None,
        *,
        when_full: str,
        timeout: float | None = None,
    ) -> bool:
        scheduler = self._scheduler
        executor = self._running()
        source = self._input(name)
        self._check_payload(name, payload)
        at = None if timestamp is None else _timestamp(timestamp)
        stream = scheduler.streams[name]
        with executor.lock:
            # An error that a worker met since the last call, before the packet is lost in it.
            if scheduler.error is not None:
                raise scheduler.error
            if source.blocked and not self._has_room(source, when_full, timeout):
                return False
            scheduler.now = scheduler.clock()
            late = stream.late
            packet = Packet(payload, self._stamp([stream]) if at is None else at)
            scheduler.feed(stream, packet)
            self._go_on(executor)
            return stream.late == late

    def _stamp(self, streams: Sequence[Stream]) -> Timestamp:
        """Return the time since the graph was opened, or later where a stream is further."""
        since_open_s = self._scheduler.now - self._began
        if not isfinite(since_open_s):
            raise GraphError(f"the graph's clock says {self._scheduler.now}: give a timestamp")
        since_open = round(since_open_s * 1_000_000)
        return Timestamp(max([since_open, *(stream.bound for stream in streams)]))

    def _go_on(self, executor: Executor) -> None:
        """Handle what was added; the caller holds the lock."""
        scheduler = self._scheduler
        scheduler.settle()
        executor.work()
        if scheduler.error is not None:
            raise scheduler.error

    def _has_room(self, source: PacketSource, when_full: str, timeout: float | None) -> bool:
        """Wait for room at a graph input that is held back; return whether there is some."""
        self._scheduler.forget_readers()
        if not source.blocked:
            return True
        if when_full == "wait":
            self._make_room(source, timeout)
            return True
        source.dropped += when_full == "drop"
        return False

    def _check_payload(self, name: str, payload: Any) -> None:
        classes = self._classes[name]
        if classes and not isinstance(payload, classes):
            raise InputError(
                f"graph input {name!r} takes {type_name(self.config.inputs[name])}, "
                f"got {full_type_name(type(payload))}"
            )

    def _make_room(self, source: PacketSource, timeout: float | None) -> None:
        scheduler = self._scheduler
        start = time.monotonic()
        if self._executor.wait_for(lambda: not source.blocked, room=source, timeout=timeout):
            return
        self._raise_error()
        if scheduler.stopped:
            raise GraphError("the graph was closed while a packet waited for room")
        if timeout is not None and time.monotonic() - start >= timeout:
            raise GraphStuckError(
                f"no room for a packet within {timeout} seconds: {why_stuck(scheduler)}"
            )
        # Nothing could make room: the graph needs this very packet to go on.
        grow(scheduler, scheduler.holding([source]))

    def set_bound(self, stream: str, bound: int) -> None:
        """Promise that no packet below ``bound`` (microseconds) will be added to a graph input."""
        executor = self._running()
        self._input(stream)
        with executor.lock:
            self._scheduler.set_bound(self._scheduler.streams[stream], _timestamp(bound))
            self._go_on(executor)

    def close_input(self, stream: str | None = None) -> None:
        """Promise that nothing more will be added to one graph input, or to any."""
        names = list(self._scheduler.inputs) if stream is None else [stream]
        for name in names:
            self.set_bound(name, Timestamp.DONE)

    def output(self, stream: str, *, timeout: float | None = None) -> "PacketReader":
        """Return an iterator over the packets that any stream carries from now on.

        Args:
            stream: its name.
            timeout: seconds to wait for a packet on a pool of threads; see :class:`PacketReader`.
        """
        executor = self._running()
        self._check_stream(stream)
        with executor.lock:
            self._scheduler.forget_readers()
            edge = self._scheduler.connect(None, "", stream)
        return PacketReader(self._scheduler, executor, edge, timeout=timeout)

    def observe(self, stream: str, callback: Callable[[Packet[Any]], None]) -> None:
        """Call ``callback`` with each packet that any stream carries from now on, in order.

        It runs as a node of its own.
        """
        executor = self._running()
        self._check_stream(stream)
        scheduler = self._scheduler
        with executor.lock:
            number = len(scheduler.by_rank) - len(scheduler.plan.nodes) + 1
            name = f"observer {number} of {stream}"
            observer = _Observer(callback)
            node = scheduler.add_node(name, observer, Context(name, {}, {}, observer.contract))
            scheduler.connect(node, "in", stream)
            node.connect(observer.contract.policy, ["in"])
            scheduler.open(node)

    def record(
        self,
        path: str | os.PathLike[str],
        streams: Sequence[str],
        *,
        codecs: Codecs | None = None,
        flush_s: float = 1.0,
        skips_unknown: bool = False,
    ) -> Recorder:
        """Write what streams carry from now on to a file, until the graph ends.

        Record the graph's inputs to be able to feed them again, see
        :func:`~handheld.graph.record.replay`.

        Args:
            path: of the file; one that is there is replaced.
            streams: their names.
            codecs: for values that are not plain.
            flush_s: seconds between two flushes: so much a process that is killed loses.
            skips_unknown: leave out values that have no codec, rather than raise.

        Raises:
            FileError: the file cannot be written.
            InputError: there is no such stream.
            GraphRecordError: a stream is named twice, or there are too many for a file; later,
                where a value has no codec.
        """
        executor = self._running()
        in_range("flush_s", flush_s, low=0.0)
        for name in streams:
            self._check_stream(name)
        with executor.lock:
            recorder = Recorder(
                path,
                [self._scheduler.streams[name] for name in streams],
                codecs=codecs or Codecs(),
                flush_s=flush_s,
                skips_unknown=skips_unknown,
            )
            self._recorders.append(recorder)
        return recorder

    def wait(self, timeout: float | None = None) -> None:
        """Close the graph inputs and run until every source has ended and every packet is handled.

        Raises :class:`GraphStuckError` if the graph cannot come to its end, or has not within
        ``timeout`` seconds, saying which node waits for what.
        """
        executor = self._running()
        scheduler = self._scheduler
        self.close_input()
        with executor.lock:
            finished = executor.wait_for(lambda: not scheduler.unclosed, timeout=timeout)
            self._raise_error()
            if not finished:
                raise GraphStuckError(f"the graph cannot finish: {why_stuck(scheduler)}")

    def wait_settled(
        self,
        timestamp: int,
        streams: Sequence[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Run until streams will carry nothing more at a timestamp or before: it is done with.

        Whoever joins several outputs by hand knows then that a packet that is not there does not
        come.

        Args:
            timestamp: in microseconds.
            streams: their names; None for the config's outputs, or all where it names none.
            timeout: seconds.

        Raises :class:`GraphStuckError` if they cannot be settled before more input comes, or are
        not within ``timeout``, saying which node waits for what.
        """
        executor = self._running()
        names = self.config.outputs or self._scheduler.streams if streams is None else streams
        for name in names:
            self._check_stream(name)
        waited_for = [self._scheduler.streams[name] for name in names]
        last = _timestamp(timestamp)

        def is_settled() -> bool:
            return all(stream.bound > last for stream in waited_for)

        with executor.lock:
            settled = executor.wait_for(is_settled, timeout=timeout)
            self._raise_error()
            if not settled:
                raise GraphStuckError(
                    f"not settled at timestamp {last}: {why_stuck(self._scheduler)}"
                )

    def close(self) -> None:
        """End the sources, handle what is under way, close every node.

        Sources run while somebody waits, by :meth:`wait` or a reader: to let them come to their own
        end, wait first. Raises what a calculator raised. A :class:`GraphWarning` tells of sources
        that never ran, and of a function that never ran, since the inputs that it needs had no
        timestamp in common.

        Called by one of the graph's own nodes or observers, it ends the inputs and sources and
        returns: the graph cannot wait for the node that waits for it. What is under way is handled
        by whoever leaves the block or calls it next.
        """
        if self._over:
            self.cancel()  # waits for whoever cancels or closes it already
        if self._over or not self._open:
            return
        if self._executor.is_inside():
            with self._executor.lock:
                self._end_sources()
            self.close_input()
            return
        # Else a reset on another thread would open again what this waits for.
        self._closing = True
        try:
            with self._executor.lock:
                self._raise_error()
                unasked = unasked_sources(self._scheduler)
                self._end_sources()
            self.wait()
            tell_unasked(unasked)
            tell_unmet(self._scheduler)
        except GraphError:
            # Cancelled meanwhile, by a node of its own too: it is closed, as was asked for.
            if not self._over or self._scheduler.error is not None:
                raise
        finally:
            self.cancel()

    def _end_sources(self) -> None:
        for node in self._scheduler.source_nodes:
            if node.state == OPEN:
                self._scheduler.retire(node)
            # For one that runs, on another thread: it is retired when its call is over.
            node.context.finished = True

    def cancel(self) -> None:
        """Stop at once: packets under way are lost, nodes are closed.

        Safe to call at any time, on any thread, and twice.
        """
        me = threading.current_thread()
        with self._claim:
            first = self._ender is None
            self._ender = self._ender or me
        if first and self._scheduler.loop.owns(me):
            # A coroutine of the graph's calls: what it runs on cannot wait for its own end.
            self._ender = threading.Thread(target=self._end, name="handheld-graph-end", daemon=True)
            self._ender.start()
        elif first:
            self._end()
        elif me is not self._ender and not self._executor.owns(
            me
        ):  # a node must not wait for its own end
            self._ended.wait()

    def _end(self) -> None:
        self._scheduler.stopped = True
        self._executor.stop()
        # Those nearest to the output first, as everywhere.
        for node in reversed(self._scheduler.by_rank.values()):
            if node.opened and node.state != CLOSED:
                self._scheduler.close_stopped(node)
        self._scheduler.loop.stop()
        for recorder in self._recorders:
            recorder.close()
        self._scheduler.ended()
        self._ended.set()

    def _forked(self) -> None:
        """Be at an end in a fork of the program, which has none of the graph's threads.

        One that runs in its caller's calls alone goes on there, as a copy that is not recorded.
        """
        for recorder in self._recorders:
            recorder.forked()
        if isinstance(self._executor, CallingThread) and not self._scheduler.loop.is_running():
            return
        self._scheduler.forked()
        self._executor.forked()
        self._claim = threading.Lock()
        self._ender = threading.current_thread()
        self._ended = threading.Event()
        self._ended.set()

    def reset(self) -> None:
        """Let the graph start anew: what is under way is lost, after an error it runs again.

        Readers and observers stay, and every timestamp is allowed again. Nodes are closed and
        opened, unless their calculators have a ``reset`` of their own, which keeps what is dear:
        a model that was loaded.

        Raises:
            CalculatorError: a calculator failed to open; the graph is at its end.
            GraphError: the graph is closed, or one of its own nodes is calling.
        """
        self._require_resettable()
        with self._executor.lock:
            self._executor.pause()
            try:
                # Again: it may have been closed while this waited for the nodes that run.
                self._require_resettable()
                self._reset()
            finally:
                self._executor.go_on()

    def _reset(self) -> None:
        for recorder in self._recorders:
            recorder.reset()
        try:
            self._scheduler.reset()
        except GraphError as error:
            self._scheduler.error = error
            raise
        self._began = self._scheduler.clock()

    def _require_resettable(self) -> None:
        if self._over or self._closing or not self._open:
            raise GraphError("only a graph that is open can be reset")

    def set(self, option: str, value: Any, *, at: int | None = None) -> None:
        """Change an option of a node while the graph runs.

        Args:
            option: ``"node.option"``, as in ``"detector.threshold"``; of a function, a keyword-only
                parameter, of a class what its contract lists as ``options``.
            value: of the option's type.
            at: the timestamp from which on the node uses it, in this run (:meth:`reset` forgets
                it); None: from its next call on.

        Raises:
            InputError: there is no such node or option, or the value is of another type.
            GraphError: the graph is not open, or the node handles several timestamps at once.
        """
        executor = self._running()
        name, _, short_name = option.rpartition(".")
        nodes = {node.name: node for node in self._scheduler.by_rank.values()}
        if name not in nodes:
            raise InputError(f"no node {name!r} in this graph{suggestion(name, nodes)}")
        check_option(nodes[name], short_name, value)
        timestamp = None if at is None else _timestamp(at)
        with executor.lock:
            change_option(nodes[name], short_name, value, timestamp)

    def stats(self) -> GraphStats:
        """Return counts, times, queues and waits as of now."""
        with self._executor.lock:
            return stats(self._scheduler)

    def side_packets(self) -> dict[str, Any]:
        """Return what the nodes have set as side packets so far, in this run, by name.

        It may be called at any time, from any thread, and after the end.
        """
        with self._executor.lock:
            sides = dict(self._scheduler.side)
        for name in self.config.side_inputs:
            del sides[name]
        return sides

    def explain(self) -> GraphExplanation:
        """Return for each node whether it runs or for what it waits; printed, it reads as lines.

        It may be called at any time, from any thread, and after the end.
        """
        with self._executor.lock:
            return explain(self._scheduler)

    @property
    def _over(self) -> bool:
        return self._ender is not None

    def _running(self) -> Executor:
        if not self._open and not self._over:
            raise GraphError("the graph is not open: use it as 'with Graph(...) as graph:'")
        if self._over and self._scheduler.error is None:
            raise GraphError("the graph is closed")
        return self._executor

    def _raise_error(self) -> None:
        if self._scheduler.error is not None:
            raise self._scheduler.error

    def _input(self, name: str) -> PacketSource:
        try:
            return self._scheduler.inputs[name]
        except KeyError:
            raise InputError(
                f"{name!r} is no input of this graph{suggestion(name, self._scheduler.inputs)}"
            ) from None

    def _check_stream(self, name: str) -> None:
        if name not in self._scheduler.streams:
            raise InputError(
                f"{name!r} is no stream of this graph{suggestion(name, self._scheduler.streams)}"
            )


# Those that were opened and that somebody still has.
_OPEN_GRAPHS: "weakref.WeakSet[Graph]" = weakref.WeakSet()


def _tell_forked() -> None:
    for graph in list(_OPEN_GRAPHS):
        graph._forked()


if hasattr(os, "register_at_fork"):  # not where there are no forks
    os.register_at_fork(after_in_child=_tell_forked)


class _Observer(Calculator):
    contract = Contract(inputs={"in": object})

    def __init__(self, callback: Callable[[Packet[Any]], None]) -> None:
        self._callback = callback

    def process(self, context: Context) -> Any:
        return self._callback(context.inputs["in"])


def _executor(
    scheduler: Scheduler, threads: int, executors: Mapping[str, NodeExecutor]
) -> Executor:
    """Return what runs the nodes: the calling thread, or a pool where any node has threads."""
    counts = {name: executor.count for name, executor in executors.items()}
    if threads:
        counts = {"": threads, **counts}
    if not counts:
        return CallingThread(scheduler)
    return ThreadPool(scheduler, counts)


def _timestamp(value: int) -> Timestamp:
    try:
        return Timestamp(index(value))
    except TypeError:
        raise InputError(
            f"a timestamp is a whole number of microseconds, got {value!r}; "
            "Timestamp.from_seconds makes one of seconds"
        ) from None


def _check_side(config: GraphConfig, side: Mapping[str, Any]) -> None:
    """Raise where a side packet is missing, too many or of another type than the config says."""
    for name, hint in config.side_inputs.items():
        if name not in side:
            raise GraphValidationError(
                f"side packet {name!r} ({type_name(hint)}) is missing; pass side={{{name!r}: ...}}"
            )
        classes = runtime_classes(hint)
        if classes and not isinstance(side[name], classes):
            raise GraphValidationError(
                f"side packet {name!r} takes {type_name(hint)}, "
                f"got {full_type_name(type(side[name]))}"
            )
    if unknown := side.keys() - config.side_inputs.keys():
        name = min(unknown)
        raise GraphValidationError(f"no side packet {name!r}{suggestion(name, config.side_inputs)}")
