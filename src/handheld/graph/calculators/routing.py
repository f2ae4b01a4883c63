"""Calculators that join several streams or deal one out, packet by packet."""

from collections.abc import Mapping, Sequence

from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.control import numbered
from handheld.graph.calculators.headers import pass_headers
from handheld.graph.contract import Contract
from handheld.graph.policies import DefaultPolicy, ImmediatePolicy, InputPolicy
from handheld.graph.timestamp import Timestamp, bound_after


class ImmediateMux(Calculator):
    """Sends each packet of any input on ``out`` as it comes, unless a later one went before.

    Those that come too late are counted as dropped; of two at one timestamp the first goes. On
    ``finished`` there is a ``True`` for each packet that came, dropped ones too, at its timestamp
    or, where that is past, at the next one that is free. Which packets are dropped depends on the
    run: use :class:`Mux` where that matters.
    Source: ``mediapipe/calculators/core/immediate_mux_calculator.cc``.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ..., or their names.
        outputs: names of the output ports, of the packets and of what has finished.
        immediate: packets do not wait for those of the other inputs; else the input policy is the
            default one, and nothing comes too late.
        process_timestamp_bounds: a settled timestamp of one input without a packet counts as one
            that went: what comes later below it is dropped.
    """

    def __init__(
        self,
        inputs: int | Sequence[str] = 2,
        *,
        outputs: tuple[str, str] = ("out", "finished"),
        immediate: bool = True,
        process_timestamp_bounds: bool = False,
    ) -> None:
        self._ports = numbered("inputs", inputs, "in")
        self._out, self._finished = outputs
        policy: InputPolicy = DefaultPolicy()
        if immediate:
            policy = ImmediatePolicy()
        self.contract = Contract(
            inputs=dict.fromkeys(self._ports, object),
            outputs={self._out: object, self._finished: bool},
            policy=policy,
            process_bounds=process_timestamp_bounds,
        )

    def open(self, context: Context) -> None:
        """Start with nothing sent."""
        # Kept here rather than asked of the output, which several packets of one call go to.
        self._bound = int(Timestamp.PRE_STREAM)
        self._finished_bound = int(Timestamp.PRE_STREAM)

    def process(self, context: Context) -> None:
        """Send what is not too late."""
        # By the order of the ports: that of context.inputs is up to the input policy.
        for port in self._ports:
            if port in context.inputs:
                self._take(context, port)
        if not context.inputs and context.timestamp < Timestamp.POST_STREAM:
            self._bound = max(self._bound, bound_after(context.timestamp))
            context.advance(self._out, self._bound)

    def _take(self, context: Context, port: str) -> None:
        timestamp = context.timestamp
        if timestamp >= self._bound:
            context.send(self._out, context.get(port))
            self._bound = bound_after(timestamp)
        else:
            context.drop()
        finished = max(timestamp, self._finished_bound)
        if finished <= Timestamp.POST_STREAM:
            context.send(self._finished, True, finished)
            self._finished_bound = bound_after(finished)


class RoundRobinDemux(Calculator):
    """Sends the packets of ``in`` to the outputs in turn, the first to the first.

    ``select`` tells at each timestamp the number of the output, so that a :class:`Mux` behind can
    bring them together again: several nodes share the work of one. The other outputs are settled.
    Source: ``mediapipe/calculators/core/round_robin_demux_calculator.cc``.

    Args:
        outputs: number of output ports, named ``out0``, ``out1``, ..., or their names.
    """

    def __init__(self, outputs: int | Sequence[str] = 2) -> None:
        self._ports = numbered("outputs", outputs, "out")
        self.contract = Contract(
            inputs={"in": object},
            outputs={**dict.fromkeys(self._ports, object), "select": int},
        )

    def open(self, context: Context) -> None:
        """Start with the first."""
        self._next = 0
        for port in self._ports:
            pass_headers(context, {"in": port})

    def process(self, context: Context) -> None:
        """Send to the one whose turn it is."""
        context.send(self._ports[self._next], context.get("in"))
        context.send("select", self._next)
        self._next = (self._next + 1) % len(self._ports)


class PacketInnerJoin(Calculator):
    """Sends the packets of the timestamps at which every input has one.

    The others are counted as dropped. With a
    :class:`~handheld.graph.FixedSizePolicy` on the node it joins live streams.
    Source: ``mediapipe/calculators/core/packet_inner_join_calculator.cc``.

    Args:
        streams: number of streams, from ``in0`` to ``out0``, from ``in1`` to ``out1``, ..., or
            input port -> output port.
    """

    def __init__(self, streams: int | Mapping[str, str] = 2) -> None:
        if isinstance(streams, Mapping):
            self._streams = dict(streams)
        else:
            inputs = numbered("streams", streams, "in")
            outputs = numbered("streams", streams, "out")
            self._streams = dict(zip(inputs, outputs, strict=True))
        self.contract = Contract(
            inputs=dict.fromkeys(self._streams, object),
            outputs=dict.fromkeys(self._streams.values(), object),
        )

    def open(self, context: Context) -> None:
        """Hand the headers on."""
        pass_headers(context, self._streams)

    def process(self, context: Context) -> None:
        """Send all or none."""
        if len(context.inputs) < len(self._streams):
            context.drop(len(context.inputs))
            return
        for port, output in self._streams.items():
            context.send(output, context.get(port))
