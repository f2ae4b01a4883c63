"""A run as one page that needs no other file and no network."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
from markupsafe import Markup

from handheld.federated.learning import Users
from handheld.federated.learning.evaluation import PerUser
from handheld.federated.privacy import Guarantee
from handheld.federated.report import skew
from handheld.federated.simulator import Plan
from handheld.federated.simulator.ending import reasons
from handheld.reports import (
    LOSS,
    AxisWords,
    Curve,
    Figure,
    count_text,
    draw_curves,
    in_two_widths,
    percent,
    size_text,
    write_page,
)

Rows = Sequence[Mapping[str, float]]

_WIDTH = 528
_HEIGHT = 280
_ROUND = AxisWords("round", count_text)
_COUNTS = (
    ("asked", "devices asked"),
    ("answered", "answered in time"),
    ("gone", "left"),
    ("late", "were too late"),
    ("rejected", "sent updates that were not taken"),
    ("given_up", "rounds given up"),
)
_BYTES = (("bytes_up", "bytes up"), ("bytes_down", "bytes down"))


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What is known of a run besides its plan and the figures of its rounds.

    Attributes:
        population: devices in all.
        weights: of the model.
        guarantees: what noise promises.
        users: whose examples it learned from, to be shown.
        problem: why the run did not end as planned.
        per_user: how good the model is for each device on its own examples.
    """

    population: int
    weights: int
    guarantees: Sequence[Guarantee] = ()
    users: Users | None = None
    problem: str = ""
    per_user: PerUser | None = None


def write_report(path: Path, title: str, plan: Plan, rows: Rows, facts: RunFacts) -> Path:
    """Write the page and return its path.

    Args:
        path: of the page.
        title: of the page.
        plan: of the run.
        rows: figures of each round, one or more.
        facts: what else is known of it.

    Raises:
        FileError: it cannot be written.
    """
    values: dict[str, object] = {
        "title": title,
        "summary": summary(plan, rows, facts.population, facts.weights),
        "problem": facts.problem,
        "figures": figures(rows),
        "own": [],
        "skew": None,
        "totals": totals(rows),
        "guarantees": facts.guarantees,
        "settings": settings(plan),
    }
    # Both tell of devices one by one: they are there only where nothing promises otherwise.
    if facts.per_user is not None:
        values["own"] = spreads(facts.per_user)
    if facts.users is not None:
        values["skew"] = skewed(facts.users)
    return write_page(path, "handheld.federated.report", "run.html", values)


def summary(plan: Plan, rows: Rows, population: int, weights: int) -> str:
    """Return the run in one sentence."""
    size = size_text(_sum_of(rows, "bytes_up"))
    return (
        f"{_took_part(plan, len(rows), population)}, a model of {weights:,} weights{_best(rows)},"
        f" {size} up."
    )


def _took_part(plan: Plan, rounds: int, population: int) -> str:
    if plan.buffer_size is not None:
        return (
            f"{rounds} steps of {plan.buffer_size} updates each, "
            f"{plan.cohort} of {population:,} devices learning at any time"
        )
    words = f"{rounds} rounds with {plan.cohort} of {population:,} devices each"
    if plan.sampling == "poisson":
        words += " on average"
    return words


def _best(rows: Rows) -> str:
    accuracies = [row["test_accuracy"] for row in rows if "test_accuracy" in row]
    if not accuracies:
        return ""
    return f", {percent(accuracies[-1])} of the test examples right"


def figures(rows: Rows) -> list[Figure]:
    """Draw how good the model was against rounds, bytes up and down, and simulated hours."""
    return [*_promised(rows), *_progress(rows), *_losses(rows), *_devices(rows)]


def _progress(rows: Rows) -> Iterator[Figure]:
    metric = _metric(rows)
    name = metric.replace("_", " ")
    write = LOSS.write
    if metric == "test_accuracy":
        write = _accuracy_text
    up = AxisWords(name, write)
    hours = [seconds / 3600 for seconds in _column(rows, "seconds")]
    costs = (
        (_ROUND, _column(rows, "round")),
        (AxisWords("bytes up", size_text), accumulate(_column(rows, "bytes_up"))),
        (AxisWords("bytes down", size_text), accumulate(_column(rows, "bytes_down"))),
        (AxisWords("simulated hours", _short_text), hours),
    )
    values = _column(rows, metric)
    for across, positions in costs:
        points = _finite(zip(positions, values, strict=True))
        # Nothing is drawn against what never grew, such as time without slow devices.
        if points and points[-1][0] > 0:
            yield _figure({name: points}, f"{name} against {across.title}", across, up)


def _column(rows: Rows, name: str) -> list[float]:
    """Return a figure of each round; NaN where it was not taken."""
    return [row.get(name, math.nan) for row in rows]


def _sum_of(rows: Rows, name: str) -> float:
    return sum(row[name] for row in rows)


def _metric(rows: Rows) -> str:
    """Return by which figure a run is shown: the first that there is."""
    # What says most to a reader comes first.
    for metric in ("test_accuracy", "loss"):
        if any(metric in row for row in rows):
            return metric
    return "test_loss"


def _accuracy_text(share: float) -> str:
    return percent(share, 1)


def _short_text(value: float) -> str:
    return f"{value:.3g}"


def _losses(rows: Rows) -> list[Figure]:
    """Draw how the losses of learning and on the test's examples go.

    Where they part, devices learn by heart.
    """
    # Without a test there is nothing beside which the loss of learning could stand.
    if not any("test_loss" in row for row in rows):
        return []
    curves = {
        "devices, while they learn": _by_round(rows, "loss"),
        "test": _by_round(rows, "test_loss"),
    }
    return _against_rounds(curves, "losses against round", AxisWords("loss", LOSS.write))


def _devices(rows: Rows) -> list[Figure]:
    """Draw how many devices of each round answered, and how many did not, or in vain."""
    names = {"answered": "answered", "left": "gone", "too late": "late", "not taken": "rejected"}
    curves = {}
    for name, key in names.items():
        # Lines along zero would say nothing.
        if any(count > 0 for count in _column(rows, key)):
            curves[name] = _by_round(rows, key)
    return _against_rounds(curves, "devices against round", AxisWords("devices", count_text))


def _against_rounds(curves: Mapping[str, Curve], title: str, up: AxisWords) -> list[Figure]:
    # One round is no curve.
    if not any(curves.values()) or len(_rounds_of(curves)) < 2:
        return []
    return [_figure(curves, title, _ROUND, up)]


def _rounds_of(curves: Mapping[str, Curve]) -> set[float]:
    return {point[0] for point in chain.from_iterable(curves.values())}


def _by_round(rows: Rows, key: str) -> list[tuple[float, float]]:
    rounds = _column(rows, "round")
    return _finite(zip(rounds, _column(rows, key), strict=True))


def _finite(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that can be drawn: a run that ended badly has others."""
    return [point for point in points if math.isfinite(point[1])]


def _promised(rows: Rows) -> Iterator[Figure]:
    """Draw what noise promised, and where updates were clipped, against rounds, if that changed."""
    names = {
        "epsilon": "epsilon",
        "local_epsilon": "epsilon of updates",
        "clip_length": "clip length",
    }
    for column, name in names.items():
        points = [(row["round"], row[column]) for row in rows if column in row]
        # What never changed is in the settings.
        if len({value for _, value in points}) > 1:
            title = f"{name} against round"
            up = AxisWords(name, _short_text)
            yield _figure({name: points}, title, _ROUND, up)


def skewed(users: Users) -> tuple[list[tuple[str, str]], Markup]:
    """Return how unevenly examples are dealt out: in words, and drawn."""
    targets = users.examples.targets
    partition = users.partition
    labels = None
    # Numbers are no classes, and -1 asks for nothing.
    is_whole = targets.ndim == 1 and targets.dtype.kind in "iu"
    if is_whole and targets.min(initial=0) >= 0:
        labels = targets.astype(np.int64)
    draw = partial(skew.picture, partition, labels)
    return skew.facts(partition, labels), in_two_widths(draw, _WIDTH)


def totals(rows: Rows) -> list[tuple[str, str]]:
    """Return what all rounds come to."""
    lines = [(words, f"{_sum_of(rows, name):,.0f}") for name, words in _COUNTS]
    # Directly below the counts, which they explain in part.
    lines += [("of those not taken", reason) for reason in reasons(rows)]
    lines += [(words, size_text(_sum_of(rows, name))) for name, words in _BYTES]
    return [*lines, ("simulated hours", f"{rows[-1]['seconds'] / 3600:.3g}")]


def spreads(per_user: PerUser) -> list[tuple[str, str]]:
    """Return how figures of devices' own examples spread over devices."""
    lines = []
    for name in per_user.figures:
        spread = per_user.spread(name)
        text = (
            f"mean {spread['mean']:.4g}, deviation {spread['std']:.3g}, "
            f"a tenth of the devices below {spread['p10']:.4g}, half above {spread['median']:.4g}, "
            f"a tenth above {spread['p90']:.4g}"
        )
        lines.append((name, text))
    return [("devices with examples", f"{len(per_user.users):,}"), *lines]


def settings(plan: Plan) -> list[tuple[str, str]]:
    """Return everything that was set, by name."""
    lines = []
    for entry in fields(plan):
        value = getattr(plan, entry.name)
        # One level deep: stages and encoders say what they are by themselves.
        if is_dataclass(value) and fields(value):
            lines.append((entry.name, type(value).__name__))
            for field in fields(value):
                text = str(getattr(value, field.name))
                lines.append((f"{entry.name}.{field.name}", text))
            continue
        values = value
        if not isinstance(value, tuple):
            values = (value,)
        lines.append((entry.name, ", ".join(map(str, values)) or "none"))
    return lines


def _figure(curves: Mapping[str, Curve], title: str, across: AxisWords, up: AxisWords) -> Figure:
    # A name in the legend without a curve would be looked for.
    drawn = {name: curve for name, curve in curves.items() if curve}

    def draw(width: int) -> Markup:
        return draw_curves(
            drawn, title, width=width, height=_HEIGHT, across=across, up=up, zero=False
        )

    return Figure(title, in_two_widths(draw, _WIDTH), tuple(drawn))
