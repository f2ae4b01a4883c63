"""Several models side by side: ratios that are larger than the noise, and no others."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.bench.conditions import RunConditions, conditions_between
from handheld.bench.metric import MetricEstimate, quantile
from handheld.bench.noise import noise
from handheld.bench.protocol import BenchProtocol
from handheld.bench.run import (
    MOST_CALLS,
    BenchTools,
    chosen_core,
    evidence_of,
    runtime_errors,
    with_reserve,
)
from handheld.bench.trust import RunEvidence, TrustVerdict, verdict
from handheld.engine import Model
from handheld.engine.measure import Samples, StagedCall, pinned, sample
from handheld.errors import InputError

_RESAMPLES = 1000
_MOST_RESAMPLED = 5000  # rounds; of more, each second or third
_ENDS = (0.025, 0.975)  # of a 95 % interval
_TWIN = "the first, once more"


@dataclass(frozen=True)
class ComparedModel:
    """A model beside the first.

    Args:
        name: of the file.
        file: where it was.
        median: seconds of a call, with its interval.
        ratio: its time divided by that of the first; None where the difference is no larger than
            the noise, where one of the two runs is INVALID, and for the first itself.
        low, high: the interval of that, which is told in any case.
        verdict: whether its times can be trusted.
    """

    name: str
    file: str
    median: MetricEstimate
    ratio: float | None
    low: float
    high: float
    verdict: TrustVerdict


@dataclass(frozen=True)
class Comparison:
    """Models that took turns.

    Args:
        models: the first, and those beside it.
        noise: by what share two copies of the first differ, the far end of their interval.
        rounds: calls of each.
        conditions: that all of them had.
    """

    models: tuple[ComparedModel, ...]
    noise: float
    rounds: int
    conditions: RunConditions

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against any of them."""
        return all(model.verdict.valid for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        values: dict[str, Any] = asdict(self)
        return values


def compare(
    paths: Sequence[str | PathLike[str]],
    *,
    protocol: BenchProtocol | None = None,
    tools: BenchTools | None = None,
) -> Comparison:
    """Measure files in turns, in random order, in one process on one core.

    A second copy of the first takes part: by how much the two differ is what this machine calls a
    difference where there is none. A ratio is given only where its whole interval lies beyond that.

    Args:
        paths: two files or more.
        protocol: of which the queries, the seconds, threads, core and seed count.
        tools: clocks and counters.

    Raises:
        InputError: fewer than two files.
        ModelError: one cannot be opened or run.
    """
    if len(paths) < 2:
        raise InputError(f"expected two models or more, got {len(paths)}")
    protocol = protocol or BenchProtocol()
    tools = tools or BenchTools()
    names = _distinct(list(map(Path, paths)))
    with ExitStack() as stack:
        models = {}
        for name, path in zip((*names, _TWIN), (*paths, paths[0]), strict=True):
            models[name] = stack.enter_context(Model.open(path, threads=protocol.threads))
        core = chosen_core(protocol)
        calls = {name: _staged(model) for name, model in models.items()}
        with pinned(core), runtime_errors(", ".join(names)):
            before = tools.snapshot(core)
            samples = sample(
                calls,
                rounds=with_reserve(protocol.min_queries),
                min_seconds=with_reserve(protocol.min_seconds),
                max_rounds=MOST_CALLS,
                seed=protocol.seed,
                clock=tools.clock,
                cpu_clock=tools.cpu_clock,
            )
            conditions = conditions_between(before, tools.snapshot(core))
        apart = {name: model.isolated for name, model in models.items()}
    floor = _noise(samples, names[0], protocol.seed)
    evidence = {
        name: evidence_of(samples[name], conditions, apart=apart[name], core=core) for name in names
    }
    files = dict(zip(names, map(str, paths), strict=True))
    compared = _compared(files, evidence, samples, protocol, floor)
    rounds = len(samples[names[0]].wall)
    return Comparison(compared, floor, rounds, conditions)


def _compared(
    files: Mapping[str, str],
    evidence: Mapping[str, RunEvidence],
    samples: Mapping[str, Samples],
    protocol: BenchProtocol,
    floor: float,
) -> tuple[ComparedModel, ...]:
    """Set each model beside the first."""
    compared: list[ComparedModel] = []
    first = samples[next(iter(files))].wall
    for name, file in files.items():
        wall = samples[name].wall
        low, high = _interval(wall, first, protocol.seed)
        median = quantile(evidence[name].wall, 0.5)
        judged = verdict(evidence[name], protocol)
        ratio = None
        # The first itself has none, and nothing rests on a run that cannot be trusted.
        if compared and judged.valid and compared[0].verdict.valid:
            ratio = _ratio(wall, first, (low, high), floor)
        compared.append(ComparedModel(name, file, median, ratio, low, high, judged))
    return tuple(compared)


def _distinct(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: without its ending, or with its folder where two are alike."""
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = list(map(str, paths))
    distinct: list[str] = []
    for name in names:
        unique = name
        number = 2
        while unique in distinct:
            unique = f"{name} ({number})"
            number += 1
        distinct.append(unique)
    return distinct


def _staged(model: Model) -> StagedCall:
    arrays = noise(model)

    def load() -> None:
        for position, array in enumerate(arrays):
            np.copyto(model.input_view(position), array)

    return StagedCall(model.stages().compute, load, _ignored)


def _ignored(outputs: object) -> None:
    pass


def _interval(
    times: NDArray[np.float64], first: NDArray[np.float64], seed: int
) -> tuple[float, float]:
    """Return the 95 % interval of a ratio of medians, by resampling rounds.

    Rounds and not calls: what disturbed a round disturbed both.
    """
    # A thousand medians of all rounds of a short call would take longer than the run.
    step = -(-len(times) // _MOST_RESAMPLED)
    times = times[::step]
    first = first[::step]
    rng = np.random.default_rng(seed)
    count = len(times)
    ratios = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(count, size=count)
        ratios.append(np.median(times[drawn]) / np.median(first[drawn]))
    low, high = np.quantile(ratios, _ENDS).tolist()
    return low, high


def _noise(samples: dict[str, Samples], first: str, seed: int) -> float:
    low, high = _interval(samples[_TWIN].wall, samples[first].wall, seed)
    return max(abs(low - 1), abs(high - 1))


def _ratio(
    times: NDArray[np.float64],
    first: NDArray[np.float64],
    interval: tuple[float, float],
    floor: float,
) -> float | None:
    """Return a ratio of medians; None where it may be noise."""
    low, high = interval
    is_slower = low > 1 + floor
    is_faster = high < 1 - floor
    if is_slower or is_faster:
        return float(np.median(times) / np.median(first))
    return None
