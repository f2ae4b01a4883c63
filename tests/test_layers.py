"""The shape of the package: who may import whom, read from the source of every file.

Rooms stand on floors. A room imports from lower floors only, never from its own floor, and inside a
room there are no circles.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from handheld._rooms import ROOMS

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "handheld"
GROUND = [
    room.name for room in ROOMS if room.floor == 0
]  # the one floor whose rooms may import each other: later earlier ones
FLOOR = {room.name: float(room.floor) for room in ROOMS}
FLOOR |= {name: order / 10 for order, name in enumerate(GROUND)}
RUNTIMES, RUNTIME_ROOM = (
    {"ai_edge_litert": 2, "onnxruntime": 1},
    "engine",
)  # and in how many files of the room
ITS_FILES = {
    "ray": ("handheld.cluster",),
    "PIL": ("handheld.pictures.pillow",),
    "msgspec": (
        "handheld.config",
        "handheld.federated.client.messages",
        "handheld.federated.flower.messages",
        "handheld.federated.secagg.messages",
        "handheld.federated.secagg.snapshot",
        "handheld.federated.wire.messages",
    ),
    "tomllib": ("handheld.config", "handheld.graph.text.tables"),
}
TORCH_ROOMS = ("compile", "compress", "federated", "networks", "training")
TORCH_FOLDER = "training"
TORCH_FILE = "handheld._copies"  # of a module, which three rooms need


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, and what it imports in which line. ``from a import b`` counts as
    a.b where that is a file.
    """

    name: str
    path: Path
    imports: tuple[tuple[int, str], ...]

    @property
    def room(self) -> str:
        return room_of(self.name)


def _floor_name(room: str) -> str:
    return f"{FLOOR[room]:g}" if room in FLOOR else "unknown"


def room_of(name: str) -> str:
    """Return the sub-package or module right below the package; empty for the package itself and
    its private modules.
    """
    room = name.partition(".")[2].partition(".")[0]
    return "" if room.startswith("_") else room


def read(source: Path) -> dict[str, Module]:
    """Read every module of the package below ``source``."""
    paths = {}
    for path in sorted((source / PACKAGE).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {
        name: Module(name, path, tuple(imports(name, path, paths))) for name, path in paths.items()
    }


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = (
                ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [node.module])])
                if node.level
                else node.module
            )
            names = {f"{base}.{alias.name}" for alias in node.names}
            yield from (
                (node.lineno, target)
                for target in sorted({n if n in known else str(base) for n in names})
            )


def wrong_floors(modules: dict[str, Module]) -> list[str]:
    """Say which imports lead up, sideways or to a room that has no floor."""
    found = []
    for module in modules.values():
        if module.room == "":
            continue  # the package itself loads rooms when they are first used
        if module.room not in FLOOR:
            found.append(
                f"{module.path}: room {module.room!r} has no floor; give it one in "
                f"{Path(__file__).name}"
            )
            continue
        for line, target in module.imports:
            room = room_of(target)
            if target.split(".")[0] != PACKAGE or room in ("", module.room):
                continue
            if room not in FLOOR or FLOOR[room] >= FLOOR[module.room]:
                found.append(
                    f"{module.path}:{line}: {module.room!r} (floor {FLOOR[module.room]:g}) "
                    f"imports {target!r} (floor "
                    f"{_floor_name(room)}); a room imports from lower floors only"
                )
    return found


def cycles(modules: dict[str, Module]) -> list[str]:
    """Say where the imports within a room go in a circle. A room's files do not count as importing
    their ``__init__``.
    """
    found = []
    for room in sorted({module.room for module in modules.values()}):
        inside = {name: module for name, module in modules.items() if module.room == room}
        needs = {
            name: {target for _, target in module.imports if target in inside}
            for name, module in inside.items()
        }
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            found.append(f"room {room!r}: imports in a circle: {' <- '.join(error.args[1])}")
    return found


def wrong_dependencies(modules: dict[str, Module]) -> list[str]:
    """Say where an inference runtime, torch, Ray or Pillow is imported outside its place."""
    found: list[str] = []
    runtime_files: dict[str, set[str]] = {runtime: set() for runtime in RUNTIMES}
    for module in modules.values():
        parts = module.name.split(".")
        for line, target in module.imports:
            top = target.split(".")[0]
            if top in RUNTIMES:
                if module.room == RUNTIME_ROOM:
                    runtime_files[top].add(module.name)
                else:
                    found.append(
                        f"{module.path}:{line}: imports {top}; only the room {RUNTIME_ROOM!r} may"
                    )
            torch_is_fine = module.room in TORCH_ROOMS or TORCH_FOLDER in parts
            torch_is_fine |= module.name == TORCH_FILE
            if top in ("torch", "torchvision") and not torch_is_fine:
                found.append(
                    f"{module.path}:{line}: imports {top}; only {TORCH_ROOMS} and folders "
                    f"called {TORCH_FOLDER!r} may"
                )
            if module.name not in ITS_FILES.get(top, (module.name,)):
                files = " and ".join(ITS_FILES[top])
                found.append(f"{module.path}:{line}: imports {top}; only {files} may")
    for runtime, files in runtime_files.items():
        if len(files) > RUNTIMES[runtime]:
            found.append(
                f"{runtime} is imported in {len(files)} files, at most {RUNTIMES[runtime]} "
                f"may: {sorted(files)}"
            )
    return found


CHECKS = [wrong_floors, cycles, wrong_dependencies]


@pytest.mark.parametrize("check", CHECKS)
def test_the_package_keeps_its_shape(check: object) -> None:
    found = check(read(SOURCE))  # type: ignore[operator]
    assert not found, "\n" + "\n".join(found)


def test_files_are_read_at_all() -> None:
    modules = read(SOURCE)
    assert {"handheld", "handheld.errors", "handheld.graph._scheduler"} <= modules.keys()
    assert "handheld.graph._state" in {
        target for _, target in modules["handheld.graph._scheduler"].imports
    }


PLANTED = {
    "up": (
        "graph/a.py",
        "from handheld.hands import track",
        "'graph' (floor 1) imports 'handheld.hands' (floor 5)",
    ),
    "sideways": (
        "graph/a.py",
        "import handheld.media.frame",
        "'graph' (floor 1) imports 'handheld.media.frame' (floor 1)",
    ),
    "hidden in a function": (
        "graph/a.py",
        "def f():\n    from ..hands import x",
        "a.py:2: 'graph' (floor 1) imports 'handheld.hands'",
    ),
    "from the package": (
        "graph/a.py",
        "from handheld import hands",
        "'graph' (floor 1) imports 'handheld.hands' (floor 5)",
    ),
    "no floor": ("attic/a.py", "", "room 'attic' has no floor"),
    "circle": (
        "graph/a.py",
        "from handheld.graph import b",
        "room 'graph': imports in a circle: handheld.graph.",
    ),
    "relative circle": (
        "graph/a.py",
        "from .b import x",
        "room 'graph': imports in a circle: handheld.graph.",
    ),
    "runtime": (
        "graph/a.py",
        "import ai_edge_litert.interpreter",
        "a.py:1: imports ai_edge_litert; only the room 'engine' may",
    ),
    "too many runtime files": (
        "engine/a.py",
        "import ai_edge_litert",
        "ai_edge_litert is imported in 3 files, at most 2 may",
    ),
    "a second runtime": (
        "graph/a.py",
        "import onnxruntime",
        "a.py:1: imports onnxruntime; only the room 'engine' may",
    ),
    "ray": (
        "compress/run.py",
        "import ray.util",
        "run.py:1: imports ray; only handheld.cluster may",
    ),
    "ray deeper": (
        "compress/cluster.py",
        "import ray",
        "cluster.py:1: imports ray; only handheld.cluster may",
    ),
    "pillow": (
        "media/images.py",
        "from PIL import Image",
        "images.py:1: imports PIL; only handheld.pictures.pillow may",
    ),
    "torch": (
        "hands/model.py",
        "from torch import nn",
        "model.py:1: imports torch; only ('compile', 'compress', 'federated', 'networks', "
        "'training')",
    ),
}
FINE = {
    "down": ("hands/a.py", "from handheld.graph import b\nfrom handheld import errors, graph"),
    "torch for training": ("hands/training/a.py", "import torch"),
    "torch in a room of its own": ("compress/a.py", "import torch"),
    "a cluster": ("cluster.py", "def f():\n    import ray"),
    "the package itself": ("__init__.py", "from handheld import hands"),
}


def planted(folder: Path, file: str, text: str) -> dict[str, Module]:
    """Return the modules of a small package that is fine but for what is planted."""
    files = {
        "__init__.py": "",
        "graph/__init__.py": "",
        "graph/b.py": "from handheld.graph.a import x",
        "graph/a.py": "x = 1",
        "hands/__init__.py": "",
        "engine/b.py": "import ai_edge_litert",
        "engine/c.py": "from ai_edge_litert import interpreter",
        file: text,
    }
    for name, content in files.items():
        path = folder / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return read(folder)


@pytest.mark.parametrize(("file", "text", "message"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, text: str, message: str) -> None:
    modules = planted(tmp_path, file, text)
    found = [line for check in CHECKS for line in check(modules)]
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(("file", "text"), FINE.values(), ids=FINE)
def test_what_is_allowed_is_not_found(tmp_path: Path, file: str, text: str) -> None:
    modules = planted(tmp_path, file, text)
    assert [line for check in CHECKS for line in check(modules)] == []


def test_contributing_shows_the_table_of_rooms() -> None:
    text = (SOURCE.parent / "CONTRIBUTING.md").read_text("utf-8")
    for floor in {room.floor for room in ROOMS}:
        names = ", ".join(f"`{room.name}`" for room in ROOMS if room.floor == floor)
        assert f"| {floor} | {names} |" in text


def test_every_room_has_its_row() -> None:
    folders = {path.parent.name for path in (SOURCE / PACKAGE).glob("*/__init__.py")}
    modules = {
        path.stem for path in (SOURCE / PACKAGE).glob("*.py") if not path.stem.startswith("_")
    }
    assert {room.name for room in ROOMS} == folders | modules
