"""What a federated run is."""

import math
from dataclasses import dataclass, field

from handheld.errors import InputError
from handheld.federated.algorithms import Algorithm, FedAvg, Robust
from handheld.federated.learning.learner import Structure, Work
from handheld.federated.simulator.devices import Devices
from handheld.federated.stages import Compressed, Stage, Structured
from handheld.federated.updates import Encoder


@dataclass(frozen=True)
class Plan:
    """What a federated run is; two runs of the same plan, data and model give the same bits, wherever they run.

    Attributes:
        rounds: how many.
        cohort: devices that should answer in a round.
        algorithm: of the server, and what devices do differently.
        work: how much a device learns in a round.
        stages: on the way of an update: clipping, noise, compression, whole numbers.
        download: makes the model small on its way to devices; they learn from what they decode.
        robust: a mean that broken devices cannot move far, instead of that by weight.
        uniform: whether each device counts alike, however many examples it has.
        heaviest: what a device counts at most, in medians of its round; whatever number of examples it claims.
        buffer: of asynchronous averaging: how many updates are applied at a time while ``cohort`` devices learn; None for
            rounds in which the server waits.
        feedback: whether each device adds to an update what compression left out of those before (error feedback; Seide et al.,
            INTERSPEECH 2014): what a biased encoder needs. Each device that took part keeps one update then.
        devices: what they are like.
        judge_every: rounds between looking how good the model is, 1 or more; the last round is judged in any case.
        seed: of everything that is random.

    Raises:
        InputError: values outside of these.
    """

    rounds: int = 100
    cohort: int = 10
    algorithm: Algorithm = field(default_factory=FedAvg)
    work: Work = field(default_factory=Work)
    stages: tuple[Stage, ...] = ()
    download: Encoder | None = None
    robust: Robust | None = None
    uniform: bool = False
    heaviest: float = 100.0
    buffer: int | None = None
    feedback: bool = False
    devices: Devices = field(default_factory=Devices)
    judge_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.rounds, self.cohort, self.judge_every) < 1 or self.seed < 0 or not self.heaviest >= 1:
            raise InputError(
                "expected rounds, a cohort, judge_every and heaviest of 1 or more and a seed of 0 or more, "
                f"got {self.rounds}, {self.cohort}, {self.judge_every}, {self.heaviest} and {self.seed}"
            )
        if self.robust is not None and self.algorithm.corrects:
            raise InputError("a robust mean sees updates only, but this algorithm's devices send more")
        compressed = bool(self.stages) and all(isinstance(stage, Compressed) for stage in self.stages)
        if self.feedback and (self.algorithm.corrects or self.buffer is not None or not compressed):
            raise InputError("feedback is of compressed rounds: no other stages, no devices' states, no buffer")
        if self.buffer is not None:
            if self.buffer < 1 or self.robust is not None or self.algorithm.corrects:
                raise InputError("asynchronous averaging has a buffer of 1 or more, no robust mean and no devices' states")
            if (self.devices.asked, self.devices.least, self.devices.deadline) != (1.0, 0.0, math.inf):
                raise InputError("asked, least and deadline are those of rounds: without rounds nobody is late")

    @property
    def alike(self) -> bool:
        """Whether each device counts as much as any other."""
        return self.uniform or self.robust is not None

    @property
    def structure(self) -> Structure | None:
        """Where devices learn, if one of the stages says so."""
        return next((stage.structure for stage in self.stages if isinstance(stage, Structured)), None)
