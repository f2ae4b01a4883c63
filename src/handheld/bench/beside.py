"""Results of several devices side by side: latencies as multiples of calibration models'."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from handheld.bench.calibration import NormalisedTime, normalised_times
from handheld.bench.metric import MetricEstimate
from handheld.bench.run import BenchResult
from handheld.reports import NONE, seconds_text

ESTIMATED = (
    "Times a calibration model's time is an estimate of what a device would take, and no "
    "measurement: its interval holds the uncertainty of both times within their runs, and not that "
    "machines differ by kind of work. Where the columns disagree, none is right alone."
)
"""What must be said beside such figures."""


@dataclass(frozen=True)
class BesideRow:
    """One result among those of several devices.

    Args:
        model: its name.
        device: on which it ran.
        profile: name of the device's profile; "" where it has none.
        valid: whether the run and the calibration can be trusted.
        median: seconds of a call.
        times: the median as multiples of calibration models'; () without a profile.
    """

    model: str
    device: str
    profile: str
    valid: bool
    median: MetricEstimate
    times: tuple[NormalisedTime, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        values: dict[str, Any] = asdict(self)
        return values

    def text_of(self, sha256: str) -> str:
        """Return the multiple of a calibration model's time in words; a dash if there is none."""
        for time in self.times:
            if time.sha256 == sha256:
                return ratio_text(time.ratio)
        return NONE


def beside(results: Sequence[BenchResult]) -> list[BesideRow]:
    """Return results as they stand beside each other, those of one model together."""
    rows = []
    for result in results:
        profile = result.calibration
        rows.append(
            BesideRow(
                model=result.model.name,
                device=result.device,
                profile=profile.name if profile else "",
                # A multiple of a time that cannot be trusted cannot be either.
                valid=result.verdict.valid and (profile is None or profile.valid),
                median=result.latency.p50,
                times=tuple(normalised_times(result.latency.p50, profile)),
            )
        )
    # From the last to the first: of a name that comes twice the first place stays.
    order = {result.model.name: number for number, result in reversed(list(enumerate(results)))}
    return sorted(rows, key=lambda row: order[row.model])


def works_of(rows: Sequence[BesideRow]) -> dict[str, str]:
    """Return the work of each calibration model by its hash: of another version it is another."""
    works = {}
    for row in rows:
        for time in row.times:
            works[time.sha256] = time.work
    return works


def beside_head(rows: Sequence[BesideRow]) -> list[str]:
    """Return the names of the columns of :func:`beside_words`."""
    works = [f"x {work}" for work in works_of(rows).values()]
    return ["model", "device", "profile", "run", "p50", *works]


def beside_words(rows: Sequence[BesideRow]) -> list[list[str]]:
    """Return the rows in words."""
    works = works_of(rows)
    table = []
    for row in rows:
        word = "VALID" if row.valid else "INVALID"
        cells = [row.model, row.device, row.profile or NONE, word, seconds_text(row.median.value)]
        table.append([*cells, *map(row.text_of, works)])
    return table


def ratio_text(ratio: MetricEstimate) -> str:
    """Write a multiple with its interval.

    >>> ratio_text(MetricEstimate(3.0, 1.5, 6.0, 100))
    '3.00 (1.50 to 6.00)'
    """
    words = _digits(ratio.value)
    if not math.isfinite(ratio.low + ratio.high):
        return f"{words} (no interval)"
    return f"{words} ({_digits(ratio.low)} to {_digits(ratio.high)})"


def _digits(number: float) -> str:
    """Write a number with three digits."""
    return f"{number:#.3g}".removesuffix(".")
