"""The configuration of a training run, as a TOML file has it, and where its paths lead."""

import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from handheld.config import from_table
from handheld.errors import InputError

Config = TypeVar("Config")


@dataclass(frozen=True)
class ExampleConfig:
    """Where examples come from.

    Attributes:
        data: folder with photos, negatives, backgrounds, meshes; by default ``hands`` in ``HANDHELD_DATA``.
        labels: JSON lines of ``handheld hands pseudo-label``.
        cache: folder for decoded pictures, shared by all runs.
        workers: processes that make examples; 0 makes them between the steps.
        pool: rendered crops that are kept, some 60 kB of disk each; more are more different.
        disagreement: largest mean spread of a teacher's answers that is believed, in palm lengths.
    """

    data: str = ""
    labels: str = "work/hands/labels.jsonl"
    cache: str = "work/hands/cache"
    workers: int = 1
    pool: int = 40_000
    disagreement: float = 0.12

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise InputError(f"examples.workers: expected 0 or more, got {self.workers}")
        if self.pool < 1:
            raise InputError(f"examples.pool: expected 1 or more, got {self.pool}")

    @property
    def folder(self) -> Path:
        """The folder of the data."""
        if self.data:
            return Path(self.data)
        return Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands"


@dataclass(frozen=True)
class LearnConfig:
    """How a network learns.

    Attributes:
        steps: to take in all.
        batch: examples in a step.
        rate: highest learning rate of AdamW.
        decay: weight decay.
        clip: largest length of all gradients together.
        average: of the weights' running mean, by which the network is judged and shipped.
        rise: share of the run in which the rate rises.
        threads: of the training process.
        seed: of everything random.
        evaluate_every: steps between two evaluations.
        start: state of another run whose averaged weights are the first of this one; empty: from nothing.
    """

    steps: int = 60_000
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.02
    clip: float = 5.0
    average: float = 0.999
    rise: float = 0.03
    threads: int = 1
    seed: int = 0
    evaluate_every: int = 2_000
    start: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "threads", "evaluate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"learn.{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 <= self.average < 1:
            raise InputError(f"learn.average: expected a number in [0, 1), got {self.average}")

    def plan(self) -> dict[str, Any]:
        """Return what must be the same in all stretches of a run."""
        # The others change when one hears of a run and on how many cores, not what is learned.
        free = ("steps", "threads", "evaluate_every")
        return {name: value for name, value in asdict(self).items() if name not in free}


def read_config(kind: type[Config], path: Path) -> Config:
    """Read a TOML file into a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    try:
        config: Config = from_table(kind, table, "")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return config
