"""What the commands of graphs read and write: packets by the suffixes of files, and registries.

Rooms bring readers of their own here: a suffix and the function that reads such files, as
``module:function``, which is imported where it is needed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handheld.files import LineWriter
    from handheld.graph import Packet
    from handheld.graph.text import Registry

PacketSource = Callable[[Path], Iterable["Packet[Any]"]]

READERS: Mapping[str, str] = {
    ".jsonl": "handheld.graph.text:read_packets",
}
"""Suffix -> function that yields the packets of a file, in the order of their timestamps."""

REGISTRIES: Sequence[str] = ("handheld.graph.text:LIBRARY",)
"""Registries of calculators that graphs from files may name; of two, the later has the last word.
"""


def packets_of(path: Path) -> Iterator["Packet[Any]"]:
    """Yield the packets of a file, by its suffix. Raises :class:`InputError`."""
    from handheld.errors import InputError

    suffix = path.suffix.lower()
    if suffix not in READERS:
        expected = ", ".join(sorted(READERS))
        raise InputError(f"{path}: expected a file that ends in {expected}")
    reader: PacketSource = _imported(READERS[suffix])
    yield from reader(path)


def registry_of(factories: Sequence[str], subgraphs: Sequence[Path]) -> "Registry":
    """Return the calculators and subgraphs that a command knows.

    Args:
        factories: ``package.module:function`` of functions that return a registry.
        subgraphs: files of graphs that others name by their types.

    Raises:
        InputError: there is no such function, or it returns no registry.
        GraphTextError: a file cannot be read or has no type.
    """
    from handheld.config import factory
    from handheld.errors import InputError
    from handheld.graph.text import Registry

    registry = Registry()
    for name in REGISTRIES:
        registry |= _imported(name)
    for name in factories:
        more = factory(name, Path())()
        if not isinstance(more, Registry):
            raise InputError(f"{name}: expected a function that returns a Registry, got {more!r}")
        registry |= more
    return registry.with_subgraphs(*subgraphs)


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def pairs_of(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Return name -> value of options such as ``--side name=value``. Raises :class:`InputError`."""
    from handheld.errors import InputError

    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{option}: expected name=value, got {text!r}")
        if name in pairs:
            raise InputError(f"{option}: {name} stands twice")
        pairs[name] = value
    return pairs


def side_value(text: str) -> Any:
    """Return what a side packet is by a word of the command line: JSON, or else the word."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def open_outputs(stack: ExitStack, outputs: Mapping[str, str]) -> dict[str, "LineWriter"]:
    """Open a file for each output stream, until a stack is closed."""
    from handheld.files import open_lines

    return {name: stack.enter_context(open_lines(path)) for name, path in outputs.items()}
