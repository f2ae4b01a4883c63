"""The ports of a node's text, as factories of calculators need them."""

from handheld.graph.text.model import NodeText, PortText, canonical_names
from handheld.graph.text.tokens import located


def stream_pairs(node: NodeText, tag: str = "") -> dict[str, str]:
    """Return input port -> output port of the streams of a tag, which go through one by one.

    Args:
        node: with as many outputs of that tag as inputs.
        tag: empty for streams without one.

    Raises:
        GraphTextError: their numbers differ.
    """
    inputs = ports_of(node.inputs, tag)
    outputs = ports_of(node.outputs, tag)
    if inputs != outputs:
        term = f"tagged {tag}" if tag else "without a tag"
        reason = (
            f"{node.title} has {len(inputs)} input streams {term} and {len(outputs)} output streams"
            "; it passes each on to the output of the same number"
        )
        raise located(reason, node.source, node.position)
    return dict(zip(inputs, outputs, strict=True))


def ports_of(ports: tuple[PortText, ...], tag: str) -> list[str]:
    """Return the ports of a tag in the order of their indices, as ``TAG`` and ``TAG:1``."""
    indices: dict[str, int] = {}
    for name, port in zip(canonical_names(ports), ports, strict=True):
        if port.tag == tag:
            indices[name] = (port.index or 0) if tag else int(name)
    return sorted(indices, key=indices.__getitem__)


def ordered_ports(ports: tuple[PortText, ...]) -> list[str]:
    """Return all ports as MediaPipe numbers them: by tag, those without first, then by index."""
    tags = sorted({port.tag for port in ports})
    ordered: list[str] = []
    for tag in tags:
        ordered += ports_of(ports, tag)
    return ordered


def some(node: NodeText, ports: list[str]) -> list[str]:
    """Return ports; raises :class:`GraphTextError` where there are none."""
    if not ports:
        reason = f"{node.title}: expected an input stream"
        raise located(reason, node.source, node.position)
    return ports


def missing_stream(node: NodeText) -> dict[str, str]:
    """Raise :class:`GraphTextError`: there is no stream without a tag."""
    reason = f"{node.title}: expected an input stream without a tag"
    raise located(reason, node.source, node.position)
