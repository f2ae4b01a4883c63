"""Names say what they are for: none is used for two things, none says nothing."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import handheld

SOURCE = Path(handheld.__file__).parent

# Words that fit whatever a variable holds, and so say nothing of it.
VAGUE = {
    "found",
    "given",
    "wanted",
    "each",
    "own",
    "some",
    "kind",
    "part",
    "parts",
    "place",
    "places",
    "most",
    "least",
    "told",
    "near",
    "what",
    "where",
    "way",
    "ways",
    "how",
    "whole",
    "rest",
    "made",
    "left",
}


def public_classes() -> dict[str, list[str]]:
    """Return where each public class of the package stands, by its name."""
    places = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(SOURCE).as_posix())
    return places


def named(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each parameter and variable.

    Fields of classes are left out: they are read behind the name of what they belong to.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign):
            continue
        if isinstance(child, ast.arg):
            yield child.lineno, child.arg
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.lineno, child.id
        yield from named(child)


def vague_names(source: str) -> list[tuple[int, str]]:
    return [(line, name) for line, name in named(ast.parse(source)) if name in VAGUE]


def test_no_two_public_classes_have_one_name():
    shared = {name: places for name, places in public_classes().items() if len(places) > 1}
    assert shared == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("found = 1", ["found"]),
        ("def f(given, *own, kind=1, **rest): pass", ["given", "own", "kind", "rest"]),
        ("f = lambda each: each", ["each"]),
        ("for part, (place, _) in pairs: pass", ["part", "place"]),
        ("if (where := f()): pass", ["where"]),
        ("class A:\n    kind: str\n    def f(self):\n        how: int = 1", ["how"]),
        ("near_words = f(kind=1).left", []),
    ],
)
def test_a_vague_name_is_seen(source: str, names: list[str]):
    assert sorted(name for _, name in vague_names(source)) == sorted(names)


def test_no_variable_or_parameter_has_a_name_that_says_nothing():
    vague = []
    for path in sorted(SOURCE.rglob("*.py")):
        for line, name in vague_names(path.read_text("utf-8")):
            vague.append(f"{path.relative_to(SOURCE).as_posix()}:{line} {name}")
    assert vague == []
