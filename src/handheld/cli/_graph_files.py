"""What the commands of graphs read and write: packets by the suffixes of files, and registries.

Rooms bring readers of their own here: a suffix and the function that reads such files, as
``module:function``, which is imported where it is needed.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handheld.files import LineWriter
    from handheld.graph import Packet
    from handheld.graph.text import GraphText, Registry

PacketSource = Callable[[Path], Iterable["Packet[Any]"]]

_FILMS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm", ".jpg", ".jpeg", ".png", ".webp")

READERS: Mapping[str, str] = {
    ".jsonl": "handheld.graph.text:read_packets",
    **dict.fromkeys(_FILMS, "handheld.cli._graph_files:read_pictures"),
}
"""Suffix -> function that yields the packets of a file, in the order of their timestamps."""

REGISTRIES: Sequence[str] = (
    "handheld.hands.mediapipe:MEDIAPIPE_CALCULATORS",
    "handheld.graph.text:LIBRARY",
)
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


def read_pictures(path: Path) -> Iterator["Packet[Any]"]:
    """Yield the pictures of a film, or the one of a picture's file, as arrays.

    Raises:
        MediaError: it cannot be read.
    """
    from handheld.graph import Packet
    from handheld.media import open_source

    with open_source(path) as source:
        for frame in source:
            yield Packet(frame.image, frame.t_us)


def length_of(path: Path) -> int | None:
    """Return how many packets a file holds, where its head says so; None where it does not."""
    if path.suffix.lower() not in _FILMS:
        return None
    from handheld.media import open_source

    with open_source(path) as source:
        return source.frames


def counted(
    packets: Iterable["Packet[Any]"], total: int | None, show: Callable[[float, str], None]
) -> Iterator["Packet[Any]"]:
    """Yield packets, and show how many of them there were.

    Args:
        packets: any.
        total: how many there are, where it is known.
        show: takes the share of them, 0 to 1, and a text.
    """
    count = 0
    for packet in packets:
        yield packet
        count += 1
        show(min(1.0, count / total) if total else 0.0, f"{count} packets")
    show(1.0, f"{count} packets")


def registry_of(
    factories: Sequence[str], subgraphs: Sequence[Path], *, resources: Path | None = None
) -> "Registry":
    """Return the calculators and subgraphs that a command knows.

    Args:
        factories: ``package.module:function`` of functions that return a registry.
        subgraphs: files of graphs that others name by their types.
        resources: folder with the models and label maps that graphs name; None for MediaPipe's
            hand models.

    Raises:
        InputError: there is no such function, or it returns no registry.
        FileError: there is no such folder.
        GraphTextError: a file cannot be read or has no type.
    """
    from handheld.config import factory
    from handheld.errors import HandheldError, InputError
    from handheld.graph.text import Registry

    registry = Registry()
    for name in REGISTRIES:
        registry |= _imported(name)
    if resources is not None:
        from handheld.hands.mediapipe import FolderFiles, calculators_of_files

        registry |= calculators_of_files(FolderFiles(resources))
    for name in factories:
        make = factory(name, Path())
        try:
            more = make()
        except HandheldError:
            raise
        except Exception as error:  # whatever a user's code raises
            raise InputError(f"{name}: calling it gave {type(error).__name__}: {error}") from error
        if not isinstance(more, Registry):
            raise InputError(f"{name}: expected a function that returns a Registry, got {more!r}")
        registry |= more
    return registry.with_subgraphs(*subgraphs)


def with_folder(registry: "Registry", graphs: Iterable["GraphText"], folder: Path) -> "Registry":
    """Return a registry that knows the subgraphs which graphs need, from the files of a folder.

    Args:
        registry: calculators and subgraphs that are known.
        graphs: that use others by their types.
        folder: whose ``.pbtxt`` files, at any depth, are looked through. Of several files with one
            type, that is meant which is named after it.

    Raises:
        InputError: there is no such folder, or several files have a type and none its name.
    """
    types = _types_in(folder)
    stack = list(graphs)
    while stack:
        graph = stack.pop()
        for node in graph.nodes:
            name = node.calculator
            if registry.resolve(name, graph.package) or name not in types:
                continue
            subgraph = _named_after(name, types[name])
            registry = registry.with_subgraphs(subgraph)
            stack.append(subgraph)
    return registry


def _types_in(folder: Path) -> dict[str, list["GraphText"]]:
    from handheld.errors import GraphTextError, InputError
    from handheld.files import paths_below
    from handheld.graph.text import read_graph_file

    if not folder.is_dir():
        raise InputError(f"--include: {folder} is no folder")
    types: dict[str, list[GraphText]] = {}
    for path in paths_below(folder):
        if path.suffix != ".pbtxt":
            continue
        try:
            graph = read_graph_file(path)
        except GraphTextError:
            continue  # templates and other texts: only those that are named have to be right
        if graph.type:
            types.setdefault(graph.type, []).append(graph)
    return types


def _named_after(name: str, graphs: Sequence["GraphText"]) -> "GraphText":
    from handheld.errors import InputError

    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    matching = [graph for graph in graphs if Path(graph.source).stem == stem]
    chosen = matching or list(graphs)
    if len(chosen) > 1:
        files = ", ".join(graph.source for graph in chosen)
        raise InputError(
            f"--include: several files are of type {name!r}: {files}; name one by --subgraph"
        )
    return chosen[0]


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
