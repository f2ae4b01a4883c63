"""Results that were written before, or elsewhere: read back, and checked before they are used.

A result that comes from another machine is untrusted: it may hold what is no number, or a gigabyte
of text. What passes here has the form of a result, and figures that a run can have.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from handheld.bench.facts import ModelFacts
from handheld.bench.metric import MetricEstimate, WallTimeScore
from handheld.bench.record import read_records
from handheld.bench.run import BenchResult, LatencyFigures
from handheld.config import from_table
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

_LONGEST = 10.0**6  # seconds of one call; of a whole run too
_MOST_COUNT = 2**63 - 1
_MOST_ENTRIES = 10_000  # of a list or a table: operators, reasons, budgets
_LONGEST_TEXT = 10_000  # characters
_DEEPEST = 12  # levels of tables in tables


def result_of(values: object, location: str = "result") -> BenchResult:
    """Return a result as ``BenchResult.to_json`` wrote it, in JSON: null stands for NaN there.

    Args:
        values: what JSON had.
        location: of messages.

    Raises:
        InputError: it is no result, or holds figures that no run has; names the entry.
    """
    # First: messages about what is wrong repeat what came.
    _require_bounded(values, location)
    result = from_table(BenchResult, _with_nans(BenchResult, values), location)
    try:
        _require_plausible(result)
    except InputError as error:
        raise InputError(f"{location}.{error}") from error
    return result


def read_results(path: str | os.PathLike[str]) -> list[BenchResult]:
    """Return the results of a file that ``handheld bench --record`` wrote.

    Raises:
        InputError: it cannot be read, or a line is no result.
    """
    results = []
    for number, record in enumerate(read_records(path), 1):
        results.append(result_of(record, f"{os.fspath(path)}, result {number}"))
    return results


def _with_nans(hint: Any, value: Any) -> Any:
    """Return a value in which null is NaN wherever a field is a number and nothing else."""
    if hint is float and value is None:
        return math.nan
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _table_with_nans(hint, value)
    for option in get_args(hint):
        if isinstance(value, list):
            return [_with_nans(option, entry) for entry in value]
        if is_dataclass(option):
            return _with_nans(option, value)
    return value


def _table_with_nans(dataclass: Any, table: Mapping[Any, Any]) -> dict[Any, Any]:
    hints = get_type_hints(dataclass)
    known = {field.name for field in fields(dataclass)}
    restored = dict(table)
    for name in known & restored.keys():
        restored[name] = _with_nans(hints[name], restored[name])
    return restored


def _require_bounded(value: object, location: str, depth: int = 0) -> None:
    """Refuse texts and tables that are larger than any result's."""
    if depth > _DEEPEST:
        raise InputError(f"{location}: tables in tables, too many for a result")
    entries: Sequence[object] = ()
    if isinstance(value, str):
        _require_short(len(value), _LONGEST_TEXT, location)
    elif isinstance(value, list):
        entries = value
    elif isinstance(value, dict):
        entries = [*value.keys(), *value.values()]
    # Twice: of a table keys and values both count.
    _require_short(len(entries), 2 * _MOST_ENTRIES, location)
    for entry in entries:
        _require_bounded(entry, location, depth + 1)


def _require_short(size: int, longest: int, location: str) -> None:
    if size > longest:
        raise InputError(f"{location}: {size:,} characters or entries, too many for a result")


def _require_plausible(result: BenchResult) -> None:
    """Refuse figures that no run has. Raises :class:`InputError`, which names the entry."""
    _check_latency(result.latency)
    _check_model(result.model)
    whole_in_range("examples", result.examples, low=0, high=_MOST_COUNT)
    if result.core is not None:
        whole_in_range("core", result.core, low=0, high=_MOST_COUNT)
    if result.joules is not None:
        in_range("joules", result.joules, low=0)
    if result.memory is not None:
        whole_in_range("memory.process", result.memory.process, low=0, high=_MOST_COUNT)
    if result.accuracy is not None:
        _check_share("accuracy", result.accuracy)
    for number, score in enumerate(result.scores):
        _check_score(f"scores[{number}]", score)
    if result.verdict.valid and result.verdict.reasons:
        raise InputError("verdict: it is valid, and gives reasons against it")
    for name, seconds in (result.operator_seconds or {}).items():
        in_range(f"operator_seconds.{name}", seconds, low=0, high=_LONGEST)


def _check_latency(latency: LatencyFigures) -> None:
    for name in ("open", "first", "warmup_seconds", "mean", "cpu", "seconds"):
        _check_seconds(f"latency.{name}", getattr(latency, name))
    for name in ("warmup_calls", "calls"):
        whole_in_range(f"latency.{name}", getattr(latency, name), low=0, high=_MOST_COUNT)
    for name in ("p50", "p90", "p99"):
        estimate: MetricEstimate = getattr(latency, name)
        for end in ("value", "low", "high"):
            _check_seconds(f"latency.{name}.{end}", getattr(estimate, end))
        _check_interval(f"latency.{name}", estimate)
    # Rates and ratios are divided by them.
    for name, seconds in (("p50.value", latency.p50.value), ("mean", latency.mean)):
        if seconds == 0:
            raise InputError(f"latency.{name}: expected a time above 0, got 0")


def _check_model(model: ModelFacts) -> None:
    for name in ("bytes", "macs", "parameters"):
        whole_in_range(f"model.{name}", getattr(model, name), low=0, high=_MOST_COUNT)


def _check_seconds(name: str, seconds: float) -> None:
    """Refuse what is no time; NaN is one that the device does not tell."""
    if not math.isnan(seconds):
        in_range(name, seconds, low=0, high=_LONGEST)


def _check_share(name: str, estimate: MetricEstimate) -> None:
    for end in ("value", "low", "high"):
        number = getattr(estimate, end)
        if not math.isnan(number):
            in_range(f"{name}.{end}", number, low=0, high=1)
    _check_interval(name, estimate)


def _check_score(name: str, score: WallTimeScore) -> None:
    _check_share(f"{name}.score", score.score)
    whole_in_range(f"{name}.reached", score.reached, low=0, high=_MOST_COUNT)
    whole_in_range(f"{name}.examples", score.examples, low=0, high=_MOST_COUNT)


def _check_interval(name: str, estimate: MetricEstimate) -> None:
    whole_in_range(f"{name}.count", estimate.count, low=0, high=_MOST_COUNT)
    if estimate.low > estimate.high:
        raise InputError(f"{name}: its interval ends ({estimate.high}) before it begins")
