"""What a federated run is."""

import math
import os
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from handheld.errors import InputError
from handheld.federated.algorithms import Algorithm, FedAvg, FedSGD, RobustMean
from handheld.federated.learning.learner import ClientWork, Structure
from handheld.federated.privacy import Guarantee, guarantees, noise_multiplier, require_target
from handheld.federated.simulator.checkpoint import KeptNoise, kept_noise
from handheld.federated.simulator.devices import Devices
from handheld.federated.stages import (
    CentralNoise,
    Compressed,
    LocalNoise,
    Stage,
    Structured,
    TreeNoise,
    promise,
)
from handheld.federated.updates import UpdateEncoder
from handheld.ranges import MOST_SEED, in_range, whole_in_range

# Two epsilons that differ by less are the same: another machine rounds otherwise.
_SAME = 1 + 1e-6


@dataclass(frozen=True)
class Plan:
    """What a federated run is.

    Two runs of the same plan, data and model give the same bits, wherever they run.

    Attributes:
        rounds: how many.
        cohort: devices that should answer in a round.
        algorithm: of the server, and what devices do differently.
        work: how much a device learns in a round.
        stages: on the way of an update: clipping, noise, compression, whole numbers.
        download: makes the model small on its way to devices; they learn from what they decode.
        robust: a mean that broken devices cannot move far, instead of that by weight.
        uniform: whether each device counts alike, however many examples it has.
        max_weight: what a device counts at most, in medians of its round; whatever number of
            examples it claims.
        buffer_size: of asynchronous averaging: how many updates are applied at a time while
            ``cohort`` devices learn; None for rounds in which the server waits.
        sampling: how devices are drawn for a round: ``fixed``, a cohort of that size; ``poisson``,
            each by a chance of its own, so that cohorts have that size on average, which promises
            most where noise is added (see ``privacy.central``).
        delta: chance that what noise promises fails, above 0, at most one over the devices; one
            over the devices and one if left out.
        error_feedback: whether each device adds to an update what compression left out of those
            before (Seide et al., INTERSPEECH 2014): what a biased encoder needs. Each device that
            took part keeps one update then.
        devices: what they are like.
        eval_every: rounds between looking how good the model is, 1 or more; the last round is
            evaluated in any case.
        seed: of everything that is random.

    Raises:
        InputError: values outside of these, or that make no sense together.
    """

    rounds: int = 100
    cohort: int = 10
    algorithm: Algorithm = field(default_factory=FedAvg)
    work: ClientWork = field(default_factory=ClientWork)
    stages: tuple[Stage, ...] = ()
    download: UpdateEncoder | None = None
    robust: RobustMean | None = None
    uniform: bool = False
    max_weight: float = 100.0
    buffer_size: int | None = None
    sampling: str = "fixed"
    delta: float | None = None
    error_feedback: bool = False
    devices: Devices = field(default_factory=Devices)
    eval_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        # One after another, so that the first thing that is wrong is named by itself.
        self._require_ranges()
        self._require_algorithm()
        if self.error_feedback:
            self._require_error_feedback()
        if self.buffer_size is not None:
            self._require_asynchronous()
        if self.sampling == "poisson":
            self._require_poisson()
        if self.promises:
            self._require_private()

    def _require_ranges(self) -> None:
        for name in ("rounds", "cohort", "eval_every"):
            whole_in_range(name, getattr(self, name), low=1)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        in_range("max_weight", self.max_weight, low=1, high=math.inf)
        if self.buffer_size is not None:
            whole_in_range("buffer_size", self.buffer_size, low=1)
        if self.sampling not in ("fixed", "poisson"):
            raise InputError(f"sampling: expected fixed or poisson, got {self.sampling!r}")
        if self.delta is not None:
            in_range("delta", self.delta, low=0, high=1, low_open=True, high_open=True)

    def _require_algorithm(self) -> None:
        # Corrections are sums too, which one broken device could set.
        if self.robust is not None and self.algorithm.corrects:
            raise InputError(
                "a robust mean sees updates only, but this algorithm's devices send more"
            )
        # More steps than one would be federated averaging under another name.
        if isinstance(self.algorithm, FedSGD) and not self.work.is_one_step:
            work = self.work
            name = type(self.algorithm).__name__
            raise InputError(
                f"algorithm: {name}'s devices send one gradient: expected work of one step, all of"
                " their examples (no batch, 1 epoch) or steps 1, got"
                f" epochs {work.epochs:g}, batch {work.batch} and steps {work.steps}:"
                " take FedAvg, which this would be"
            )

    def _require_error_feedback(self) -> None:
        # What an update left out is known where compression is all that happens to it, and is kept
        # where a device keeps nothing else.
        only_compressed = all(isinstance(stage, Compressed) for stage in self.stages)
        keeps_more = self.algorithm.corrects or self.buffer_size is not None
        if keeps_more or not self.stages or not only_compressed:
            raise InputError(
                "error_feedback is of compressed rounds: no other stages, no devices' states,"
                " no buffer_size"
            )

    def _require_asynchronous(self) -> None:
        if self.robust is not None or self.algorithm.corrects:
            raise InputError(
                "buffer_size: asynchronous averaging has no robust mean and no devices' states"
            )
        devices = self.devices
        selects = devices.over_selection != 1 or devices.min_report_fraction != 0
        if selects or devices.deadline != math.inf:
            raise InputError(
                "over_selection, min_report_fraction and deadline are those of rounds:"
                " without rounds nobody is late"
            )
        if devices.dropout_rate == 1:
            raise InputError(
                "devices.dropout_rate: expected less than 1 where a buffer is to be filled:"
                " nobody would ever answer"
            )

    def _require_poisson(self) -> None:
        if self.buffer_size is not None:
            raise InputError(
                "sampling: poisson cohorts are those of rounds, but there is a buffer_size:"
                " take fixed"
            )
        if self.devices.over_selection != 1:
            raise InputError(
                "devices.over_selection: expected 1 with poisson cohorts, which take all who were"
                f" drawn, got {self.devices.over_selection}"
            )

    def _require_private(self) -> None:
        """Refuse what would depend on devices' data and no noise would hide.

        That is to give rounds up by how many answered, and a clock by which devices are ready.
        """
        devices = self.devices
        has_deadline = devices.deadline < math.inf
        if devices.dropout_rate == 1:
            raise InputError(
                "devices.dropout_rate: expected less than 1 with noise, whose sums are divided by"
                " how many are expected"
            )
        if devices.min_report_fraction > 0 and (has_deadline or self.sampling == "poisson"):
            raise InputError(
                "devices.min_report_fraction: expected 0 with noise and a deadline or poisson"
                f" cohorts, got {devices.min_report_fraction}: a round that is given up would tell"
                " how many answered, which noise does not hide"
            )
        if devices.own_hours and not has_deadline:
            raise InputError(
                "devices.deadline: expected one with noise and hours of their own (night above 0),"
                " got none: rounds that end when all have answered would tell how much data devices"
                " have, by who is ready next; with a deadline each lasts until then"
            )

    @property
    def promises(self) -> bool:
        """Whether there is noise, which promises something of each device."""
        return promise(self.stages)

    @property
    def noises(self) -> list[CentralNoise | LocalNoise | TreeNoise]:
        """The stages of noise, in their order."""
        kinds = CentralNoise | LocalNoise | TreeNoise
        return [stage for stage in self.stages if isinstance(stage, kinds)]

    @property
    def drawing(self) -> str:
        """How devices are drawn, as far as ``privacy.central`` can count on it.

        Devices that are ready at any hour alike, leave, or come too late change nothing about who
        was drawn; those that are ready at their own hours are not drawn alike.
        """
        # Who is ready depends on the hour then: not all are drawn alike.
        if self.devices.own_hours:
            return "unknown"
        return self.sampling

    def drawn(self, population: int) -> int:
        """Return how many devices are drawn for a round, on average if it is a Poisson cohort.

        Those that are asked beyond the cohort count too.
        """
        return min(population, round(self.devices.over_selection * self.cohort))

    def expected(self, population: int) -> float:
        """Return how many devices are expected to answer in a round; none is taken to be late.

        Where noise is promised each sum is divided by it (McMahan et al., arXiv 1710.06963): the
        number that answered would tell whether one device has data.
        """
        devices = self.devices
        stays = 1 - devices.dropout_rate
        if self.sampling == "poisson":
            return min(self.cohort, population) * devices.ready * stays
        # Nobody can be asked who is not ready.
        asked = min(self.drawn(population), devices.ready * population)
        return min(self.cohort, asked * stays)

    def promised(self, population: int, rounds: int, times: int) -> list[Guarantee]:
        """Return what noise promises after some rounds.

        Args:
            population: devices in all.
            rounds: so far.
            times: how often the device that took part most often did.
        """
        return guarantees(
            self.stages,
            rounds,
            self.drawn(population),
            population,
            times=max(1, times),
            delta=self._delta(population),
            sampling=self.drawing,
        )

    def for_epsilon(
        self, target: float, population: int, *, out: str | os.PathLike[str] | None = None
    ) -> "Plan":
        """Return the plan whose central noise promises an epsilon, and not less, after all rounds.

        Args:
            target: epsilon, above 0.
            population: devices in all.
            out: folder of the run. If it holds one, that goes on with the noise it has, as long as
                this promises the epsilon for all of its rounds.

        Raises:
            InputError: an epsilon that is not above 0, or a plan without central noise, or with
                other noise besides; or the kept run's noise promises less, and what can be done.
        """
        noise = self._central_noise()
        require_target(target)
        if out is not None and (kept := kept_noise(Path(out))):
            # Noise that was added stays added: a kept run's promise is by the multiplier it began
            # with.
            going_on = self._with_multiplier(noise, kept.multiplier)
            going_on._require_epsilon(target, population, Path(out), kept)
            return going_on
        multiplier = noise_multiplier(
            target,
            self.rounds,
            self.drawn(population),
            population,
            self._delta(population),
            sampling=self.drawing,
        )
        return self._with_multiplier(noise, multiplier)

    def _central_noise(self) -> CentralNoise:
        noises = self.noises
        if len(noises) != 1 or not isinstance(noises[0], CentralNoise):
            raise InputError(
                "target_epsilon: expected one stage of noise, central_noise, whose multiplier is"
                " looked for; of other noise epsilon depends on how often devices take part"
            )
        return noises[0]

    def _delta(self, population: int) -> float:
        if self.delta is None:
            return 1 / (population + 1)
        return self.delta

    def _with_multiplier(self, noise: CentralNoise, multiplier: float) -> "Plan":
        # Told by identity: two stages may be equal.
        number = list(map(id, self.stages)).index(id(noise))
        stages = list(self.stages)
        stages[number] = replace(noise, multiplier=multiplier)
        return replace(self, stages=tuple(stages))

    def _require_epsilon(self, target: float, population: int, out: Path, kept: KeptNoise) -> None:
        """Raise :class:`InputError` where a kept run's noise does not promise an epsilon."""
        rounds = max(self.rounds, kept.rounds)
        epsilon_after = partial(self._epsilon, population)
        promised = epsilon_after(rounds)
        if promised <= target * _SAME:
            return
        # Epsilon rises with the rounds, so that bisection finds the last one that is low enough.
        affordable = bisect_right(range(1, rounds), target * _SAME, key=epsilon_after)
        advice = ""
        if affordable >= kept.rounds:
            advice += f"take {affordable} rounds, "
        if promised < math.inf:
            # Rounded up: the next run must not be refused for the digits that are not printed.
            allowed = math.ceil(promised * 100) / 100
            advice += f"allow a target_epsilon of {allowed:.10g}, "
        raise InputError(
            f"target_epsilon: the run in {out} goes on with the noise that it has, a multiplier of"
            f" {kept.multiplier:.4g}, which promises an epsilon of {promised:.3g} after {rounds}"
            f" rounds, above {target:g}: {advice}or name another folder, to begin again with other"
            " noise"
        )

    def _epsilon(self, population: int, rounds: int) -> float:
        """Return what noise promises after some rounds, whoever takes part in them."""
        promised = self.promised(population, rounds, rounds)
        return min(guarantee.epsilon for guarantee in promised)

    @property
    def alike(self) -> bool:
        """Whether each device counts as any other.

        Always where devices keep a state, as in SCAFFOLD.
        """
        return self.uniform or self.robust is not None or self.algorithm.corrects

    @property
    def structure(self) -> Structure | None:
        """Where devices learn, if one of the stages says so."""
        for stage in self.stages:
            if isinstance(stage, Structured):
                return stage.structure
        return None
