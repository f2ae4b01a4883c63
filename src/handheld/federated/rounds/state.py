"""What a server knows between rounds, as one value and as bytes."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.stages import Memory

_MOST_STAGES = 1000

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FederationState:
    """What a server knows between rounds.

    Attributes:
        server: the model, and what the algorithm keeps.
        memory: what each stage keeps.
    """

    server: ServerState
    memory: tuple[Memory, ...]

    def to_bytes(self) -> bytes:
        """Return it as a file of numpy's arrays (.npz)."""
        about = np.array([self.server.round, len(self.memory)], np.int64)
        content = io.BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            about=about,
            **arrays_of_state(self.server),
            **arrays_of_memory(self.memory),
        )
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, most_bytes: int) -> Self:
        """Return what bytes hold.

        Args:
            content: of :meth:`to_bytes`.
            most_bytes: that its arrays may take.

        Raises:
            InputError: they hold something else.
        """
        try:
            arrays = read_npz(content, most_bytes)
            number, stages = map(int, arrays["about"])
            if number < 0 or not 0 <= stages <= _MOST_STAGES:
                raise ValueError(f"it is of round {number}, and of {stages} stages")
            server = state_of(arrays, number)
            _require_numbers("weights", server.weights)
            _require_numbers("statistics", server.statistics)
            memory = memory_of(arrays, stages)
        except (OSError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"these bytes are no state of a federation: {error}") from error
        return cls(server, memory)


def _require_numbers(name: str, array: NDArray[Any]) -> None:
    if array.ndim != 1 or array.dtype.kind != "f":
        raise ValueError(f"{name}: expected floats (n,), got {array.dtype} {list(array.shape)}")


def arrays_of_state(state: ServerState, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return a state's arrays, by the names that a file has them by."""
    arrays: dict[str, NDArray[Any]] = {
        f"{prefix}weights": state.weights,
        f"{prefix}statistics": state.statistics,
    }
    for name, array in state.kept.items():
        arrays[f"{prefix}kept.{name}"] = array
    return arrays


def state_of(arrays: Arrays, number: int, prefix: str = "") -> ServerState:
    """Return the state after so many rounds that a file's arrays hold."""
    kept_prefix = f"{prefix}kept."
    kept = {
        name.removeprefix(kept_prefix): array
        for name, array in arrays.items()
        if name.startswith(kept_prefix)
    }
    return ServerState(arrays[f"{prefix}weights"], number, kept, arrays[f"{prefix}statistics"])


def arrays_of_memory(memory: Sequence[Memory]) -> dict[str, NDArray[Any]]:
    """Return what stages keep, by the names that a file has it by."""
    arrays: dict[str, NDArray[Any]] = {}
    for number, kept in enumerate(memory):
        arrays |= {f"stage.{number}.{name}": array for name, array in kept.items()}
    return arrays


def memory_of(arrays: Arrays, stages: int) -> tuple[Memory, ...]:
    """Return what so many stages keep that a file's arrays hold."""
    memory: list[dict[str, NDArray[Any]]] = [{} for _ in range(stages)]
    for name, array in arrays.items():
        if name.startswith("stage."):
            # Two splits and no more: names may have dots of their own.
            _, number, inner_name = name.split(".", 2)
            memory[int(number)][inner_name] = array
    return tuple(memory)
