"""The one latency harness: candidates side by side, in one process, in turns.

Machines drift (clock rates, caches, neighbours), so candidates that are timed one after another are
timed under unlike conditions. Here every round runs each candidate once, in a random order that the
seed fixes, and a candidate's figures come from its samples of all rounds. Wall time says what a
person waits; CPU time what a battery pays.

``measure`` gives figures, ``sample`` each call's times, for whoever judges them by other rules.
"""

import math
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

Clock = Callable[[], float]
"""Returns a time in seconds."""

# Times `rounds`, where nobody says how many they may be: a candidate that does nothing would never
# reach `min_seconds`.
_LONGEST = 100

# Warming up ends when a few calls are hardly faster than those before. A median of three ignores
# one call that was disturbed; ten times three calls warm any model that we have seen.
_WINDOW = 3
_WINDOWS = 10
_STEADY = 0.98


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


class StagedCall(NamedTuple):
    """A call of which a part alone is timed.

    Args:
        call: what is timed.
        before: called ahead of each call, as to put the next input in its place; not timed.
        after: called with what the call returned; not timed. Not after a warm-up call.
    """

    call: Callable[[], Any]
    before: Callable[[], object]
    after: Callable[[Any], object]


Candidate = Callable[[], object] | StagedCall
"""What can be timed."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The times of one candidate's calls, in seconds, in their order.

    Args:
        warmup: (n,) wall time of the calls before the first sample.
        wall: (runs,) wall time.
        cpu: (runs,) CPU time of the process, all of its threads together.
    """

    warmup: NDArray[np.float64]
    wall: NDArray[np.float64]
    cpu: NDArray[np.float64]

    def timing(self) -> Timing:
        """Return the figures of the samples."""
        percentiles = np.percentile(self.wall, (25, 50, 75, 90, 95))
        low, median, high, p90, p95 = map(float, percentiles)
        return Timing(
            median=median,
            p90=p90,
            p95=p95,
            min=float(self.wall.min()),
            iqr=high - low,
            cpu_median=float(np.median(self.cpu)),
            runs=len(self.wall),
        )


def _staged(candidate: Candidate) -> StagedCall:
    if isinstance(candidate, StagedCall):
        return candidate
    return StagedCall(candidate, _nothing, _dropped)


def _nothing() -> None:
    pass


def _dropped(result: object) -> None:
    pass


def _seconds() -> "array[float]":
    return array("d")


@dataclass
class _Entry:
    """A candidate, and its samples in seconds."""

    staged: StagedCall
    # Arrays of C: a minute of calls of ten microseconds is six million samples.
    warmup: "array[float]" = field(default_factory=_seconds)
    wall: "array[float]" = field(default_factory=_seconds)
    cpu: "array[float]" = field(default_factory=_seconds)
    total: float = 0.0

    def sample(self, clock: Clock, cpu_clock: Clock) -> None:
        call = self.staged.call
        self.staged.before()
        # Wall time innermost: reading the CPU clock is a system call, and takes longer.
        cpu_start = cpu_clock()
        start = clock()
        result = call()
        wall = clock() - start
        self.cpu.append(cpu_clock() - cpu_start)
        self.wall.append(wall)
        self.total += wall
        self.staged.after(result)

    def warm_up(self, clock: Clock) -> float:
        """Call once and return the seconds that it took."""
        self.staged.before()
        start = clock()
        self.staged.call()
        wall = clock() - start
        self.warmup.append(wall)
        return wall

    def samples(self) -> Samples:
        return Samples(*map(np.array, (self.warmup, self.wall, self.cpu)))


def measure(  # noqa: PLR0913  # options by keyword, each by itself
    candidates: Mapping[str, Candidate],
    *,
    rounds: int = 30,
    warmup: int | None = None,
    min_seconds: float = 0.0,
    seed: int = 0,
    pin: int | None = None,
    clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time,
) -> dict[str, Timing]:
    """Time callables against each other.

    Args:
        candidates: what to call, by name; each is called without arguments and its result is
            dropped.
        rounds: samples of each candidate, at least.
        warmup: calls of each candidate before the first sample, which are not counted; None: until
            it gets no faster.
        min_seconds: further rounds are added until every candidate has run for this long (at most
            100 times ``rounds``).
        seed: of the order within each round.
        pin: number of a CPU core to keep the calling thread on, where the system can do that.
        clock: wall time in seconds.
        cpu_clock: CPU time in seconds.

    Returns:
        A timing for each candidate, in the order of ``candidates``.

    Raises:
        InputError: no candidate, a number out of range, or no such core.

    >>> measure({"sum": lambda: sum(range(100))}, rounds=5)["sum"].runs
    5
    """
    samples = sample(
        candidates,
        rounds=rounds,
        warmup=warmup,
        min_seconds=min_seconds,
        seed=seed,
        pin=pin,
        clock=clock,
        cpu_clock=cpu_clock,
    )
    return {name: one.timing() for name, one in samples.items()}


def sample(  # noqa: PLR0913  # options by keyword, each by itself
    candidates: Mapping[str, Candidate],
    *,
    rounds: int = 30,
    warmup: int | None = None,
    min_seconds: float = 0.0,
    max_rounds: int | None = None,
    seed: int = 0,
    pin: int | None = None,
    clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time,
) -> dict[str, Samples]:
    """Time callables against each other, and return the time of each call.

    Takes and raises what :func:`measure` does, and ``max_rounds``: rounds at most, whatever
    ``min_seconds`` asks for; None: 100 times ``rounds``.
    """
    _check_counts(len(candidates), rounds, warmup)
    if max_rounds is None:
        max_rounds = _LONGEST * rounds
    whole_in_range("max_rounds", max_rounds, low=rounds)
    whole_in_range("seed", seed, low=0)
    in_range("min_seconds", min_seconds, low=0)
    if pin is not None:
        whole_in_range("pin", pin, low=0)
    entries = [_Entry(_staged(candidate)) for candidate in candidates.values()]
    rng = np.random.default_rng(seed)  # whoever runs first warms the caches for the others
    with pinned(pin):
        for entry in entries:
            _warm_up(entry, warmup, clock)
        for finished in range(max_rounds):
            if finished >= rounds and _shortest(entries) >= min_seconds:
                break
            # drawing an order of one would take longer than the rest of the round
            order: Iterable[int] = (0,)
            if len(entries) > 1:
                order = rng.permutation(len(entries))
            for position in order:
                entries[position].sample(clock, cpu_clock)
    samples = map(_Entry.samples, entries)
    return dict(zip(candidates, samples, strict=True))


def _shortest(entries: Sequence[_Entry]) -> float:
    """Return the seconds for which the candidate that ran least has run."""
    return min(entry.total for entry in entries)


def _check_counts(candidates: int, rounds: int, warmup: int | None) -> None:
    if not candidates:
        raise InputError("candidates: expected one callable or more by name, got none")
    whole_in_range("rounds", rounds, low=1)
    if warmup is not None:
        whole_in_range("warmup", warmup, low=0)


def _warm_up(entry: _Entry, calls: int | None, clock: Clock) -> None:
    """Call ``calls`` times; None: until a few calls are no faster than as many before."""
    if calls is not None:
        for _ in range(calls):
            entry.warm_up(clock)
        return
    before = math.inf
    for _ in range(_WINDOWS):
        times = [entry.warm_up(clock) for _ in range(_WINDOW)]
        median = float(np.median(times))
        if median > _STEADY * before:
            return
        before = median


def last_core() -> int | None:
    """Return the last core that this process may use; None where a system does not say which.

    The last one, as the first mostly serves the system's interrupts.
    """
    if not hasattr(os, "sched_getaffinity"):  # of Linux alone
        return None
    return max(os.sched_getaffinity(0))


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep the calling thread on one core; threads that exist already stay where they are.

    Args:
        core: its number; None: the thread stays free, as it does where a system cannot do that.

    Raises:
        InputError: this process may not use the core.
    """
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
    except (OSError, ValueError, OverflowError) as error:
        raise _unusable(core, before) from error
    try:
        # A container may take the wish and keep its own mask.
        if os.sched_getaffinity(0) != {core}:
            raise _unusable(core, before)
        yield
    finally:
        os.sched_setaffinity(0, before)


def _unusable(core: int, before: set[int]) -> InputError:
    problem = f"core {core} cannot be used"
    return InputError(f"{problem}; this process may use {sorted(before)}")
