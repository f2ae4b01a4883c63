"""The page of a bench: what each model gives, in which time, and whether that can be trusted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from markupsafe import Markup

from handheld.bench.beside import ESTIMATED, beside, beside_head, beside_words
from handheld.bench.metric import MetricEstimate, WallTimeScore
from handheld.bench.protocol import BenchProtocol, ParetoCurve, fit_pareto
from handheld.bench.run import THIS_MACHINE, BenchResult
from handheld.reports import (
    NONE,
    AxisWords,
    ChartLimit,
    Figure,
    FittedCurve,
    Mark,
    ScatterPoint,
    count_text,
    draw_scatter,
    in_two_widths,
    percent,
    seconds_text,
    size_text,
    times,
    write_page,
)

_PACKAGE = "handheld.bench"
_WIDTH = 528  # pixels: half of the page
_HEIGHT = 380
_LETTER = 22  # pixels of a chart's width for each letter of a name
_EQUAL_MACS = 0.02  # share by which equal work may differ
_CLEAR = 1.1  # times: what two models of equal work differ by where it is worth a word


@dataclass(frozen=True)
class EqualWork:
    """Two models of equal multiply-accumulates and unlike latency.

    Args:
        fast, slow: their names.
        macs: of the faster one.
        ratio: of their medians.
    """

    fast: str
    slow: str
    macs: int
    ratio: float


def write_report(
    path: str | Path, results: Sequence[BenchResult], title: str = "Bench", *, note: str = ""
) -> Path:
    """Write a page about models that were measured, and return its path.

    It needs no other file and no network.

    Args:
        path: of the page.
        results: one or more.
        title: of the page.
        note: what to know of the data, below the title.

    Raises:
        FileError: it cannot be written.
    """
    return write_page(
        Path(path), _PACKAGE, "report.html", {**_values(results, title), "note": note}
    )


def pareto_of(results: Sequence[BenchResult]) -> ParetoCurve | None:
    """Return the curve through the models that were judged and can be trusted; None for fewer than
    two of them, and for times of several devices.
    """
    if len(_machines(results)) > 1:
        return None
    return fit_pareto(
        (result.latency.p50.value, result.accuracy.value)
        for result in results
        if result.accuracy is not None and result.verdict.valid
    )


def equal_work(results: Sequence[BenchResult]) -> list[EqualWork]:
    """Return pairs of equal multiply-accumulates and clearly unlike latency, the clearest first.

    A ratio is told only of runs that can be trusted, and whose intervals lie apart.
    """
    pairs = []
    for one, other in combinations(results, 2):
        fast, slow = sorted((one, other), key=lambda result: result.latency.p50.value)
        ratio = slow.latency.p50.value / fast.latency.p50.value
        is_trusted = fast.verdict.valid and slow.verdict.valid
        is_one_device = fast.device == slow.device
        is_apart = fast.latency.p50.high < slow.latency.p50.low
        if is_one_device and is_trusted and is_apart and ratio >= _CLEAR and _alike(fast, slow):
            pairs.append(EqualWork(fast.model.name, slow.model.name, fast.model.macs, ratio))
    return sorted(pairs, key=lambda pair: -pair.ratio)


def _alike(one: BenchResult, other: BenchResult) -> bool:
    larger = max(one.model.macs, other.model.macs)
    return larger > 0 and abs(one.model.macs - other.model.macs) <= _EQUAL_MACS * larger


def interval_text(estimate: MetricEstimate | None, digits: int = 1) -> str:
    """Write a share with its interval.

    >>> interval_text(MetricEstimate(0.9, 0.596, 0.982, 10))
    '90.0 % (59.6 to 98.2)'
    """
    if estimate is None:
        return NONE
    low = percent(estimate.low, digits).removesuffix(" %")
    high = percent(estimate.high, digits).removesuffix(" %")
    return f"{percent(estimate.value, digits)} ({low} to {high})"


def budget_text(seconds: float) -> str:
    """Write a budget as people ask for it.

    >>> budget_text(0.033), budget_text(0.0005)
    ('33 ms', '500 µs')
    """
    value, _, unit = seconds_text(seconds).partition(" ")
    if "." in value:
        value = value.rstrip("0").rstrip(".")
    return f"{value} {unit}"


def score_text(score: WallTimeScore) -> str:
    """Write a score, and how many examples were reached."""
    words = interval_text(score.score)
    if score.reached < score.examples:
        words += f", {score.reached:,} of {score.examples:,} reached"
    return words


def _values(results: Sequence[BenchResult], title: str) -> dict[str, Any]:
    curve = pareto_of(results)
    first = results[0]
    return {
        "title": title,
        "results": results,
        "budgets": {budget: budget_text(budget) for budget in _budgets(results)},
        "curve": curve,
        "gains": [_gain_text(result, curve) for result in results],
        "figures": list(_figures(results, curve)),
        "pairs": equal_work(results),
        "machine": first.machine,
        "machines": _machines(results),
        "beside": _beside_values(results),
        "interval": interval_text,
        "score": _score_at,
        "rate": rate_text,
        "details": detail_texts,
        "dash": NONE,
    }


def _budgets(results: Sequence[BenchResult]) -> list[float]:
    """Return the budgets of all results: those that were recorded apart may have other ones."""
    budgets = dict.fromkeys(results[0].protocol.budgets)
    for result in results:
        budgets |= dict.fromkeys(result.protocol.budgets)
    return list(budgets)


def _score_at(result: BenchResult, budget: float) -> str:
    for score in result.scores:
        if score.budget == budget:
            return score_text(score)
    return NONE


def _machines(results: Sequence[BenchResult]) -> dict[str, dict[str, Any]]:
    """Return what each device says of itself, by its name."""
    machines: dict[str, dict[str, Any]] = {}
    for result in results:
        machines.setdefault(result.device, result.machine)
    return machines


def _beside_values(results: Sequence[BenchResult]) -> dict[str, Any] | None:
    """Return the table of devices side by side; None where no device has a profile."""
    rows = beside(results)
    if not any(row.times for row in rows):
        return None
    return {"head": beside_head(rows), "rows": beside_words(rows), "note": ESTIMATED}


def _gain_text(result: BenchResult, curve: ParetoCurve | None) -> str:
    if curve is None or result.accuracy is None:
        return NONE
    gain = curve.gain(result.accuracy.value, result.latency.p50.value)
    return f"{100 * gain:+.1f} points"


def _figures(results: Sequence[BenchResult], curve: ParetoCurve | None) -> Iterator[Figure]:
    judged = [result for result in results if result.accuracy is not None]
    if judged:
        drawn = in_two_widths(lambda width: _accuracy(judged, curve, width), _WIDTH)
        caption = f"{judged[0].metric.capitalize()} against the median latency of one example."
        if curve is not None:
            caption += (
                f" Dashed: accuracy(t) = {curve.slope:.3f} log t + {curve.offset:.3f}, t in ms, "
                "through the models that no other beats."
            )
        yield Figure(caption, drawn)
    counted = [
        result
        for result in results
        # A phone may tell no median.
        if result.model.macs and result.latency.p50.value > 0
    ]
    if counted:
        drawn = in_two_widths(lambda width: _work(counted, width), _WIDTH)
        yield Figure(
            "Median latency against multiply-accumulates. Points above each other do the same work "
            "in unlike time.",
            drawn,
        )


def _accuracy(results: Sequence[BenchResult], curve: ParetoCurve | None, width: int) -> Markup:
    points = [_accuracy_point(result, width) for result in results]
    fitted = None
    if curve is not None:
        fitted = FittedCurve(curve.at, "the fitted Pareto curve")
    # met: a line of the rule, which no model is to reach
    budgets = [ChartLimit(budget, True) for budget in results[0].protocol.budgets]
    metric = results[0].metric
    words = latency_words(results[0].protocol)
    return draw_scatter(
        points,
        f"{metric.capitalize()} against latency",
        width=width,
        height=_HEIGHT,
        across=AxisWords(words, seconds_text),
        up=metric,
        ceilings=budgets,
        fitted=fitted,
    )


def latency_words(protocol: BenchProtocol) -> str:
    """Return what the axis of latencies says.

    >>> latency_words(BenchProtocol(threads=4))
    'latency, 4 threads'
    """
    if protocol.threads == 1:
        return "latency, one thread"
    return f"latency, {protocol.threads} threads"


def chart_name(name: str, letters: int) -> str:
    """Return a name with its middle left out where it is long: files of a family differ at their
    end.

    >>> chart_name("mobilenet_v2_1.0_224_quant", 20)
    'mobilenet…_224_quant'
    """
    if len(name) <= letters:
        return name
    end = letters // 2
    return f"{name[: letters - end - 1]}…{name[-end:]}"


def _accuracy_point(result: BenchResult, width: int) -> ScatterPoint:
    assert result.accuracy is not None
    latency = result.latency.p50
    words = (
        f"{_place_of(result)}: {seconds_text(latency.value)}, "
        f"{interval_text(result.accuracy)}, {result.verdict.word}"
    )
    spread = latency.high - latency.low
    name = chart_name(result.model.name, width // _LETTER)
    return ScatterPoint(name, latency.value, result.accuracy.value, words, _mark(result), spread)


def _place_of(result: BenchResult) -> str:
    """Return a model's name, and its device where that is not the machine of the bench."""
    if result.device == THIS_MACHINE:
        return result.model.name
    return f"{result.model.name} on {result.device}"


def _mark(result: BenchResult) -> Mark:
    if result.verdict.valid:
        return "best"
    return "beaten"


def _work(results: Sequence[BenchResult], width: int) -> Markup:
    points = []
    for result in results:
        latency = result.latency.p50.value
        words = f"{_place_of(result)}: {count_text(result.model.macs)}, {seconds_text(latency)}"
        name = chart_name(result.model.name, width // _LETTER)
        point = ScatterPoint(name, result.model.macs, latency, words, _mark(result))
        points.append(point)
    return draw_scatter(
        points,
        "Latency against multiply-accumulates",
        width=width,
        height=_HEIGHT,
        across=AxisWords("multiply-accumulates", count_text),
        up=AxisWords(latency_words(results[0].protocol), seconds_text),
    )


def rate_text(result: BenchResult) -> str:
    """Write how many calls are done in a second, in the words of what they do."""
    return f"{result.per_second:,.4g} {result.unit}s a second"


def detail_texts(result: BenchResult) -> list[str]:
    """Write the figures that a task gives beside its metric."""
    return [f"{name}: {value:.3g}" for name, value in result.details.items()]


def summary_lines(results: Sequence[BenchResult]) -> Iterator[str]:
    """Yield what a terminal says below the table: details of tasks, pairs of equal work."""
    for result in results:
        if result.details:
            figures = "; ".join([rate_text(result), *detail_texts(result)])
            yield f"{result.model.name}: {figures}"
    for pair in equal_work(results):
        yield (
            f"{pair.fast} and {pair.slow} do the same work ({count_text(pair.macs)} "
            f"multiply-accumulates), the second in {times(pair.ratio)} the time"
        )


def row_of(result: BenchResult) -> list[str]:
    """Return a result as a row of a terminal's table."""
    latency = result.latency
    quantiles = (latency.p50, latency.p90, latency.p99)
    row = [
        result.model.name,
        result.verdict.word,
        *(seconds_text(one.value) for one in quantiles),
        interval_text(result.accuracy),
    ]
    row += map(score_text, result.scores)
    row += [NONE] * (len(result.protocol.budgets) - len(result.scores))
    work = NONE
    if result.model.macs:
        work = count_text(result.model.macs)
    return [*row, size_text(result.model.bytes), work]


def head_of(results: Sequence[BenchResult]) -> list[str]:
    """Return the names of the columns of :func:`row_of`."""
    metric = next((result.metric for result in results if result.metric), "accuracy")
    budgets = [f"within {budget_text(budget)}" for budget in results[0].protocol.budgets]
    return ["model", "run", "p50", "p90", "p99", metric, *budgets, "file", "MACs"]
