"""The one latency harness: candidates side by side, in one process, in turns.

Machines drift (clock rates, caches, neighbours), so candidates that are timed one after another are timed under
unlike conditions. Here every round runs each candidate once, in a random order that the seed fixes, and a candidate's
figures come from its samples of all rounds. Wall time says what a person waits; CPU time what a battery pays.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from handheld.errors import InputError

_LONGEST = 100  # times `rounds`, whatever `min_seconds` asks for
_WINDOW, _WINDOWS, _STEADY = (
    3,
    10,
    0.98,
)  # calls compared while warming up, how often, and what counts as no faster


@dataclass(frozen=True)
class Timing:
    """Figures of one candidate, in seconds of one call.

    Args:
        median, p90, p95, min: of wall time; percentiles are interpolated between samples.
        iqr: distance of the quartiles of wall time, a measure of the noise.
        cpu_median: median CPU time of the process, all of its threads together.
        runs: number of samples.
    """

    median: float
    p90: float
    p95: float
    min: float
    iqr: float
    cpu_median: float
    runs: int


def measure(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 30,
    warmup: int | None = None,
    min_seconds: float = 0.0,
    seed: int = 0,
    pin: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> dict[str, Timing]:
    """Time callables against each other.

    Args:
        candidates: what to call, by name; each is called without arguments and its result is dropped.
        rounds: samples of each candidate, at least.
        warmup: calls of each candidate before the first sample, which are not counted; None: until it gets no faster.
        min_seconds: further rounds are added until every candidate has run for this long (at most 100 times
            ``rounds``).
        seed: of the order within each round.
        pin: number of a CPU core to keep the calling thread on, where the system can do that.
        clock: wall time in seconds.
        cpu_clock: CPU time in seconds.

    Returns:
        A timing for each candidate, in the order of ``candidates``.

    Raises:
        InputError: no candidate, fewer than one round, or no such core.

    >>> measure({"sum": lambda: sum(range(100))}, rounds=5)["sum"].runs
    5
    """
    if not candidates or rounds < 1 or (warmup or 0) < 0:
        raise InputError(
            f"{len(candidates)} candidates, {rounds} rounds, {warmup} warm-ups: expected 1, 1, 0 or more"
        )
    names, rng = list(candidates), np.random.default_rng(seed)
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    totals = dict.fromkeys(names, 0.0)
    with _pinned(pin):
        for call in candidates.values():
            _warm_up(call, warmup, clock)
        for done in range(_LONGEST * rounds):
            if done >= rounds and min(totals.values()) >= min_seconds:
                break
            for position in rng.permutation(len(names)):
                name = names[position]
                samples[name].append(_sample(candidates[name], clock, cpu_clock))
                totals[name] += samples[name][-1][0]
    return {name: _timing(samples[name]) for name in names}


def _warm_up(call: Callable[[], object], calls: int | None, clock: Callable[[], float]) -> None:
    """Call so often; or until the median of a few calls is no longer lower than that of as many before."""
    for _ in range(calls or 0):
        call()
    before = math.inf
    for _ in range(_WINDOWS if calls is None else 0):
        times = []
        for _ in range(_WINDOW):
            started = clock()
            call()
            times.append(clock() - started)
        if (median := float(np.median(times))) > _STEADY * before:
            return
        before = median


def _sample(
    call: Callable[[], object], clock: Callable[[], float], cpu_clock: Callable[[], float]
) -> tuple[float, float]:
    cpu, wall = cpu_clock(), clock()
    call()
    return clock() - wall, cpu_clock() - cpu


def _timing(samples: list[tuple[float, float]]) -> Timing:
    wall, cpu = np.array(samples).T
    low, median, high, p90, p95 = map(float, np.percentile(wall, (25, 50, 75, 90, 95)))
    return Timing(
        median, p90, p95, float(wall.min()), high - low, float(np.median(cpu)), len(samples)
    )


@contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """Keep the calling thread on one core; threads that exist already stay where they are."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
    except (OSError, ValueError) as error:
        raise InputError(
            f"core {core} cannot be used; this process may use {sorted(before)}"
        ) from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
