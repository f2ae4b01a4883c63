"""Names say what they are for: none is used for two things."""

import ast
from collections import defaultdict
from pathlib import Path

import handheld

SOURCE = Path(handheld.__file__).parent


def public_classes() -> dict[str, list[str]]:
    """Return where each public class of the package stands, by its name."""
    places = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(SOURCE).as_posix())
    return places


def test_no_two_public_classes_have_one_name():
    shared = {name: places for name, places in public_classes().items() if len(places) > 1}
    assert shared == {}
