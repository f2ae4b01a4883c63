"""Rounds of secure aggregation that a client is in the middle of, as files of its own.

Flower answers each message in a process of its own, maybe two at once, and keeps a context that the
next message may overtake. A file can be taken once: whoever renames it has it.
"""

import secrets
from pathlib import Path

from handheld.federated.secagg import RefusedMessageError
from handheld.files import atomic_path

_PRIVATE = 0o600
_OWNER_ONLY = 0o700
_MOST_OPEN = 8  # rounds that nobody ended are forgotten when so many newer ones began


class RoundFolder:
    """A folder of rounds.

    Args:
        path: of the folder, which is made, for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)

    def put(self, round_id: bytes, content: bytes) -> None:
        """Keep what a client knows of a round, until it is taken."""
        with atomic_path(self._file(round_id), mode=_PRIVATE) as temporary:
            temporary.write_bytes(content)
        self._forget_old()

    def take(self, round_id: bytes) -> bytes:
        """Return what was kept of a round, which nobody else gets any more.

        Raises:
            RefusedMessageError: nothing is kept of it: it never began here, has ended, or another
                message of it is being answered.
        """
        # A new name: another process may take another round at the same time.
        mine = self._path / f"{secrets.token_hex(16)}.taken"
        try:
            # One of several processes succeeds.
            self._file(round_id).rename(mine)
        except FileNotFoundError as error:
            raise RefusedMessageError("this client has no part in the round now") from error
        try:
            return mine.read_bytes()
        finally:
            mine.unlink()

    def _file(self, round_id: bytes) -> Path:
        return self._path / f"{round_id.hex()}.round"

    def _forget_old(self) -> None:
        ages = {}
        for path in self._path.glob("*.round"):
            try:
                ages[path] = path.stat().st_mtime_ns
            except FileNotFoundError:  # another process took it
                continue
        for path in sorted(ages, key=ages.__getitem__)[:-_MOST_OPEN]:
            path.unlink(missing_ok=True)
