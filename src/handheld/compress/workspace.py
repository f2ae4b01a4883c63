"""The folder of a run: one run at a time, and the state from which a killed run goes on."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handheld.errors import InputError
from handheld.media import alone_in, atomic_path


class Workspace:
    """Where a run keeps what it needs to go on.

    Attributes:
        folder: of the family.
        state: of what is kept while the run lasts.
    """

    def __init__(self, folder: Path):
        self.folder, self.state = folder, folder / "run"

    def file(self, name: str) -> Path:
        """Return the path of a part of the state."""
        return self.state / name

    def clear(self) -> None:
        """Drop the state of a run that is over."""
        for path in self.state.glob("*"):
            if path.name not in ("lock", "plan.json", "candidates.json") and path.is_file():
                path.unlink()


@contextmanager
def workspace(folder: str | os.PathLike[str], plan: dict[str, object]) -> Iterator[Workspace]:
    """Open the folder of a run for this process alone.

    Args:
        folder: made if it is not there.
        plan: what the run will do, in JSON; a state of another plan is not gone on from.

    Raises:
        InputError: another run uses the folder, it holds the run of another plan, or it cannot be written.
    """
    space = Workspace(Path(folder))
    with alone_in(space.folder, "run/lock"):
        _claim(space, plan)
        yield space


def _claim(space: Workspace, plan: dict[str, object]) -> None:
    """Write the plan, or check that the folder's is the same."""
    path, text = space.file("plan.json"), json.dumps(plan, indent=1, sort_keys=True, default=str)
    if path.exists():
        if (before := path.read_text("utf-8")) != text:
            changed = _changed(before, plan)
            raise InputError(
                f"{space.folder} holds a run with other settings ({changed}): name another folder, or delete that one"
            )
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def _changed(before: str, plan: dict[str, object]) -> str:
    try:
        old = json.loads(before)
        new = json.loads(json.dumps(plan, default=str))
        return ", ".join(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))) or "its plan"
    except (ValueError, AttributeError):
        return "its plan cannot be read"


def digest(*parts: object) -> str:
    """Return a short name for values."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
