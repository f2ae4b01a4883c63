"""The pages of the reference: one that lists every public name by room, and one for each public
module.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import griffe
from public import Public, PublicModule, within
from roles import Names, as_markdown

from handheld._rooms import ROOMS

INDEX = "reference/index.md"


def navigation(public: Public) -> list[Any]:
    """Return the pages as a navigation: rooms, and the modules within."""
    entries: list[Any] = [INDEX]
    for room in sorted(ROOMS):
        modules = public.of_room(room.name)
        pages = [{within(module.path): module.page} for module in modules]
        entries.append({room.name: [modules[0].page, *pages[1:]]} if pages[1:] else pages[0])
    return entries


def pages(public: Public) -> Iterator[tuple[str, str]]:
    """Yield each page: its file and its Markdown."""
    yield INDEX, _index(public)
    for module in public.modules:
        yield module.page, _page(public, module)


def _index(public: Public) -> str:
    """The page that lists every public name by room."""
    lines = [
        "# Reference { #handheld }",
        "",
        "Every public name, by room. `import handheld; handheld.graph.Graph` works without a "
        "further import.",
    ]
    for room in sorted(ROOMS):
        lines += ["", f"## {room.name}", "", f"{room.line[0].upper()}{room.line[1:]}.", ""]
        for module in public.of_room(room.name):
            names = ", ".join(_link(public, module, name) for name in module.names)
            lines.append(f"- [`{module.path}`][{module.path}]" + (f": {names}" if names else ""))
    return "\n".join(lines) + "\n"


def _page(public: Public, module: PublicModule) -> str:
    """The page of a module: what it is for, a table of its names, and each of them."""
    lines = _directive(module.path, heading_level=1, members=False, show_root_full_path=True)
    inner = [other for other in public.modules if other.path.rpartition(".")[0] == module.path]
    if inner:
        lines += ["", "| module | what it is for |", "|---|---|"]
    for other in inner:
        sentence = _first_sentence(public, public.module(other.path))
        lines.append(f"| [`{within(other.path)}`][{other.path}] | {sentence} |")
    if module.names:
        lines += ["", "| name | what it is |", "|---|---|"]
    for name in module.names:
        sentence = _first_sentence(public, public.value(module, name))
        lines.append(f"| {_link(public, module, name)} | {sentence} |")
    for name in module.names:
        if public.homes[public.value(module, name).path] == module:
            lines += ["", *_directive(public.anchors[f"{module.path}.{name}"])]
    return "\n".join(lines) + "\n"


def _link(public: Public, module: PublicModule, name: str) -> str:
    anchor = public.anchors[f"{module.path}.{name}"]
    return f"[`{name}`][{anchor}]"


def _first_sentence(public: Public, described: griffe.Object) -> str:
    """The first sentence of a docstring, in one line that a table can hold."""
    if described.docstring is None:
        return ""
    names = Names(public)
    paragraph = described.docstring.value.strip().partition("\n\n")[0]
    sentence = re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0]
    text = as_markdown(sentence, lambda target: names.anchor(described, target))
    return " ".join(text.split()).replace("|", "\\|")


def _directive(path: str, **options: object) -> list[str]:
    """What makes mkdocstrings describe an object."""
    lines = [f"  {name}: {json.dumps(value)}" for name, value in options.items()]
    return (
        [f"::: {path}", "    options:", *(f"    {line}" for line in lines)]
        if lines
        else [f"::: {path}"]
    )
