"""The seam between the server and what is learned: the server knows bytes and sums alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg.masks import MOST_BITS
from handheld.federated.secagg.messages import MOST_VALUES
from handheld.ranges import whole_in_range

Purpose = Literal["training", "evaluation"]


@dataclass(frozen=True, kw_only=True)
class SecureUpload:
    """Devices send masked vectors of whole numbers, of which the server learns the sum alone.

    Args:
        count: numbers of a vector, 1 or more.
        bits: of the modulus, in [1, 32].
        most_clients: whose sum still fits; a round never adds more.
    """

    count: int
    bits: int
    most_clients: int

    def __post_init__(self) -> None:
        whole_in_range("count", self.count, low=1, high=MOST_VALUES)
        whole_in_range("bits", self.bits, low=1, high=MOST_BITS)
        whole_in_range("most_clients", self.most_clients, low=2)


@dataclass(frozen=True, kw_only=True)
class PlainUpload:
    """Devices send bytes that the server reads one by one.

    Args:
        most_bytes: of an upload, 1 or more.
        most_clients: of a round; None: as many as come.
    """

    most_bytes: int
    most_clients: int | None = None

    def __post_init__(self) -> None:
        whole_in_range("most_bytes", self.most_bytes, low=1)
        if self.most_clients is not None:
            whole_in_range("most_clients", self.most_clients, low=1)


UploadTerms = SecureUpload | PlainUpload
"""What devices send."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """What a round brought.

    Args:
        clients: whose values are in it.
        total: (count,) uint32, the sum modulo 2^bits of the secure groups added together; None
            where uploads are plain.
        uploads: the plain ones, in the order of their senders' identities; each is read from its
            file when it is looked at. Empty where they are secure.
    """

    clients: int
    total: NDArray[np.uint32] | None = None
    uploads: Sequence[bytes] = ()


@dataclass(frozen=True, kw_only=True)
class ClosedRound:
    """What becomes of a round.

    Args:
        state: the next one.
        figures: finite numbers for the operator's page, such as accuracy or the privacy spent
            ("epsilon"), by name.
    """

    state: bytes
    figures: Mapping[str, float] = field(default_factory=dict)


class ServedTask(Protocol):
    """One task of the federation, such as to learn a keyboard's next word.

    All methods are pure: they are called again where a server died meanwhile, on other machines
    too, in threads.

    Attributes:
        name: by which devices know it: 1 to 64 letters, digits, ``-`` and ``_``.
        purpose: whether the model changes ("training"), or is measured on devices ("evaluation").
    """

    @property
    def name(self) -> str:
        """By which devices know it."""

    @property
    def purpose(self) -> Purpose:
        """What it is for."""

    def start(self) -> bytes:
        """Return the first state."""

    def plans(self) -> Mapping[int, bytes]:
        """Return what devices do, by the version of the plan that they must know: one or more."""

    def public(self, state: bytes) -> bytes:
        """Return what devices get of a state."""

    def upload(self, state: bytes) -> UploadTerms:
        """Return what devices send."""

    def close(self, state: bytes, received: Received) -> ClosedRound:
        """Return the next state.

        Raises:
            HandheldError: nothing can be made of what came: the round is abandoned.
        """


def require_name(name: str) -> None:
    """Refuse what is no name of a task. Raises :class:`InputError`."""
    is_plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if not is_plain or len(name) > 64:
        raise InputError(
            f"name: expected 1 to 64 letters, digits, - and _ for a task, got {name[:80]!r}"
        )
