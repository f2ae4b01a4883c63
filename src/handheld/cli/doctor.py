"""``handheld doctor``: what can run here, and what to install for the rest."""

import importlib.metadata
import importlib.util
from collections.abc import Callable

from handheld._extras import EXTRAS
from handheld._rooms import ROOMS
from handheld.cli._output import Json, Output, Quiet, table_of
from handheld.errors import advice


def doctor(json: Json = None, quiet: Quiet = False) -> None:
    """Say which parts can run here, and what to install for the rest."""
    from handheld import __version__

    rows = [*check_parts(), check_isolation(), check_models()]
    cells = [[part, "yes" if works else "no", how] for part, works, how in rows]
    words = f"handheld {__version__}\n{table_of(['part', 'can run', 'how'], cells)}"
    parts = [{"part": part, "can_run": works, "how": how} for part, works, how in rows]
    Output(json=json, quiet=quiet).result(words, {"version": __version__, "parts": parts})


def check_parts(
    find: Callable[[str], object | None] = importlib.util.find_spec,
) -> list[tuple[str, bool, str]]:
    """Return (room, whether it can run, versions or what to install) for each room, without
    importing anything heavy.
    """
    rows = []
    for room in ROOMS:
        name = f"{room.name}: {room.line}"
        missing = [module for module in room.needs if find(module) is None]
        if missing:
            extras = sorted({EXTRAS[module][1] for module in missing})
            names = ", ".join(EXTRAS[module][0] for module in missing)
            rows.append((name, False, f"{advice(*extras)}  (missing: {names})"))
        else:
            rows.append(
                (name, True, ", ".join(_version(EXTRAS[module][0]) for module in room.needs))
            )
    return rows


def check_isolation() -> tuple[str, bool, str]:
    """Return what holds a stranger's model that is opened with ``isolated=True``."""
    try:
        from handheld.engine import isolation
    except ImportError as error:
        return "isolated models", False, str(error)
    return "isolated models", True, isolation()


def check_models() -> tuple[str, bool, str]:
    """Return whether the hand models have been fetched, and the command that does it."""
    from handheld.engine.store import cache_folder, is_stored
    from handheld.hands import MEDIAPIPE_HANDS

    folder = cache_folder() / MEDIAPIPE_HANDS.name
    here = is_stored(MEDIAPIPE_HANDS)
    return (
        "models: mediapipe-hands",
        here,
        str(folder) if here else "handheld models fetch mediapipe-hands",
    )


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return distribution
