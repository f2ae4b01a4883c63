"""``handheld doctor``: what can run here, and what to install for the rest."""

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable

from handheld._extras import EXTRAS
from handheld._rooms import ROOMS
from handheld.cli._output import Json, Output, Quiet, table_of
from handheld.errors import advice


def doctor(json: Json = None, quiet: Quiet = False) -> None:
    """Say which parts can run here, and what to install for the rest."""
    from handheld import __version__

    checks = [*check_rooms(), check_isolation(), check_models()]
    cells = []
    values = []
    for name, can_run, note in checks:
        cells.append([name, "yes" if can_run else "no", note])
        values.append({"part": name, "can_run": can_run, "how": note})
    words = f"handheld {__version__}\n{table_of(['part', 'can run', 'how'], cells)}"
    Output(json=json, quiet=quiet).result(words, {"version": __version__, "parts": values})


def check_rooms(
    find: Callable[[str], object | None] = importlib.util.find_spec,
) -> list[tuple[str, bool, str]]:
    """Return (room, whether it can run, versions or what to install) for each room.

    Nothing heavy is imported for it.
    """
    rows = []
    # By the table of rooms, which lazy imports and the layer test go by too.
    for room in ROOMS:
        missing = [module for module in room.needs if find(module) is None]
        note = _versions(room.needs)
        if missing:
            note = _missing_note(missing)
        rows.append((f"{room.name}: {room.line}", not missing, note))
    return rows


def _missing_note(modules: Iterable[str]) -> str:
    packages = [EXTRAS[module] for module in modules]
    # each extra once, since one command installs all
    extras = sorted({extra for _, extra in packages})
    names = ", ".join(name for name, _ in packages)
    return f"{advice(*extras)}  (missing: {names})"


def _versions(modules: Iterable[str]) -> str:
    return ", ".join(_version(EXTRAS[module][0]) for module in modules)


def check_isolation() -> tuple[str, bool, str]:
    """Return what holds a stranger's model that is opened with ``isolated=True``."""
    try:
        from handheld.engine import isolation
    # one of the rooms that cannot run: the others are still told
    except ImportError as error:
        return "isolated models", False, str(error)
    return "isolated models", True, isolation()


def check_models() -> tuple[str, bool, str]:
    """Return whether MediaPipe's hand models have been fetched, and the command that does it.

    Ours are always there.
    """
    from handheld.engine.store import cache_folder, is_stored
    from handheld.hands import MEDIAPIPE_HANDS

    folder = cache_folder() / MEDIAPIPE_HANDS.name
    name = "models: mediapipe-hands, for the packs mediapipe-full and mediapipe-lite"
    if is_stored(MEDIAPIPE_HANDS):
        return name, True, str(folder)
    return name, False, "handheld models fetch mediapipe-hands"


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        # there, but not installed, as a folder on the path is: of no known version
        return distribution
