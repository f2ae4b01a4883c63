"""The configuration of a training run, as a TOML file has it, and where its paths lead."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from handheld.errors import InputError
from handheld.ranges import MOST_SEED, in_range, whole_in_range


@dataclass(frozen=True)
class ExampleConfig:
    """Where examples come from.

    Attributes:
        data: folder with photos, negatives, backgrounds, meshes; by default
            ``hands`` in ``HANDHELD_DATA``.
        labels: JSON lines of ``handheld hands pseudo-label``.
        cache: folder for decoded pictures, shared by all runs.
        workers: processes that make examples; 0 makes them between the steps.
        pool: rendered crops that are kept, some 60 kB of disk each; more are more different.
        disagreement: largest mean spread of a teacher's answers that is believed, in palm lengths.
        mistakes: JSON lines of ``handheld hands mistakes``; empty: none.
    """

    data: str = ""
    labels: str = "work/hands/labels.jsonl"
    cache: str = "work/hands/cache"
    workers: int = 1
    pool: int = 40_000
    disagreement: float = 0.12
    mistakes: str = ""

    def __post_init__(self) -> None:
        whole_in_range("workers", self.workers, low=0)
        whole_in_range("pool", self.pool, low=1)
        in_range("disagreement", self.disagreement, low=0)

    @property
    def mistakes_file(self) -> Path | None:
        """Where the mistakes are, if any are named."""
        return Path(self.mistakes) if self.mistakes else None

    @property
    def folder(self) -> Path:
        """The folder of the data.

        Raises:
            InputError: neither ``data`` nor ``HANDHELD_DATA`` names it.
        """
        if self.data:
            return Path(self.data)
        # Read when it is asked for: a plan is read on machines that have no data.
        if "HANDHELD_DATA" not in os.environ:
            raise InputError(
                "examples.data: expected a folder of photos, or HANDHELD_DATA to be set"
            )
        return Path(os.environ["HANDHELD_DATA"]) / "hands"


@dataclass(frozen=True)
class LearnConfig:
    """How a network learns.

    Attributes:
        steps: to take in all; 0 writes and judges what it starts from.
        batch: examples in a step.
        rate: highest learning rate of AdamW.
        decay: weight decay.
        clip: largest length of all gradients together.
        average: of the weights' running mean, by which the network is judged and shipped.
        warmup: share of the run in which the rate rises.
        threads: of the training process.
        seed: of everything random.
        evaluate_every: steps between two evaluations.
        start: what the first weights are of: the state of another run, of which its mean is taken;
            a pack that ships, by its name; a float file of one, by its path. Of a wider network,
            its most important channels; it may be for pictures of another size. Empty: from
            nothing. Packs and files of one network, with the share of each: their weighted mean
            (Wortsman et al., arXiv 2109.01903 and 2203.05482).
    """

    # Rates, decay and average are those of the runs in docs/train-hand-models.md.
    steps: int = 60_000
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.02
    clip: float = 5.0
    average: float = 0.999
    warmup: float = 0.03
    threads: int = 1
    seed: int = 0
    evaluate_every: int = 2_000
    start: str | dict[str, float] = ""

    def __post_init__(self) -> None:
        whole_in_range("steps", self.steps, low=0)
        for name in ("batch", "threads", "evaluate_every"):
            whole_in_range(name, getattr(self, name), low=1)
        for name in ("decay", "clip"):
            in_range(name, getattr(self, name), low=0)
        # At 1 the mean would never learn, and the rate would rise until the end.
        for name in ("average", "warmup"):
            in_range(name, getattr(self, name), low=0, high=1, high_open=True)
        # Far beyond any rate that learns, and within what float32 holds.
        in_range("rate", self.rate, low=0, low_open=True, high=1e6)
        if self.start == {}:
            raise InputError("start: expected a share of each network, got an empty table")
        for name, share in self.starts.items():
            in_range(f"start.{name}", share, low=0, low_open=True, high=1)
        # torch takes no other seeds.
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)

    @property
    def starts(self) -> dict[str, float]:
        """Share of each that the first weights are of; none of a run from nothing."""
        if isinstance(self.start, str):
            return {self.start: 1.0} if self.start else {}
        return self.start

    def plan(self) -> dict[str, Any]:
        """Return what must be the same in all stretches of a run."""
        # The others change when one hears of a run and on how many cores, not what is learned.
        free = ("steps", "threads", "evaluate_every")
        return {name: value for name, value in asdict(self).items() if name not in free}
