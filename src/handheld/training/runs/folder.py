"""The folder of a run: one run at a time, its plan, and the state to go on from after a kill."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.untrusted import read_json, require_file


@contextmanager
def locked(folder: Path, lock: str) -> Iterator[None]:
    """Hold a run's folder for this process; it is made if it is not there.

    Args:
        folder: of the run.
        lock: file in it, or in a folder of it, that other runs look at.

    Raises:
        InputError: another run holds it, or it cannot be written.
    """
    # The system lets go of it when the process ends, however it ends.
    held = FileLock(folder / lock, blocking=False)
    try:
        (folder / lock).parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout as error:
        raise InputError(
            f"another run uses {folder}: wait for it, stop it, or name another folder"
        ) from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}") from error
    try:
        yield
    finally:
        held.release()


_LASTING = ("lock", "plan.json", "candidates.json")
"""Files of a state that stay when the run is over: who opens the folder again looks at them."""


class RunFolder:
    """Where a run keeps what it needs to go on.

    Attributes:
        folder: of what the run makes.
        state: of what it keeps while it lasts.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.state = folder / "run"

    def file(self, name: str) -> Path:
        """Return the path of a part of the state."""
        return self.state / name

    def clear(self) -> None:
        """Drop the state of a run that is over."""
        for path in self.state.glob("*"):
            # the lock among them is held while this runs
            if path.name not in _LASTING and path.is_file():
                path.unlink()


@contextmanager
def open_run(folder: str | os.PathLike[str], plan: dict[str, object]) -> Iterator[RunFolder]:
    """Open the folder of a run for this process alone.

    Args:
        folder: made if it is not there.
        plan: what the run will do, in JSON; a state of another plan is not gone on from.

    Raises:
        InputError: another run uses the folder, it holds the run of another plan or files of no
            run, or it cannot be written.
    """
    run = RunFolder(Path(folder))
    # Before the lock, which is a file in the folder.
    _refuse_others(run)
    with locked(run.folder, "run/lock"):
        _claim(run, plan)
        yield run


def _claim(run: RunFolder, plan: dict[str, object]) -> None:
    """Write the plan, or check that the folder's is the same."""
    # First: a pipe in the place of a file would be waited for.
    for kept in run.state.iterdir():
        try:
            require_file(kept)
        except OSError as error:
            raise damaged(kept, error) from error
    path = run.file("plan.json")
    # Compared as text: what JSON makes of a plan is what can be read back.
    text = json.dumps(plan, indent=1, sort_keys=True, default=str)
    if path.exists():
        _check_plan(run, path.read_text("utf-8", errors="replace"), text)
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def _refuse_others(run: RunFolder) -> None:
    """See that a folder without a run is empty: files are replaced, so those of others must not be
    there.
    """
    if run.file("plan.json").exists() or not run.folder.is_dir():
        return
    if others := sorted(filter(_is_visible, _names_beside(run))):
        raise InputError(
            f"{run.folder} holds {others[0]!r}, which is of no run: name a folder that is empty, "
            "or is not there"
        )


def _names_beside(run: RunFolder) -> Iterator[str]:
    """Yield the names of what a folder holds besides the run's state."""
    for path in run.folder.iterdir():
        if path != run.state:
            yield path.name


def _is_visible(name: str) -> bool:
    # systems put files of their own into folders, such as .DS_Store
    return not name.startswith(".")


def _check_plan(run: RunFolder, before: str, now: str) -> None:
    if before == now:
        return
    raise InputError(
        f"{run.folder} holds a run with other settings ({_changed(before, now)}): name another "
        "folder, or delete that one"
    )


def _changed(before: str, now: str) -> str:
    """Return which entries differ between two plans in JSON."""
    new = json.loads(now)
    try:
        old = json.loads(before)
        # of keys that only one of them has, too: an option may be new
        changed = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    except (ValueError, AttributeError):
        return "its plan cannot be read"
    return ", ".join(sorted(changed)) or "its plan"


def read_kept(path: Path) -> Any:
    """Return what a run kept as JSON. Raises :class:`InputError` for a damaged file."""
    try:
        return read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> InputError:
    """Return what to say of a file from which a run cannot go on."""
    return InputError(
        f"{path} is damaged, so the run cannot go on: delete {path.parent.parent} to begin again "
        f"({error})"
    )
