"""Docstrings made ready for a site.

Roles of Sphinx become links where the reference describes what they name, and code elsewhere;
doctests become code; arguments that share a line get one each.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import griffe
from public import PACKAGE, Public

_ROLE = re.compile(
    r":(?P<role>class|func|meth|mod|data|attr|exc|obj):`(?P<short>~?)(?P<target>[^`]+)`"
)
_CALLED = {"func", "meth"}
_DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)  # up to an empty line
_SHARED_LINE = re.compile(
    r"^ {4}(?P<names>\w+(?:, \w+)+): (?P<text>.*(?:\n {5,}.*)*)", re.MULTILINE
)
# In front of an indented block, which Markdown takes as code without it.
_LITERAL = re.compile(r"(?P<word>\S?)::(?=\n\s*\n)")


def as_markdown(text: str, anchor: Callable[[str], str | None]) -> str:
    """Return a docstring as Markdown.

    Args:
        text: with roles such as ``:class:`Graph```.
        anchor: returns where a name is described, None where it is not.
    """

    def shown(match: re.Match[str]) -> str:
        target = match["target"]
        name = target.rpartition(".")[2] if match["short"] else target
        code = f"`{name}()`" if match["role"] in _CALLED else f"`{name}`"
        path = anchor(target)
        return f"[{code}][{path}]" if path else code

    text = _ROLE.sub(shown, text)
    text = _SHARED_LINE.sub(_line_for_each, text)
    text = _DOCTEST.sub(r"```pycon\n\g<0>\n```", text)
    return _LITERAL.sub(lambda match: f"{match['word']}:" if match["word"] else "", text)


def _line_for_each(match: re.Match[str]) -> str:
    lines = [f"    {name}: {match['text']}" for name in match["names"].split(", ")]
    return "\n".join(lines)


class Roles(griffe.Extension):
    """Rewrites every docstring of the package when it has been loaded."""

    def __init__(self, docs: str) -> None:
        self.texts = [path.read_text("utf-8") for path in sorted(Path(docs).glob("*.md"))]

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite the docstrings of a package and of all within."""
        if pkg.path == PACKAGE:
            _rewrite(pkg, Names(Public(pkg, self.texts)))


class Names:
    """Finds what a name in a docstring means."""

    def __init__(self, public: Public) -> None:
        self.anchors = public.anchors
        # A docstring may name what its module does not import, where one thing alone has that name.
        paths = set(self.anchors.values())
        times = Counter(_last(path) for path in paths)
        self.unique = {_last(path): path for path in paths if times[_last(path)] == 1}

    def anchor(self, scope: griffe.Object, target: str) -> str | None:
        """Return where a name that stands in the docstring of ``scope`` is described."""
        for path in (target, self._resolved(scope, target)):
            if path in self.anchors:
                return self.anchors[path]
        return self.unique.get(target)

    @staticmethod
    def _resolved(scope: griffe.Object, target: str) -> str:
        try:
            member = scope.modules_collection[scope.resolve(target)]
            return str(member.canonical_path)
        except (griffe.GriffeError, KeyError):
            return target


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _rewrite(scope: griffe.Object, names: Names) -> None:
    if scope.docstring:
        scope.docstring.value = as_markdown(
            scope.docstring.value, lambda target: names.anchor(scope, target)
        )
    for member in scope.members.values():
        if isinstance(member, griffe.Object):
            _rewrite(member, names)
