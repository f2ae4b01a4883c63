"""Whether a run can be trusted: VALID or INVALID, and why.

As with MLPerf's LoadGen a run has a verdict beside its figures. Queries and seconds are its rule;
the others ask whether the machine was the model's own while it ran. The bounds are ours: on a quiet
machine runs stay well within them, and two busy processes beside a run lead out
(``benchmarks/bench_agreement.py``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.bench.conditions import RunConditions
from handheld.bench.metric import quantile
from handheld.bench.protocol import OFFICIAL_QUERIES, OFFICIAL_SECONDS, BenchProtocol

# Shares of the measured core, and of all cores: kernel and idle services stay below a hundredth,
# and the counters are known to 10 ms.
_MOST_CORE_OTHERS = 0.03
_MOST_ALL_OTHERS = 0.15
_TICK = 0.01
_MOST_STOLEN = 0.02
_MOST_PRESSURE = 0.10
# A second: the kernel's own threads take a core some ten times, a busy process hundreds of times.
_MOST_PREEMPTIONS = 50.0
_MOST_CLOCK_CHANGE = 0.05
# Of the median: quartiles of a model alone on a core lie within 2 to 3 %.
_MOST_SPREAD = 0.10
_MOST_DRIFT = 0.05
# CPU seconds for each second of wall time, of one thread.
_LEAST_RUNNING = 0.95
_MOST_RUNNING = 1.10
_SEGMENTS = 3
# Below that the reading of clocks is a part of what is measured, of CPU time above all: some
# microseconds of it are spent outside of the wall time.
_SHORT_CALL = 50e-6


@dataclass(frozen=True)
class TrustVerdict:
    """What to think of a run.

    Args:
        valid: whether nothing speaks against it.
        reasons: what does, a sentence each; () if it is valid.
        notes: what to know of it anyway.
    """

    valid: bool
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """VALID or INVALID."""
        if self.valid:
            return "VALID"
        return "INVALID"


@dataclass(frozen=True, eq=False)
class RunEvidence:
    """What a verdict is formed on.

    Args:
        wall: (n,) seconds of the counted calls, in order, without the warm-up.
        cpu: (n,) CPU seconds of the process in them.
        settled: whether the warm-up came to an end within the run's first half.
        conditions: of the counted calls.
        apart: whether the model ran in a process of its own, so that times hold a pipe.
        pinned: whether the thread was kept to one core, and that was verified.
        even: (n,) ``wall`` without what examples of unlike work differ by; None: each call does the
            same.
        warmup: calls from the very first one before the times were steady.
    """

    wall: NDArray[np.float64]
    cpu: NDArray[np.float64]
    settled: bool
    conditions: RunConditions
    apart: bool = False
    pinned: bool = True
    even: NDArray[np.float64] | None = None
    warmup: int = 0

    @property
    def comparable(self) -> NDArray[np.float64]:
        """(n,) seconds that differ by nothing but what goes on while they are taken."""
        if self.even is None:
            return self.wall
        return self.even


def verdict(evidence: RunEvidence, protocol: BenchProtocol) -> TrustVerdict:
    """Return whether a run can be trusted.

    Args:
        evidence: of the run.
        protocol: that it followed.
    """
    reasons = (
        *_too_short(evidence, protocol),
        *_unsteady(evidence),
        *_interrupted(evidence, protocol),
        *_disturbed(evidence.conditions),
        *_slowed(evidence.conditions),
    )
    return TrustVerdict(not reasons, reasons, tuple(_notes(evidence, protocol)))


def enough(queries: int, seconds: float, protocol: BenchProtocol) -> bool:
    """Whether a run is as long as its protocol asks: LoadGen's rule, with its two minima."""
    return queries >= protocol.min_queries and seconds >= protocol.min_seconds


def _too_short(evidence: RunEvidence, protocol: BenchProtocol) -> Iterator[str]:
    queries = len(evidence.wall)
    seconds = float(evidence.wall.sum())
    if enough(queries, seconds, protocol):
        return
    if queries < protocol.min_queries:
        yield f"{queries:,} queries were counted, {protocol.min_queries:,} are needed"
    if seconds < protocol.min_seconds:
        yield f"the queries took {seconds:.3g} s, {protocol.min_seconds:g} s are needed"


def _unsteady(evidence: RunEvidence) -> Iterator[str]:
    wall = evidence.comparable
    if not evidence.settled:
        yield "it was still getting faster when the run was half over"
    low, median, high = np.quantile(wall, (0.25, 0.5, 0.75)).tolist()
    if median <= 0:
        yield "the clock is too coarse: the median call took no time"
        return
    spread = (high - low) / median
    if spread > _MOST_SPREAD:
        yield f"times spread too far: quartiles {spread:.0%} of the median apart"
    drift = _drift(wall)
    if abs(drift) > _MOST_DRIFT:
        word = "slower" if drift > 0 else "faster"
        yield f"it became {word} as it ran: by {abs(drift):.0%} from its first third to its last"


def _drift(wall: NDArray[np.float64]) -> float:
    """Return by what share the last third is slower than the first; 0 where that may be noise."""
    size = len(wall) // _SEGMENTS
    if not size:
        return 0.0
    first = quantile(wall[:size], 0.5)
    last = quantile(wall[-size:], 0.5)
    # Intervals that overlap, or of too few calls to have one: nothing is known.
    is_apart = first.high < last.low or last.high < first.low
    if not is_apart:
        return 0.0
    return last.value / first.value - 1


def _interrupted(evidence: RunEvidence, protocol: BenchProtocol) -> Iterator[str]:
    total = float(evidence.wall.sum())
    # Another process does the work, or there is no time to compare with.
    if evidence.apart or total <= 0:
        return
    running = float(evidence.cpu.sum()) / total
    if running < _LEAST_RUNNING:
        yield f"it was running for {running:.0%} of its own time only: others took the core"
    is_long = float(np.median(evidence.wall)) >= _SHORT_CALL
    if protocol.threads == 1 and is_long and running > _MOST_RUNNING:
        yield f"{running:.2g} cores were busy, although one thread was asked for"


def _disturbed(conditions: RunConditions) -> Iterator[str]:
    # A counter may be a step of 10 ms off at either end.
    slack = 2 * _TICK / conditions.seconds if conditions.seconds > 0 else 0.0
    limits = (
        (conditions.core_others, _MOST_CORE_OTHERS + slack, "others used {:.0%} of its core"),
        (conditions.all_others, _MOST_ALL_OTHERS + slack, "others used {:.0%} of all cores"),
        (
            conditions.core_stolen,
            _MOST_STOLEN + slack,
            "other virtual machines took {:.0%} of its core",
        ),
        (conditions.pressure, _MOST_PRESSURE, "tasks waited for a core for {:.0%} of the time"),
        (conditions.preemptions, _MOST_PREEMPTIONS, "it lost its core {:.0f} times a second"),
    )
    for share, bound, words in limits:
        if share is not None and share > bound:
            yield words.format(share)


def _slowed(conditions: RunConditions) -> Iterator[str]:
    before = conditions.clock_before
    after = conditions.clock_after
    if before and after and abs(after / before - 1) > _MOST_CLOCK_CHANGE:
        yield f"the clock rate went from {before:.0f} to {after:.0f} MHz"
    if conditions.throttled:
        yield f"the core was slowed {conditions.throttled} times because it was hot"


def _notes(evidence: RunEvidence, protocol: BenchProtocol) -> Iterator[str]:
    if not protocol.is_official:
        asked = f"{OFFICIAL_QUERIES:,} queries and {OFFICIAL_SECONDS:g} s"
        yield f"shorter than MLPerf's {asked}: --official asks for them"
    if evidence.even is not None:
        yield "examples are of unlike work: whether times are steady is asked of each beside itself"
    if evidence.apart:
        yield "the model runs in a process of its own: its times hold the way there and back"
    if not evidence.pinned:
        yield "this system keeps no thread to a core"
    if evidence.conditions.clock_before is None:
        yield "this machine does not tell clock rates: their drift is seen in the times alone"
    if float(np.median(evidence.wall)) < _SHORT_CALL:
        yield "calls this short hold the cost of a call from Python: half a microsecond or so"
