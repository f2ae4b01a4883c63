"""What the rooms offer: every public name exists, once, and says what it is for."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import handheld
from handheld._rooms import ROOMS

SOURCE = Path(handheld.__file__)
TREE = {*"├└│"}  # of the drawing of all errors
NAMES = [f"handheld.{room.name}" for room in ROOMS]


def room(name: str) -> ModuleType:
    """Import a room. Every dependency of the tests is installed, so a room that cannot be imported
    is a failure.
    """
    return import_module(name)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_listed_once_and_exist(name: str) -> None:
    names = list(getattr(room(name), "__all__", []))
    assert sorted(names) == sorted(set(names)), f"{name}.__all__ lists a name twice"
    missing = [public for public in names if not hasattr(room(name), public)]
    assert missing == [], f"{name}.__all__ lists what {name} does not have"


@pytest.mark.parametrize("name", NAMES)
def test_a_room_says_what_it_is_for(name: str) -> None:
    text = room(name).__doc__ or ""
    assert text.strip(), f"{name} has no docstring"
    lines = [line for line in text.strip().splitlines() if not TREE & set(line)]
    assert len(lines) <= 10, f"the docstring of {name} is longer than ten lines"


@pytest.mark.parametrize("name", NAMES)
def test_public_classes_and_functions_have_docstrings(name: str) -> None:
    module = room(name)
    offered = {
        public: getattr(module, public)
        for public in getattr(module, "__all__", [])
        if not public.startswith("_")
    }
    own = {
        public: value
        for public, value in offered.items()
        if (inspect.isclass(value) or inspect.isroutine(value))
        and str(value.__module__).startswith(name)
    }
    bare = [
        public
        for public, value in own.items()
        if not (value.__doc__ or "").strip() or is_generated(value)
    ]
    assert bare == [], f"{name} offers names without a docstring"


def is_generated(value: object) -> bool:
    """Whether a class has no docstring but the signature that ``dataclass`` or ``NamedTuple``
    writes in its place.
    """
    name = getattr(value, "__name__", "")
    return inspect.isclass(value) and (value.__doc__ or "").startswith(f"{name}(")


def test_type_checkers_know_every_room() -> None:
    blocks = [
        node for node in ast.parse(SOURCE.read_text("utf-8")).body if isinstance(node, ast.If)
    ]
    (imported,) = (node for node in blocks[0].body if isinstance(node, ast.ImportFrom))
    assert sorted(alias.name for alias in imported.names) == sorted(room.name for room in ROOMS)


def test_what_the_package_offers_is_there() -> None:
    assert sorted(set(handheld.__all__)) == sorted(handheld.__all__)
    assert set(handheld.__all__) == {"__version__", *(room.name for room in ROOMS)}
    assert set(handheld.__all__) <= set(dir(handheld))
    for name in handheld.__all__:
        assert name.startswith("__") or find_spec(f"handheld.{name}"), (
            f"handheld.__all__ lists {name!r}, which is no room"
        )
        assert getattr(handheld, name)
    with pytest.raises(AttributeError, match="has no attribute 'attic'"):
        _ = handheld.attic


@pytest.mark.parametrize("name", [name for name in handheld.__all__ if not name.startswith("__")])
def test_a_room_is_loaded_when_it_is_first_used(name: str) -> None:
    code = (
        "import sys, handheld\n"
        "rooms = [m for m in sys.modules if m.startswith('handheld.') and not "
        "m.startswith('handheld._')]\n"
        "assert not rooms, 'importing handheld loads a room'\n"
        f"handheld.{name}\n"
        f"assert 'handheld.{name}' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
