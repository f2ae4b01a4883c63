"""The switch: one of several calculators or subgraphs at a time gets the packets."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.config import GraphConfig, Node
from handheld.graph.contract import Contract, Ports
from handheld.graph.packet import Packet
from handheld.graph.policies import ImmediatePolicy
from handheld.graph.timestamp import Timestamp
from handheld.ranges import whole_in_range

Control = Literal["select", "enable"]

_TYPES: Mapping[str, type] = {"select": int, "enable": bool}

_SELECTED = "selected"
"""Output of a demultiplexer that does not wait for its control: the channel, at each change."""

_SELECTED_STREAM = "c__selected"


class _Channels:
    """Which channel is selected at each timestamp, as far as that is known.

    Args:
        count: of channels.
        first: the channel before the first change.
    """

    def __init__(self, count: int, first: int) -> None:
        self._count = count
        # Before all timestamps, so that each has a change at or before it.
        self._times = [int(Timestamp.UNSET)]
        self._channels = [self._checked(first)]

    def change(self, timestamp: int, selected: int) -> None:
        """Select a channel from a timestamp on, later than all before."""
        channel = self._checked(int(selected))
        if channel != self._channels[-1]:
            self._times.append(timestamp)
            self._channels.append(channel)

    def at(self, timestamp: int) -> int:
        """Return the channel at a timestamp."""
        return self._channels[bisect_right(self._times, timestamp) - 1]

    def until(self, timestamp: int) -> int:
        """Return the time of the first change behind a timestamp; ``DONE`` if there is none."""
        index = bisect_right(self._times, timestamp)
        if index == len(self._times):
            return int(Timestamp.DONE)
        return self._times[index]

    def changes(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the time and the channel of each change from ``start`` to before ``end``.

        Of several at one time, the last.
        """
        changed: dict[int, int] = {}
        for index in range(bisect_left(self._times, start), bisect_left(self._times, end)):
            changed[self._times[index]] = self._channels[index]
        return list(changed.items())

    def forget(self, bound: int) -> None:
        """Forget what is only of interest below a timestamp."""
        # The last change at or below it stays: it still says what is selected there.
        index = bisect_right(self._times, bound) - 1
        del self._times[: max(0, index)]
        del self._channels[: max(0, index)]

    def _checked(self, channel: int) -> int:
        if not 0 <= channel < self._count:
            raise InputError(f"expected a channel of 0 to {self._count - 1}, got {channel}")
        return channel


def _control_ports(control: Control | None) -> dict[str, Any]:
    if control is None:
        return {}
    return {control: _TYPES[control]}


class _Switch(Calculator):
    """What both ends of a switch have in common: they follow the control.

    Both take packets as they come and wait for what they need, stream by stream, so that the result
    is that of the timestamps alone.
    """

    def __init__(
        self,
        channels: int,
        *,
        control: Control | None,
        side_control: Control | None,
        initial: int,
    ) -> None:
        whole_in_range("channels", channels, low=1)
        whole_in_range("initial", initial, low=0, high=channels - 1)
        self._count = channels
        self._control = control
        self._side_control = side_control
        self._initial = initial

    def _contract(
        self, inputs: Ports, outputs: Ports, side_inputs: Ports, side_outputs: Ports
    ) -> Contract:
        control = _control_ports(self._control)
        side_control = _control_ports(self._side_control)
        return Contract(
            inputs={**control, **inputs},
            outputs=outputs,
            side_inputs={**side_control, **side_inputs},
            side_outputs=side_outputs,
            # Choices differ in what they have: a port of one may be missing in another.
            optional=frozenset(inputs) | frozenset(side_inputs),
            # One stream must not wait for another, whose channel may not even be selected.
            policy=ImmediatePolicy(),
            # What waits for the control is sent later, at its own timestamp.
            timestamp_offset=None,
            # A settled control decides about packets that came before it.
            process_bounds=True,
        )

    def _start(self, context: Context, ports: Sequence[str]) -> None:
        first = self._initial
        if self._side_control is not None:
            first = int(context.side[self._side_control])
        self._channels = _Channels(self._count, first)
        self._queues: dict[str, deque[Packet[Any]]] = {port: deque() for port in ports}

    def _take(self, context: Context) -> int:
        """Keep what came; return the bound below which it is known which channel is selected."""
        for port, queue in self._queues.items():
            if port in context.inputs:
                queue.append(context.inputs[port])
        # Without one, the first channel stays selected: all is known.
        if self._control is None:
            return int(Timestamp.DONE)
        if self._control in context.inputs:
            self._channels.change(self._change_time(context), context.get(self._control))
        return int(context.bound(self._control))

    def _change_time(self, context: Context) -> int:
        """Return from when on what the control says counts."""
        return context.timestamp

    def _bound(self, context: Context, port: str) -> int:
        """Return the timestamp of the first packet that waits, or below which none comes."""
        if self._queues[port]:
            return self._queues[port][0].timestamp
        return int(context.bound(port))


class SwitchDemux(_Switch):
    """Sends the packets of each input to one of several channels: ``x`` to ``c0__x``, ``c1__x``...

    The input ``select`` (a number) or ``enable`` (``True`` for channel 1, ``False`` for channel 0)
    says which, from its timestamp on; so can a side input of that name for the beginning. Channels
    that are not selected get no packets, but are settled. Side inputs go to all channels. What
    comes waits until the control is settled at its timestamp.
    Source: ``mediapipe/framework/tool/switch_demux_calculator.cc``.

    Args:
        channels: number of channels, 1 or more.
        inputs: names of the input ports.
        sides: names of the side inputs.
        control: the input that selects; None for none.
        side_control: the side input that selects the first channel; None for ``initial``.
        initial: channel before the first packet on ``control``.
        async_selection: go by what the control has said so far, rather than wait for it. Which
            channel that was, the output ``selected`` tells: a :class:`SwitchMux` whose control is
            that misses nothing.
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        channels: int,
        inputs: Sequence[str],
        *,
        sides: Sequence[str] = (),
        control: Control | None = "select",
        side_control: Control | None = None,
        initial: int = 0,
        async_selection: bool = False,
    ) -> None:
        super().__init__(channels, control=control, side_control=side_control, initial=initial)
        # Without a stream that selects there is nothing to wait for.
        self._async_selection = async_selection and control is not None
        self._inputs = tuple(inputs)
        self._sides = tuple(sides)
        selected: dict[str, Any] = {_SELECTED: int} if self._async_selection else {}
        self.contract = self._contract(
            inputs=dict.fromkeys(self._inputs, object),
            outputs={**dict.fromkeys(channel_ports(self._inputs, channels), object), **selected},
            side_inputs=dict.fromkeys(self._sides, object),
            side_outputs=dict.fromkeys(channel_ports(self._sides, channels), object),
        )

    def open(self, context: Context) -> None:
        """Start with the first channel; side packets and headers go to all."""
        self._start(context, self._inputs)
        self._decided = int(Timestamp.PRE_STREAM)  # below it, nothing changes any more
        for channel in range(self._count):
            for port in self._inputs:
                header = context.header(port)
                if header is not None:
                    context.set_header(channel_port(port, channel), header)
            for side in self._sides:
                if side in context.side:
                    context.send_side(channel_port(side, channel), context.side[side])

    def process(self, context: Context) -> None:
        """Send what is decided."""
        if not self.contract.inputs:
            context.finish()
            return
        known = self._take(context)
        if self._async_selection:
            known = int(Timestamp.DONE)
        sent = self._decided
        for port, queue in self._queues.items():
            while queue and queue[0].timestamp < known:
                packet = queue.popleft()
                output = channel_port(port, self._channels.at(packet.timestamp))
                context.send(output, packet.payload, packet.timestamp)
                sent = max(sent, 1 + packet.timestamp)
            bound = self._bound(context, port)
            # Of the other channels too: nodes behind them must not wait for what never comes.
            for channel in range(self._count):
                context.advance(channel_port(port, channel), bound)
        settled = min([self._bound(context, port) for port in self._queues], default=known)
        if self._async_selection:
            self._tell(context, max(sent, settled))
        self._channels.forget(settled)

    def _change_time(self, context: Context) -> int:
        # Where it was decided already, the change comes too late.
        if self._async_selection:
            return max(self._decided, context.timestamp)
        return context.timestamp

    def _tell(self, context: Context, decided: int) -> None:
        """Send which channel was selected up to a timestamp, on ``selected``."""
        for timestamp, channel in self._channels.changes(self._decided, decided):
            context.send(_SELECTED, channel, timestamp)
        context.advance(_SELECTED, decided)
        self._decided = decided


class SwitchMux(_Switch):
    """Sends on each output what the selected channel has: ``c0__x``, ``c1__x``, ... on ``x``.

    Which channel that is at a timestamp, the same controls say as of :class:`SwitchDemux`. It waits
    for the selected channel alone. What comes from others is counted as dropped. Side outputs are
    those of the channel that is selected first.
    Source: ``mediapipe/framework/tool/switch_mux_calculator.cc``.

    Args:
        channels: number of channels, 1 or more.
        outputs: names of the output ports.
        sides: names of the side outputs.
        control: the input that selects; None for none.
        side_control: the side input that selects the first channel; None for ``initial``.
        initial: channel before the first packet on ``control``.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        *,
        sides: Sequence[str] = (),
        control: Control | None = "select",
        side_control: Control | None = None,
        initial: int = 0,
    ) -> None:
        super().__init__(channels, control=control, side_control=side_control, initial=initial)
        self._outputs = tuple(outputs)
        self._sides = tuple(sides)
        self.contract = self._contract(
            inputs=dict.fromkeys(channel_ports(self._outputs, channels), object),
            outputs=dict.fromkeys(self._outputs, object),
            side_inputs=dict.fromkeys(channel_ports(self._sides, channels), object),
            side_outputs=dict.fromkeys(self._sides, object),
        )

    def open(self, context: Context) -> None:
        """Start with the first channel, and hand its side packets and headers on."""
        self._start(context, channel_ports(self._outputs, self._count))
        self._sent = dict.fromkeys(self._outputs, int(Timestamp.PRE_STREAM))  # output -> bound
        # Headers and side packets are sent once, before any change of the control.
        first = self._channels.at(Timestamp.PRE_STREAM)
        for port in self._outputs:
            header = context.header(channel_port(port, first))
            if header is not None:
                context.set_header(port, header)
        for side in self._sides:
            name = channel_port(side, first)
            if name in context.side:
                context.send_side(side, context.side[name])

    def process(self, context: Context) -> None:
        """Send what is decided."""
        if not self.contract.inputs:
            context.finish()
            return
        known = self._take(context)
        for output in self._outputs:
            self._send(context, output, known)
        self._channels.forget(min(self._sent.values(), default=known))

    def _send(self, context: Context, output: str, known: int) -> None:
        """Send all up to where a channel, or the control, is not settled."""
        bound = self._sent[output]
        while bound < known:
            # As long as one channel stays selected.
            end = min(self._channels.until(bound), known)
            port = channel_port(output, self._channels.at(bound))
            queue = self._queues[port]
            self._drop_below(context, queue, bound)
            while queue and queue[0].timestamp < end:
                packet = queue.popleft()
                context.send(output, packet.payload, packet.timestamp)
            settled = self._bound(context, port)
            bound = max(bound, min(end, settled))
            # The selected channel may still send here, whatever later ones have.
            if bound < end:
                break
        self._sent[output] = bound
        context.advance(output, bound)
        for channel in range(self._count):
            self._drop_below(context, self._queues[channel_port(output, channel)], bound)

    def _drop_below(self, context: Context, queue: deque[Packet[Any]], bound: int) -> None:
        while queue and queue[0].timestamp < bound:
            queue.popleft()
            context.drop()


def channel_port(port: str, channel: int) -> str:
    """Return the port of a channel, as ``c1__image`` of ``image``."""
    return f"c{channel}__{port}"


def channel_ports(ports: Sequence[str], channels: int) -> list[str]:
    """Return the ports of all channels, one channel after the other."""
    names: list[str] = []
    for channel in range(channels):
        names += [channel_port(port, channel) for port in ports]
    return names


def switch_container(  # noqa: PLR0913  # options by keyword, each by itself
    choices: Sequence[Calculator | GraphConfig],
    *,
    control: Control = "select",
    by_side: bool = False,
    initial: int = 0,
    async_selection: bool = False,
    without: Collection[str] = (),
    name: str = "switch",
) -> GraphConfig:
    """Return a graph of which one of several calculators or subgraphs at a time gets the packets.

    As a subgraph in a :class:`~handheld.graph.Node` it has the ports of its choices, those of one
    name together, and the control: an input ``select`` (the number of a choice) or ``enable``
    (``True`` for choice 1). What a timestamp has goes to the choice that is selected there, and the
    outputs have what that one made of it, whatever the others are slow at. All choices are opened.
    Source: ``mediapipe/framework/tool/switch_container.cc``.

    >>> from handheld.graph import Graph, calculator
    >>> @calculator
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> @calculator
    ... def negate(number: int) -> int:
    ...     return -number
    >>> with Graph(switch_container([double, negate])) as graph:
    ...     out = graph.output("out")
    ...     graph.add("select", 1, timestamp=0)
    ...     graph.add("number", 21, timestamp=0)
    ...     next(out).payload
    -21

    Args:
        choices: at least one.
        control: its kind.
        by_side: the control is a side input, the same for all timestamps.
        initial: number of the choice before the first packet of the control.
        async_selection: what comes goes at once to the choice that was selected last, rather than
            wait until the control is settled there: for a control that is silent as long as nothing
            changes. From when on a change counts then depends on the run.
        without: inputs and side inputs that choices can do without, and that the switch does not
            have.
        name: of the graph.

    Raises:
        InputError: there is no choice, or ``initial`` is the number of none.
    """
    whole_in_range("number of choices", len(choices), low=1)
    ports = [_ports(choice, without) for choice in choices]
    inputs = _joined([entry.inputs for entry in ports])
    outputs = _joined([entry.outputs for entry in ports])
    side_inputs = _joined([entry.side_inputs for entry in ports])
    side_outputs = _joined([entry.side_outputs for entry in ports])
    stream_control: Control | None = control
    side_control: Control | None = None
    if by_side:
        stream_control = None
        side_control = control
    demux = SwitchDemux(
        len(choices),
        list(inputs),
        sides=list(side_inputs),
        control=stream_control,
        side_control=side_control,
        initial=initial,
        async_selection=async_selection,
    )
    follows_demux = _SELECTED in demux.contract.outputs
    mux = SwitchMux(
        len(choices),
        list(outputs),
        sides=list(side_outputs),
        control="select" if follows_demux else stream_control,
        side_control=side_control,
        initial=initial,
    )
    # Streams inside are called after the ports that they connect: c0__image, c1__image, ...
    nodes = [_node(demux, "demux", outputs={_SELECTED: _SELECTED_STREAM})]
    for channel, (choice, contract) in enumerate(zip(choices, ports, strict=True)):
        nodes.append(
            Node(
                choice,
                inputs=_to_channel(contract.inputs, channel),
                outputs=_to_channel(contract.outputs, channel),
                side_inputs=_to_channel(contract.side_inputs, channel),
                side_outputs=_to_channel(contract.side_outputs, channel),
                name=f"choice_{channel}",
            )
        )
    # Not the control itself, which may come to it earlier or later than to the first node.
    renamed = {"select": _SELECTED_STREAM} if follows_demux else {}
    nodes.append(_node(mux, "mux", inputs=renamed))
    return GraphConfig(
        inputs={**_control_ports(stream_control), **inputs},
        outputs=list(outputs),
        side_inputs={**_control_ports(side_control), **side_inputs},
        side_outputs=list(side_outputs),
        nodes=nodes,
        name=name,
    )


def _ports(choice: Calculator | GraphConfig, without: Collection[str]) -> Contract:
    if isinstance(choice, Calculator):
        ports = choice.contract
    else:
        ports = Contract(
            inputs=choice.inputs,
            outputs=dict.fromkeys(choice.outputs, object),
            side_inputs=choice.side_inputs,
            side_outputs=dict.fromkeys(choice.side_outputs, object),
        )
    return Contract(
        inputs=_without(ports.inputs, without),
        outputs=ports.outputs,
        side_inputs=_without(ports.side_inputs, without),
        side_outputs=ports.side_outputs,
    )


def _without(ports: Ports, names: Collection[str]) -> dict[str, Any]:
    return {port: hint for port, hint in ports.items() if port not in names}


def _joined(ports: Sequence[Ports]) -> dict[str, Any]:
    """Return the ports of all, each with the type that the first says."""
    joined: dict[str, Any] = {}
    for entry in ports:
        # The earlier ones behind, where they have the last word.
        joined = {**entry, **joined}
    return joined


def _to_channel(ports: Ports, channel: int) -> dict[str, str]:
    return {port: channel_port(port, channel) for port in ports}


def _node(
    switch: Calculator,
    name: str,
    *,
    inputs: Mapping[str, str] = MappingProxyType({}),
    outputs: Mapping[str, str] = MappingProxyType({}),
) -> Node:
    """Return a node of which each port is connected to the stream of its name, or to another."""
    contract = switch.contract
    return Node(
        switch,
        inputs={port: inputs.get(port, port) for port in contract.inputs},
        outputs={port: outputs.get(port, port) for port in contract.outputs},
        side_inputs={port: port for port in contract.side_inputs},
        side_outputs={port: port for port in contract.side_outputs},
        name=name,
    )
