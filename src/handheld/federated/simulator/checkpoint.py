"""What a run keeps on disk: the newest state and the one before, so that a damaged file loses some rounds and no more."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import State
from handheld.federated.learning.learner import Floats
from handheld.federated.stages import Memory
from handheld.media import atomic_path

_NEWEST, _BEFORE = "state.npz", "state_before.npz"

Row = dict[str, float]
"""Figures of a round."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the next round needs.

    Attributes:
        state: the server's.
        memory: what each stage keeps.
        own: devices' states, by number.
        times: (users,) how often each device took part.
        rows: figures of the rounds so far.
        clock: simulated seconds so far.
    """

    state: State
    memory: tuple[Memory, ...]
    own: Mapping[int, Floats]
    times: NDArray[np.int32]
    rows: Sequence[Row] = ()
    clock: float = 0.0


def save(folder: Path, checkpoint: Checkpoint, plan: str) -> None:
    """Write a checkpoint; the one that was the newest is kept as the one before."""
    arrays: dict[str, NDArray[Any]] = {"weights": checkpoint.state.weights, "times": checkpoint.times}
    arrays |= {f"kept.{name}": array for name, array in checkpoint.state.kept.items()}
    arrays |= {f"stage.{i}.{name}": array for i, each in enumerate(checkpoint.memory) for name, array in each.items()}
    if checkpoint.own:
        arrays |= {"users": np.array(list(checkpoint.own)), "own": np.stack(list(checkpoint.own.values()))}
    about = {
        "plan": plan,
        "round": checkpoint.state.round,
        "clock": checkpoint.clock,
        "rows": list(checkpoint.rows),
        "stages": len(checkpoint.memory),
    }
    with atomic_path(folder / _NEWEST) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
        if (folder / _NEWEST).exists():
            (folder / _NEWEST).replace(folder / _BEFORE)


def load(folder: Path, plan: str, size: int) -> Checkpoint | None:
    """Read the newest checkpoint that is whole.

    Args:
        folder: of the run.
        plan: that the run must have.
        size: weights of its model.

    Returns:
        None if there is none.

    Raises:
        InputError: the folder holds a run of another plan or model, or no checkpoint that is whole.
    """
    there = [path for path in (folder / _NEWEST, folder / _BEFORE) if path.exists()]
    for path in there:
        try:
            about, arrays = _read(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            continue
        if about["plan"] != plan or arrays["weights"].shape != (size,):
            raise InputError(f"{folder} holds a run of another plan or model: delete it to begin again, or name another folder")
        return _checkpoint(about, arrays)
    if there:
        raise InputError(f"{folder}: no checkpoint in it is whole: delete it to begin again, or name another folder")
    return None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(str(arrays.pop("about")))
    if not {"plan", "round", "clock", "rows"} <= about.keys() or not {"weights", "times"} <= arrays.keys():
        raise ValueError("not all of a checkpoint")
    return about, arrays


def _checkpoint(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Checkpoint:
    kept = {name.removeprefix("kept."): array for name, array in arrays.items() if name.startswith("kept.")}
    memory: dict[int, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        if name.startswith("stage."):
            _, number, what = name.split(".", 2)
            memory.setdefault(int(number), {})[what] = array
    own = dict(zip(arrays["users"].tolist(), arrays["own"], strict=True)) if "users" in arrays else {}
    stages = tuple(memory.get(number, {}) for number in range(int(about["stages"])))
    state = State(arrays["weights"], about["round"], kept)
    return Checkpoint(state, stages, own, arrays["times"], about["rows"], about["clock"])
