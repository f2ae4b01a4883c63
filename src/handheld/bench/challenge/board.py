"""Who leads: rankings of submissions, and the picture of accuracy against latency."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from handheld.bench.challenge.rules import HIDDEN, PUBLIC, ChallengeRules, time_text
from handheld.bench.challenge.store import Measurement, Submission
from handheld.bench.protocol import ParetoCurve, fit_pareto
from handheld.reports import (
    AxisWords,
    ChartLimit,
    Mark,
    ScatterPoint,
    draw_scatter,
    front,
    in_two_widths,
    percent,
    seconds_text,
)

_WIDTH = 640  # pixels of the picture on a wide page
_HEIGHT = 360
_LEAST_ENTRIES = 2
_LEAST_REACH = 1.5  # of the slowest unbeaten model to the fastest


@dataclass(frozen=True, kw_only=True)
class BoardEntry:
    """A team's best submission.

    ``gain`` is how far its accuracy lies above the curve that was fitted to all, a share; None
    where there is no curve. ``public`` is its score on the public part.
    """

    rank: int
    submission: Submission
    measurement: Measurement
    gain: float | None
    public: float | None


@dataclass(frozen=True)
class Leaderboard:
    """The ranking on one part of the data, on one device."""

    data: str
    device: str
    entries: tuple[BoardEntry, ...]
    curve: ParetoCurve | None


def ranking(
    rules: ChallengeRules,
    submissions: Iterable[Submission],
    measurements: Iterable[Measurement],
    *,
    data: str,
    device: str,
) -> Leaderboard:
    """Rank the best submission of each team.

    VALID runs come first, then the higher score within the wall time, the shorter latency, and who
    was earlier.

    Args:
        rules: of the challenge.
        submissions: of all teams.
        measurements: of all submissions.
        data: "public" or "hidden".
        device: name of a device.
    """
    rules.device(device)
    by_key = {submission.key: submission for submission in submissions}
    ended = [row for row in measurements if row.key.device == device and row.state == "done"]
    public = {row.key.submission: row.outcome.score for row in ended if row.key.data == PUBLIC}
    rows = _ranked(ended, by_key, data)
    # Nothing rests on a run that cannot be trusted.
    curve = _fitted(_points(row for row in rows if row.outcome.valid))
    entries: list[BoardEntry] = []
    for rank, row in enumerate(_best_of_teams(rows, by_key, 1), 1):
        submission = by_key[row.key.submission]
        entries.append(
            BoardEntry(
                rank=rank,
                submission=submission,
                measurement=row,
                gain=_gain(curve, row),
                public=public.get(submission.key),
            )
        )
    return Leaderboard(data, device, tuple(entries), curve)


def _ranked(
    ended: Iterable[Measurement], by_key: Mapping[str, Submission], data: str
) -> list[Measurement]:
    """Return the measurements on a part of the data, the best first."""
    done = {key for key, submission in by_key.items() if submission.state == "done"}
    rows = [row for row in ended if row.key.data == data and row.key.submission in done]
    return sorted(rows, key=lambda row: _order(row, by_key[row.key.submission]))


def _best_of_teams(
    rows: Iterable[Measurement], by_key: Mapping[str, Submission], limit: int
) -> list[Measurement]:
    """Return the first of each team's measurements, ``limit`` of them, in their order."""
    counts: dict[int, int] = {}
    chosen = []
    for row in rows:
        team = by_key[row.key.submission].team
        counts[team] = counts.get(team, 0) + 1
        if counts[team] <= limit:
            chosen.append(row)
    return chosen


def finalists(
    rules: ChallengeRules,
    submissions: Sequence[Submission],
    measurements: Iterable[Measurement],
) -> list[str]:
    """Return the keys of what is measured on the hidden part: each team's best."""
    by_key = {submission.key: submission for submission in submissions}
    device = rules.devices[0].name
    rows = _ranked([row for row in measurements if row.key.device == device], by_key, PUBLIC)
    return [row.key.submission for row in _best_of_teams(rows, by_key, rules.finals)]


def has_results(measurements: Iterable[Measurement]) -> bool:
    """Whether all measurements on the hidden part have ended, so that nobody sees a part of them
    before the others.
    """
    hidden = [row for row in measurements if row.key.data == HIDDEN]
    return bool(hidden) and not any(row.is_open for row in hidden)


def draw_board(board: Leaderboard, budget: float, metric: str = "accuracy") -> Markup:
    """Draw the metric against latency, for a wide page and for a phone; "" where there are no two
    entries to set beside each other.

    Args:
        board: a ranking.
        budget: seconds of one example.
        metric: what models are judged by.
    """
    if len(board.entries) < _LEAST_ENTRIES:
        return Markup("")
    points = [_marked(entry, metric) for entry in board.entries]
    unbeaten = front((point.cost, point.share) for point in points)
    points = [_with_mark(point, unbeaten) for point in points]

    def draw(width: int) -> Markup:
        return draw_scatter(
            points,
            f"{titled(metric)} against latency",
            width=width,
            height=_HEIGHT,
            across=AxisWords("median latency of one example", seconds_text),
            up=metric,
            ceilings=(ChartLimit(budget, met=True),),
        )

    return in_two_widths(draw, _WIDTH)


def board_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """Return a ranking as rows for JSON and CSV."""
    rows = []
    for entry in board.entries:
        outcome = entry.measurement.outcome
        row: Mapping[str, Any] = {
            "rank": entry.rank,
            "team": entry.submission.team_name,
            "model": entry.submission.name,
            "number": entry.submission.number,
            "data": board.data,
            "device": board.device,
            "score": outcome.score,
            "accuracy": outcome.accuracy,
            "accuracy_low": outcome.accuracy_low,
            "accuracy_high": outcome.accuracy_high,
            "latency_ms": _milliseconds(outcome.latency),
            "latency_p90_ms": _milliseconds(outcome.latency_p90),
            "reached": outcome.reached,
            "examples": outcome.examples,
            "above_curve": entry.gain,
            "valid": outcome.valid,
            "reasons": "; ".join(outcome.reasons),
            "bytes": entry.submission.bytes,
            "sha256": entry.submission.sha256,
            "submitted": time_text(entry.submission.created),
        }
        rows.append(dict(row))
    return rows


def _order(row: Measurement, submission: Submission) -> tuple[Any, ...]:
    outcome = row.outcome
    return (not outcome.valid, -(outcome.score or 0.0), outcome.latency or 0.0, submission.created)


def _points(rows: Iterable[Measurement]) -> list[tuple[float, float]]:
    outcomes = [row.outcome for row in rows]
    return [(one.latency or 0.0, one.accuracy or 0.0) for one in outcomes]


def _fitted(points: Sequence[tuple[float, float]]) -> ParetoCurve | None:
    """Return the curve through what no other beats; None where that is of one latency, but for
    noise, through which no slope is drawn.
    """
    latencies = [latency for latency, _ in front(points)]
    if not latencies or max(latencies) < _LEAST_REACH * min(latencies):
        return None
    return fit_pareto(points)


def _gain(curve: ParetoCurve | None, row: Measurement) -> float | None:
    if curve is None or not row.outcome.latency or row.outcome.accuracy is None:
        return None
    return curve.gain(row.outcome.accuracy, row.outcome.latency)


def titled(metric: str) -> str:
    """Return a metric's name as a heading has it.

    >>> titled("accuracy"), titled("mAP")
    ('Accuracy', 'mAP')
    """
    if metric.islower():
        return metric.capitalize()
    return metric


def _marked(entry: BoardEntry, metric: str) -> ScatterPoint:
    outcome = entry.measurement.outcome
    name = entry.submission.team_name
    latency = outcome.latency or 0.0
    accuracy = outcome.accuracy or 0.0
    words = f"{name}: {metric} {percent(accuracy, 1)}, {seconds_text(latency)}"
    return ScatterPoint(name, latency, accuracy, words, "beaten")


def _with_mark(point: ScatterPoint, unbeaten: Sequence[tuple[float, float]]) -> ScatterPoint:
    mark: Mark = "beaten"
    if (point.cost, point.share) in unbeaten:
        mark = "best"
    return ScatterPoint(point.name, point.cost, point.share, point.words, mark)


def _milliseconds(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    return seconds * 1e3
