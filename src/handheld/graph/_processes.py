"""Calculators that run in a process of their own."""

import asyncio
import logging
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Mapping
from inspect import iscoroutine
from multiprocessing.connection import Connection
from operator import index
from queue import SimpleQueue
from typing import Any, NamedTuple

from handheld.errors import GraphError, InputError
from handheld.graph.calculator import BOUND, Calculator, Context
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp, bound_after

_log = logging.getLogger(__name__)

# Seconds for a process to end by itself once its calculator is closed.
_END_S = 5.0
# Seconds for the calls under way to end once their graph is cancelled or reset.
_GRACE_S = 5.0


class _Call(NamedTuple):
    """What a process is asked to do: a method of its calculator, and what it sees."""

    method: str
    timestamp: int
    inputs: dict[str, tuple[Any, int]]
    side: dict[str, Any]
    bounds: dict[str, int]  # of the inputs
    headers: dict[str, Any]  # of the inputs
    output_bounds: dict[str, int]  # of the outputs that are connected


class _Setting(NamedTuple):
    """A new value for an option of the calculator."""

    name: str
    value: Any


class _Reply(NamedTuple):
    """What the calculator did: (port, payload, timestamp, whether it is a bound) of each send."""

    sends: list[tuple[str, Any, int, bool]]
    side: list[tuple[str, Any]]
    headers: dict[str, Any]
    drops: int
    skips: int
    finished: bool
    error: Exception | None
    order: int | None  # of a source that says itself which of several is next


class RemoteCalculator(Calculator):
    """A calculator whose code runs in processes; see :class:`ProcessExecutor`.

    Everything that passes between them is pickled, which is safe as both ends are this program.

    Args:
        node: its name, for messages.
        calculator: which is pickled when the graph opens.
        copies: number of processes, each with a copy: so many calls may be under way at once.
    """

    def __init__(self, node: str, calculator: Calculator, *, copies: int) -> None:
        self.contract: Contract = calculator.contract
        self._node = node
        self._calculator = calculator
        self._copies = copies
        self._settings: dict[str, Any] = {}  # options that were set, for processes that start anew
        self._processes: list[_Process] = []
        self._reaper: threading.Timer | None = None  # ends processes that do not answer
        self._order: int | None = None  # what the calculator said of itself as a source

    @property
    def resets_itself(self) -> bool:
        """Whether the calculator has a ``reset`` of its own."""
        return type(self._calculator).reset is not Calculator.reset

    def open(self, context: Context) -> None:
        """Start the processes; what the calculators send in ``open`` is sent once."""
        self._let_live()
        self._processes = []
        self._free: SimpleQueue[_Process] = SimpleQueue()
        try:
            for _ in range(self._copies):
                self._processes.append(_Process(self._node, self._calculator))
            for name, value in self._settings.items():
                self._set(name, value)
            call = _call("open", context)
            replies = [process.ask(call) for process in self._processes]
        except BaseException:
            self._end()
            raise
        for process in self._processes:
            self._free.put(process)
        self._take(replies[0], context)

    def process(self, context: Context) -> None:
        """Ask a process that is free."""
        process = self._free.get()
        try:
            reply = process.ask(_call("process", context))
        finally:
            self._free.put(process)
        self._take(reply, context)

    def source_order(self, context: Context) -> int:
        """Return what the calculator said after its last call."""
        if self._order is None:
            return super().source_order(context)
        return self._order

    def interrupt(self) -> None:
        """End the processes whose calls are not over soon: nobody waits for what they send."""
        self._let_live()
        if not self._processes:
            return
        self._reaper = threading.Timer(_GRACE_S, self._kill_asked)
        self._reaper.daemon = True
        self._reaper.start()

    def forked(self) -> None:
        """Let go of the processes in a copy of the program: they belong to the other one."""
        for process in self._processes:
            process.let_go()
        self._processes = []

    def set_option(self, name: str, value: Any) -> None:
        """Set it in every copy."""
        self._set(name, value)
        self._settings[name] = value

    def reset(self, context: Context) -> None:
        """Reset every copy; those of a process that died, or was left in a call, start anew."""
        self._let_live()
        if not all(process.is_ready() for process in self._processes):
            self._end()
            self.open(context)
            return
        call = _call("reset", context)
        replies = [process.ask(call) for process in self._processes]
        self._take(replies[0], context)

    def close(self, context: Context) -> None:
        """Close every copy, and end the processes."""
        # A call that hung is over by now, and closing may take its time.
        self._let_live()
        try:
            call = _call("close", context)
            replies = [process.ask(call) for process in self._processes]
        finally:
            self._end()
        self._take(replies[0], context)

    def _take(self, reply: _Reply, context: Context) -> None:
        self._order = reply.order
        _replay(reply, context)

    def _set(self, name: str, value: Any) -> None:
        for process in self._processes:
            process.ask(_Setting(name, value))

    def _end(self) -> None:
        for process in self._processes:
            process.end()
        self._processes = []

    def _let_live(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None

    def _kill_asked(self) -> None:
        for process in self._processes:
            if not process.is_ready():
                _log.error("node %r: its call did not end in %g s: killed", self._node, _GRACE_S)
                process.kill()


class _Process:
    """One process with one calculator in it."""

    def __init__(self, node: str, calculator: Calculator) -> None:
        self._node = node
        # Not forked: a copy of a process with threads may hang on a lock that one of them held.
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        try:
            packed = pickle.dumps(calculator)
        # Whatever it holds may refuse in its own way.
        except Exception as error:
            raise InputError(
                f"node {node!r}: its calculator cannot be sent to a process: {error}; define it in "
                "a module, and keep nothing in it that cannot be pickled before open()"
            ) from error
        self._process = spawn.Process(
            target=_serve, args=(theirs, node, packed), daemon=True, name=f"handheld-{node}"
        )
        self._process.start()
        # Else the end of the process would never be seen here.
        theirs.close()
        self._is_asked = False  # and has not answered

    def is_ready(self) -> bool:
        """Whether it lives, and owes no answer to a call that was interrupted."""
        return self._process.is_alive() and not self._is_asked

    def ask(self, call: _Call | _Setting) -> _Reply:
        """Let the calculator work; raises what it raised."""
        try:
            self._pipe.send(call)
            self._is_asked = True
            reply: _Reply = self._pipe.recv()
            self._is_asked = False
        except (EOFError, ConnectionError) as error:
            self._process.join(_END_S)
            raise GraphError(
                f"node {self._node!r}: its process ended with exit code {self._process.exitcode} "
                "in the middle of a call; a script that starts processes needs "
                "'if __name__ == \"__main__\":' around what it runs"
            ) from error
        if reply.error is not None:
            raise reply.error
        return reply

    def kill(self) -> None:
        """End the process at once; who waits for its answer is told."""
        self._process.kill()

    def let_go(self) -> None:
        """Close this end, in a copy of the program: else the process would outlive the other."""
        self._pipe.close()

    def end(self) -> None:
        """End the process; by force where it does not end by itself."""
        self._pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class _RemoteStream:
    """Stands for a stream in the process: its name is that of the port."""

    def __init__(self, port: str, bound: int, header: Any = None) -> None:
        self.port = port
        self.bound = bound
        self.header = header


class _RemoteEdge:
    """Stands for an input queue in the process, whose packets are in the call."""

    queue = ()

    def __init__(self, stream: _RemoteStream) -> None:
        self.stream = stream


def _call(method: str, context: Context) -> _Call:
    contract = context.contract
    return _Call(
        method=method,
        timestamp=int(context.timestamp),
        inputs={port: (packet[0], int(packet[1])) for port, packet in context.inputs.items()},
        side=dict(context.side) if method in ("open", "reset") else {},
        bounds={port: int(context.bound(port)) for port in contract.inputs},
        headers={port: context.header(port) for port in contract.inputs},
        output_bounds=context.connected_outputs(),
    )


def _replay(reply: _Reply, context: Context) -> None:
    """Let a calculator's own context do what was done in the process."""
    for port, header in reply.headers.items():
        context.set_header(port, header)
    for port, payload in reply.side:
        context.send_side(port, payload)
    for port, payload, timestamp, is_bound in reply.sends:
        if is_bound:
            context.advance(port, timestamp)
        else:
            context.send(port, payload, timestamp)
    context.drops += reply.drops
    context.skips += reply.skips
    context.finished |= reply.finished


def _serve(pipe: Connection, node: str, packed: bytes) -> None:
    """Answer calls until the other end is closed; what the process does."""
    # Ctrl-C is for the program, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Of the program that started this process, over its own pipe: nobody else can write there.
    calculator: Calculator = pickle.loads(packed)
    # One loop for all calls: what open() connects is awaited by the next. It starts when needed.
    with asyncio.Runner() as runner:
        _serve_calls(pipe, node, calculator, runner)


def _serve_calls(
    pipe: Connection, node: str, calculator: Calculator, runner: asyncio.Runner
) -> None:
    side: Mapping[str, Any] = {}
    while True:
        try:
            call: _Call | _Setting = pipe.recv()
        except (EOFError, ConnectionError):
            return
        if isinstance(call, _Setting):
            reply = _set(calculator, call)
        else:
            side = call.side or side
            reply = _answer(calculator, node, call, side, runner)
        try:
            pipe.send(reply)
        # An error or a payload that cannot be pickled: say so, rather than end.
        except Exception as problem:
            pipe.send(_failure(GraphError(f"what it sends or raises cannot be pickled: {problem}")))


def _set(calculator: Calculator, setting: _Setting) -> _Reply:
    try:
        calculator.set_option(setting.name, setting.value)
    except Exception as error:
        return _failure(error)
    return _NOTHING


def _answer(
    calculator: Calculator, node: str, call: _Call, side: Mapping[str, Any], runner: asyncio.Runner
) -> _Reply:
    ports: dict[str, _RemoteStream | None] = dict.fromkeys(calculator.contract.outputs)
    for port, bound in call.output_bounds.items():
        ports[port] = _RemoteStream(port, bound)
    context = _context(calculator, node, call, side, ports)
    try:
        result = getattr(calculator, call.method)(context)
        if iscoroutine(result):
            runner.run(result)
        order = _source_order(calculator, context)
    except Exception as error:
        return _failure(error)
    return _reply(context, ports, order)


def _context(
    calculator: Calculator,
    node: str,
    call: _Call,
    side: Mapping[str, Any],
    ports: dict[str, _RemoteStream | None],
) -> Context:
    """Return what the calculator sees in a call."""
    context = Context(node, ports, side, calculator.contract)
    context.timestamp = Timestamp(call.timestamp)
    context.inputs = {
        port: Packet(payload, Timestamp(at)) for port, (payload, at) in call.inputs.items()
    }
    context._edges = {
        port: _RemoteEdge(_RemoteStream(port, bound, call.headers[port]))
        for port, bound in call.bounds.items()
    }
    return context


def _reply(context: Context, ports: dict[str, _RemoteStream | None], order: int | None) -> _Reply:
    """Return what the calculator did in a call."""
    headers = {p: s.header for p, s in ports.items() if s is not None and s.header is not None}
    return _Reply(
        sends=[_send(stream, packet) for stream, packet in context._outbox if stream is not None],
        side=[packet[1] for stream, packet in context._outbox if stream is None],
        headers=headers,
        drops=context.drops,
        skips=context.skips,
        finished=context.finished,
        error=None,
        order=order,
    )


def _source_order(calculator: Calculator, context: Context) -> int | None:
    """Return the turn of a source that says it in its own way, once it has sent what it sent."""
    if type(calculator).source_order is Calculator.source_order:
        return None
    for stream, packet in context._outbox:
        if stream is None:  # a side packet
            continue
        bound = packet.timestamp if packet.payload is BOUND else bound_after(packet.timestamp)
        stream.bound = max(stream.bound, int(bound))
    return index(calculator.source_order(context))


def _send(stream: _RemoteStream, packet: Packet[Any]) -> tuple[str, Any, int, bool]:
    payload, timestamp = packet
    if payload is BOUND:
        return stream.port, None, int(timestamp), True
    return stream.port, payload, int(timestamp), False


_NOTHING = _Reply([], [], {}, 0, 0, finished=False, error=None, order=None)


def _failure(error: Exception) -> _Reply:
    return _NOTHING._replace(error=error)
