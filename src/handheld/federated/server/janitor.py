"""What nothing leads to any more is removed."""

import time
from collections.abc import Callable

from handheld.federated.server.blobs import FederationBlobs
from handheld.federated.server.ledger import FederationLedger
from handheld.federated.server.round_store import RoundStore

_PAUSE_SECONDS = 30.0
_ENDED_SECONDS = 3600.0  # for which devices may ask what became of a round


class Janitor:
    """Removes uploads of rounds that have ended, and states that are too old.

    Args:
        ledger: of the federation.
        store: of the rounds.
        blobs: of the federation.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        ledger: FederationLedger,
        store: RoundStore,
        blobs: FederationBlobs,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self.pause = _PAUSE_SECONDS
        self.keep: dict[str, int] = {}

    def sweep(self) -> None:
        """Remove what there is to remove."""
        # Listed first: a round that begins after that is not looked at.
        with_uploads = self._blobs.rounds()
        open_rounds = self._store.snapshot().rounds
        for round_id in with_uploads:
            if round_id not in open_rounds:
                self._blobs.remove_round(round_id)
        self._store.sweep(self._clock() - _ENDED_SECONDS)
        for name, keep in self.keep.items():
            self._forget(name, keep)

    def _forget(self, name: str, keep: int) -> None:
        """Remove the states of a task but the newest."""
        old = self._ledger.forget(name, keep)
        # Others lead to the same content where an evaluation or a rollback has it too.
        for digest in old - self._ledger.kept_blobs():
            self._blobs.remove(digest)
