"""What a run keeps on disk.

The newest state and the one before, so that a damaged file loses some rounds and no more.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.learning.learner import Floats
from handheld.federated.rounds.state import (
    arrays_of_memory,
    arrays_of_state,
    memory_of,
    state_of,
)
from handheld.federated.stages import CentralNoise, Memory
from handheld.files import atomic_path
from handheld.training.runs import Plain, differences, name_of
from handheld.untrusted import read_json

LOCK = ".lock"
"""The file that a run holds while it lasts."""

_NEWEST = "state.npz"
_BEFORE = "state_before.npz"
FILES = (LOCK, _NEWEST, _BEFORE)
"""What a run keeps in its folder."""
# What a checkpoint must have at least: others' keys depend on the plan.
_ABOUT = {"identity", "round", "clock", "rows", "stages", "flights", "started", "versions"}
_ARRAYS = {"weights", "times", "statistics"}

RoundFigures = dict[str, float]
"""Figures of a round."""


class Flight(NamedTuple):
    """A device that learns while others do, of asynchronous averaging.

    They are ordered by when they end.

    Attributes:
        ends: seconds on the simulated clock.
        number: of all that were ever asked.
        user: the device.
        version: round whose model it got.
        leaves: whether it never answers.
    """

    ends: float
    number: int
    user: int
    version: int
    leaves: bool


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the next round needs.

    Attributes:
        state: the server's.
        memory: what each stage keeps.
        states: of devices, by number.
        times: (users,) how often each device took part.
        rows: figures of the rounds so far.
        clock: simulated seconds so far.
        flights: devices that learn now, of asynchronous averaging.
        versions: states from which they do, by round.
        started: how many ever did.
    """

    state: ServerState
    memory: tuple[Memory, ...]
    states: Mapping[int, Floats]
    times: NDArray[np.int32]
    rows: Sequence[RoundFigures] = ()
    clock: float = 0.0
    flights: tuple[Flight, ...] = ()
    versions: Mapping[int, ServerState] = field(default_factory=dict)
    started: int = 0


class KeptNoise(NamedTuple):
    """Central noise of a run that a folder holds.

    Attributes:
        multiplier: of it.
        rounds: that had it so far.
    """

    multiplier: float
    rounds: int


def save(folder: Path, checkpoint: Checkpoint, identity: Mapping[str, Plain]) -> None:
    """Write a checkpoint; the one that was the newest is kept as the one before.

    Args:
        folder: of the run.
        checkpoint: what the next round needs.
        identity: of the run, by which :func:`load` tells it from others.
    """
    about = {
        "identity": identity,
        "round": checkpoint.state.round,
        "clock": checkpoint.clock,
        "rows": list(checkpoint.rows),
        "stages": len(checkpoint.memory),
        "flights": checkpoint.flights,
        "started": checkpoint.started,
        "versions": list(checkpoint.versions),
    }
    arrays = _arrays_of(checkpoint)
    # Bytes, as an array of letters takes four for each.
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with atomic_path(folder / _NEWEST) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        # Renamed before the new one takes its place: one whole file is there at any moment.
        if (folder / _NEWEST).exists():
            (folder / _NEWEST).replace(folder / _BEFORE)


def load(folder: Path, identity: Mapping[str, Plain], size: int) -> Checkpoint | None:
    """Read the newest checkpoint that is whole.

    Args:
        folder: of the run.
        identity: that the run must have.
        size: weights of its model.

    Returns:
        None if there is none.

    Raises:
        InputError: the folder holds a run of another plan, data or model, whose first difference is
            named, or no checkpoint that is whole.
    """
    for about, arrays in _whole(folder):
        # Through JSON, as the kept one went: tuples become lists.
        now: Plain = json.loads(json.dumps(identity))
        # The first one: it says enough, and others often follow from it.
        if difference := next(differences(about["identity"], now), ""):
            raise InputError(
                f"{folder} holds a run of another plan, data or model ({difference}): "
                "delete it to begin again, or name another folder"
            )
        if arrays["weights"].shape != (size,):
            held = len(arrays["weights"])
            raise InputError(f"{folder} holds a model of {held:,} weights, expected {size:,}")
        try:
            return _checkpoint_of(about, arrays)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{folder}: its checkpoint is damaged ({error}): delete it to begin again"
            ) from error
    if any((folder / name).exists() for name in (_NEWEST, _BEFORE)):
        raise InputError(
            f"{folder}: no checkpoint in it is whole: delete it to begin again,"
            " or name another folder"
        )
    return None


def kept_noise(folder: Path) -> KeptNoise | None:
    """Return the central noise of the run that a folder holds.

    None if it holds none with such noise.
    """
    for about, _ in _whole(folder):
        try:
            return _noise(about)
        except (LookupError, TypeError, ValueError, AttributeError):
            return None  # whoever loads the run is told what is wrong with it
    return None


def _noise(about: Mapping[str, Any]) -> KeptNoise | None:
    for stage in about["identity"].get("plan", {}).get("stages", []):
        # By name, as the plan is told: no class is made of what a file says.
        if stage["class"] == name_of(CentralNoise):
            return KeptNoise(float(stage["values"]["multiplier"]), int(about["round"]))
    return None


def _whole(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """Yield what the checkpoints of a folder hold that are whole, the newest first."""
    # A crash while the newest was written costs one round's time, not the run.
    for path in (folder / _NEWEST, folder / _BEFORE):
        try:
            yield _read(path)
        except (OSError, ValueError, KeyError):
            continue


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    # No limit, which would refuse large models: the folder is the run's own.
    arrays = read_npz(path, sys.maxsize)
    about = read_json(arrays.pop("about").tobytes())
    if not isinstance(about, dict) or not about.keys() >= _ABOUT:
        raise ValueError("not all of a checkpoint")
    if not isinstance(about["identity"], dict) or not arrays.keys() >= _ARRAYS:
        raise ValueError("not all of a checkpoint")
    return about, arrays


def _checkpoint_of(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Checkpoint:
    states: dict[int, Floats] = {}
    if "users" in arrays:
        # One array of all states: a file with an entry for each device is slow to read.
        states = dict(zip(arrays["users"].tolist(), arrays["own"], strict=True))
    versions = {
        int(version): state_of(arrays, int(version), _version_prefix(version))
        for version in about["versions"]
    }
    return Checkpoint(
        state=state_of(arrays, about["round"], ""),
        memory=memory_of(arrays, int(about["stages"])),
        states=states,
        times=arrays["times"],
        rows=about["rows"],
        clock=about["clock"],
        flights=tuple(Flight(*values) for values in about["flights"]),
        versions=versions,
        started=about["started"],
    )


def _arrays_of(checkpoint: Checkpoint) -> dict[str, NDArray[Any]]:
    """Return all arrays of a checkpoint by the names that a file has them by."""
    arrays: dict[str, NDArray[Any]] = {"times": checkpoint.times}
    arrays |= arrays_of_state(checkpoint.state, "")
    arrays |= arrays_of_memory(checkpoint.memory)
    if checkpoint.states:
        arrays["users"] = np.array(list(checkpoint.states))
        arrays["own"] = np.stack(list(checkpoint.states.values()))
    for version, state in checkpoint.versions.items():
        arrays |= arrays_of_state(state, _version_prefix(version))
    return arrays


def _version_prefix(version: int) -> str:
    return f"version.{version}."
