"""How a function becomes the calculator of a node, with the ports that its text connects."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from handheld.graph import Calculator, Context, Contract
from handheld.graph.contract import Ports
from handheld.graph.text import NodeText, OptionReader, PortText, canonical_names
from handheld.graph.text.tokens import located


class Converter(Calculator):
    """Calls a function with the packets of each timestamp that has all of them.

    Args:
        function: takes the payloads of ``inputs`` and ``sides`` in their order, None for what is
            not connected, and returns what goes to the output; with several outputs, a tuple.
            None is not sent.
        contract: of the node, with connected ports alone.
        inputs: ports in the order of the arguments.
        sides: side inputs, behind them.
        opened: gives arguments by name that are made when the graph opens, such as from files.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        contract: Contract,
        *,
        inputs: Iterable[str],
        sides: Iterable[str] = (),
        opened: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.contract = contract
        self._opened = opened
        self._function = function
        self._inputs = tuple(inputs)
        self._connected = tuple(contract.inputs)
        self._sides = tuple(sides)
        self._outputs = tuple(contract.outputs)

    def open(self, context: Context) -> None:
        """Make what the function needs."""
        self._arguments: Mapping[str, Any] = {}
        if self._opened is not None:
            self._arguments = self._opened()

    def process(self, context: Context) -> None:
        """Convert; send nothing where a packet is missing, as MediaPipe's calculators do."""
        packets = context.inputs
        if not all(port in packets for port in self._connected):
            return
        arguments = [packets[p].payload if p in packets else None for p in self._inputs]
        arguments += [context.side.get(port) for port in self._sides]
        results = self._function(*arguments, **self._arguments)
        if len(self._outputs) == 1:
            results = (results,)
        for port, payload in zip(self._outputs, results, strict=True):
            if payload is not None:
                context.send(port, payload)


def converter(  # noqa: PLR0913  # one argument for each sort of port
    node: NodeText,
    function: Callable[..., Any],
    *,
    inputs: Ports,
    outputs: Ports,
    optional: Ports | None = None,
    sides: Ports | None = None,
    optional_sides: Ports | None = None,
    opened: Callable[[], Mapping[str, Any]] | None = None,
) -> Converter:
    """Return a :class:`Converter` of a node.

    Args:
        node: which of the optional ports are connected is in its text.
        function: see :class:`Converter`; its arguments are ``inputs``, ``optional``, ``sides`` and
            ``optional_sides``, in this order.
        inputs: port -> type, of streams that must be connected.
        outputs: port -> type.
        optional: of streams that need not be.
        sides: side inputs that must be connected.
        optional_sides: side inputs that need not be.
        opened: see :class:`Converter`.
    """
    optional = optional or {}
    sides = sides or {}
    optional_sides = optional_sides or {}
    contract = Contract(
        inputs={**inputs, **connected(node.inputs, optional)},
        outputs=outputs,
        side_inputs={**sides, **connected(node.side_inputs, optional_sides)},
    )
    return Converter(
        function,
        contract,
        inputs=[*inputs, *optional],
        sides=[*sides, *optional_sides],
        opened=opened,
    )


def connected(ports: tuple[PortText, ...], declared: Ports) -> dict[str, Any]:
    """Return those ports, with their types, that a node's text connects."""
    names = set(canonical_names(ports))
    return {port: hint for port, hint in declared.items() if port in names}


def one_of(node: NodeText, ports: tuple[PortText, ...], *choices: str) -> str:
    """Return which of several ports is connected.

    Raises:
        GraphTextError: none is, or more than one.
    """
    names = canonical_names(ports)
    chosen = [choice for choice in choices if choice in names]
    if len(chosen) != 1:
        got = ", ".join(chosen) or "none"
        raise wrong(node, f"expected one of {', '.join(choices)} to be connected, got {got}")
    return chosen[0]


def wrong(node: NodeText, reason: str) -> Exception:
    """Return an error about a node, at its position."""
    return located(f"{node.title}: {reason}", node.source, node.position)


class SideCalculator(Calculator):
    """A calculator of side packets alone, set when the graph starts.

    Args:
        function: takes the side inputs by port, returns the side outputs by port.
        inputs: side inputs, port -> type.
        outputs: side outputs.
    """

    def __init__(
        self,
        function: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        *,
        inputs: Ports | None = None,
        outputs: Ports,
    ) -> None:
        self.contract = Contract(side_inputs=inputs or {}, side_outputs=outputs)
        self._function = function

    def packets(self, side: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the side outputs for side inputs, port -> payload."""
        return self._function(side)

    def open(self, context: Context) -> None:
        """Set the side packets."""
        for port, payload in self.packets(context.side).items():
            context.send_side(port, payload)

    def process(self, context: Context) -> None:
        """End at once: there are no streams."""
        context.finish()


def optional_number(options: OptionReader, name: str) -> float | None:
    """Return an option; None where it does not stand, which is not the same as its default."""
    if not options.has(name):
        return None
    return options.number(name)


def flag_or_default(flag: bool | None, default: bool) -> bool:
    """Return what a stream or side packet says, or else what the options say."""
    if flag is None:
        return default
    return flag
