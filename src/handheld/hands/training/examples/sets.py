"""Entries drawn set by set, so that a large set does not drown the small ones."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np


class _InSet(Protocol):
    """Anything that is of a set."""

    @property
    def group(self) -> str: ...


Entry = TypeVar("Entry", bound=_InSet)


class SetSampler(Generic[Entry]):
    """Draws entries: first a set, by the root of its size, then any entry of it.

    Some sets are thousands of photos of one person: drawn by their sizes, they would be most of
    what a network sees; drawn equally often, the few photos of a small set would be seen again and
    again. The root is between the two.

    Args:
        entries: of any sets; none makes a sampler that is false and draws nothing.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        sets: dict[str, list[Entry]] = {}
        for entry in entries:
            sets.setdefault(entry.group, []).append(entry)
        # By name, not in the order in which sets were met: what a step draws must not depend on it.
        self._sets = [sets[name] for name in sorted(sets)]
        roots = np.sqrt([len(entries_of_set) for entries_of_set in self._sets])
        # No entries: the sum is nothing, and must not divide.
        self._shares = roots / max(roots.sum(), 1.0)

    def __bool__(self) -> bool:
        return bool(self._sets)

    def draw(self, rng: np.random.Generator) -> Entry:
        """Return an entry; ``rng`` decides."""
        entries = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        return entries[int(rng.integers(len(entries)))]
