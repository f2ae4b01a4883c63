"""What ``benchmark_model``, the benchmark binary of LiteRT and TensorFlow Lite, prints.

Its lines are those of ``benchmark_model.cc``, ``stat.h`` and ``profile_summarizer.cc``: all times
in microseconds, but those by operator in milliseconds. Nothing here is computed from what it does
not say: it gives no times of single calls.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from handheld.errors import DeviceError

_MICROSECOND = 1e-6
_MILLISECOND = 1e-3
_MEGABYTE = 1 << 20  # the tool divides kilobytes of the kernel by 1024
_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_TIMINGS = re.compile(rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, ")
_STATISTICS = re.compile(r"\bcount=(\d{1,15})((?: \w+=[\d.e+-]+)+)")
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}")
_OVERALL = re.compile(
    rf"Memory footprint delta from the start of the tool \(MB\): .*overall={_NUMBER}"
)
_REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs"
_TABLE = "= Run Order ="
# Older builds put tabs between cells, newer ones spaces alone; a name may hold single ones.
_CELL_END = re.compile(r"\s*\t\s*|\s{2,}")
_HEADING = re.compile(r"\[([^\]]+)\]")
# Old builds name them so, and give no first call.
_AVERAGES = re.compile(r"Average inference timings in us: .*")
_FAILURES = ("ERROR:", "Benchmarking failed", "Failed to ", "not found", "Permission denied")
_LONGEST = 300
_MOST_OPERATORS = 10_000


@dataclass(frozen=True)
class RunStatistics:
    """What the tool says of calls that it counted, in seconds; None: this build does not say it.

    Args:
        count: of calls.
        mean, min, max, deviation: of their times.
        median, p5, p95: likewise, of newer builds.
    """

    count: int
    mean: float
    min: float
    max: float
    deviation: float
    median: float | None
    p5: float | None
    p95: float | None


@dataclass(frozen=True)
class BinaryLog:
    """What one run of the tool said.

    Args:
        open: seconds of opening the model.
        first: of the first call.
        warmup: calls before those that count.
        regular: those that count.
        peak_bytes: of memory, for the whole process, by looking now and then; None: not said.
        model_bytes: by how much memory grew from the start of the tool; None likewise.
        operators: seconds of one call by operator, the longest first; {} where it was not asked.
    """

    open: float
    first: float
    warmup: RunStatistics
    regular: RunStatistics
    peak_bytes: int | None
    model_bytes: int | None
    operators: dict[str, float]


def parse_log(text: str) -> BinaryLog:
    """Read what the tool printed.

    Raises:
        DeviceError: it failed, in its words, or it is another tool.
    """
    # The first two are of the warm-up and of the calls; a profile has more of them at its end.
    statistics = [_statistics(match) for match in islice(_STATISTICS.finditer(text), 2)]
    timings = _TIMINGS.search(text)
    averages = _AVERAGES.search(text)
    if timings is None and averages is not None:
        raise DeviceError(
            "this benchmark_model is an old one, and tells averages alone "
            f"({averages[0]:.{_LONGEST}}): fetch or build a newer one"
        )
    if timings is None or len(statistics) < 2 or not statistics[1].count:
        raise DeviceError(f"benchmark_model gave no times: {failure_of(text)}")
    return BinaryLog(
        open=_seconds(timings[1]),
        first=_seconds(timings[2]),
        warmup=statistics[0],
        regular=statistics[1],
        peak_bytes=_bytes(_PEAK.search(text)),
        model_bytes=_bytes(_OVERALL.search(text)),
        operators=_operators(text),
    )


def failure_of(text: str) -> str:
    """Return the line of an output that says what failed: the first error, else the last line."""
    lines = [line.strip()[:_LONGEST] for line in text.splitlines() if line.strip()]
    for line in lines:
        if any(sign in line for sign in _FAILURES):
            return line
    return lines[-1] if lines else "it printed nothing"


def _statistics(match: re.Match[str]) -> RunStatistics:
    values = dict(entry.split("=") for entry in match[2].split())

    def seconds(name: str) -> float | None:
        if name not in values:
            return None
        return _seconds(values[name])

    return RunStatistics(
        count=int(match[1]),
        mean=seconds("avg") or 0.0,
        min=seconds("min") or 0.0,
        max=seconds("max") or 0.0,
        deviation=seconds("std") or 0.0,
        median=seconds("median"),
        p5=seconds("p5"),
        p95=seconds("p95"),
    )


def _seconds(text: str) -> float:
    return _float(text) * _MICROSECOND


def _float(text: str) -> float:
    """Return a number that is measured: neither infinite nor below 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise DeviceError(f"benchmark_model printed {text!r:.40}, expected a number of 0 or more")
    return number


def _bytes(match: re.Match[str] | None) -> int | None:
    # A difference of two looks at memory may be below 0: nothing is known then.
    if match is None or match[1].startswith("-"):
        return None
    return round(_float(match[1]) * _MEGABYTE)


def _operators(text: str) -> dict[str, float]:
    """Return the seconds of each operator: of the regular runs, where those of opening stand apart.

    The table "Run Order" and no summary by type: older builds divide that by the wrong number.
    """
    profile = text.partition(_REGULAR)[2] or text
    _, found_table, table = profile.partition(_TABLE)
    if not found_table:
        return {}
    lines = table.splitlines()[1:]
    if not lines:
        return {}
    headings = [heading.strip().lower() for heading in _HEADING.findall(lines[0])]
    if "node type" not in headings or "avg ms" not in headings:
        return {}
    operators: dict[str, float] = {}
    for line in lines[1:_MOST_OPERATORS]:
        cells = _CELL_END.split(line.strip())
        # An empty line, or the next table's heading, ends this one.
        if len(cells) < len(headings):
            break
        row = dict(zip(headings, cells, strict=False))
        name = row["node type"][:_LONGEST]
        operators[name] = operators.get(name, 0.0) + _row_seconds(row)
    return dict(sorted(operators.items(), key=lambda entry: -entry[1]))


def _row_seconds(row: Mapping[str, str]) -> float:
    """Return the seconds that a node takes in one run."""
    # The average is that of one call; the oldest builds count none.
    calls = max(1.0, _float(row.get("times called", "1")))
    return _float(row["avg ms"]) * calls * _MILLISECOND
