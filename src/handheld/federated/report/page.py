"""A run as one page that needs no other file and no network."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
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


def write_report(
    path: Path,
    title: str,
    plan: Plan,
    rows: Rows,
    *,
    population: int,
    weights: int,
    guarantees: Sequence[Guarantee] = (),
    users: Users | None = None,
    problem: str = "",
    per_user: PerUser | None = None,
) -> Path:
    """Write the page and return its path.

    Args:
        path: of the page.
        title: of the page.
        plan: of the run.
        rows: figures of each round, one or more.
        population: devices in all.
        weights: of the model.
        guarantees: what noise promises.
        users: whose examples it learned from, to be shown.
        problem: why the run did not end as planned.
        per_user: how good the model is for each device on its own examples.

    Raises:
        FileError: it cannot be written.
    """
    values = {
        "title": title,
        "summary": summary(plan, rows, population, weights),
        "problem": problem,
        "figures": figures(rows),
        "own": spreads(per_user) if per_user else [],
        "skew": skewed(users) if users else None,
        "totals": totals(rows),
        "guarantees": guarantees,
        "settings": settings(plan),
    }
    return write_page(path, "handheld.federated.report", "run.html", values)


def summary(plan: Plan, rows: Rows, population: int, weights: int) -> str:
    """Return the run in one sentence."""
    judged = [row for row in rows if "test_accuracy" in row]
    best = f", {percent(judged[-1]['test_accuracy'])} of the test examples right" if judged else ""
    if plan.buffer_size is not None:
        took_part = (
            f"{len(rows)} steps of {plan.buffer_size} updates each, "
            f"{plan.cohort} of {population:,} devices learning at any time"
        )
    elif plan.sampling == "poisson":
        took_part = (
            f"{len(rows)} rounds with {plan.cohort} of {population:,} devices each on average"
        )
    else:
        took_part = f"{len(rows)} rounds with {plan.cohort} of {population:,} devices each"
    size = size_text(sum(row["bytes_up"] for row in rows))
    return f"{took_part}, a model of {weights:,} weights{best}, {size} up."


def figures(rows: Rows) -> list[Figure]:
    """Draw how good the model was against rounds, bytes up and down, and simulated hours."""
    kinds: tuple[tuple[str, Callable[[float], str], list[float]], ...] = (
        ("round", count_text, [row["round"] for row in rows]),
        ("bytes up", size_text, list(accumulate(row["bytes_up"] for row in rows))),
        ("bytes down", size_text, list(accumulate(row["bytes_down"] for row in rows))),
        ("simulated hours", lambda hours: f"{hours:.3g}", [row["seconds"] / 3600 for row in rows]),
    )
    metric = next(
        (one for one in ("test_accuracy", "loss") if any(one in row for row in rows)), "test_loss"
    )
    name = metric.replace("_", " ")
    up = (lambda share: percent(share, 1)) if metric == "test_accuracy" else LOSS.write
    found = [*_promised(rows)]
    for along, write, places in kinds:
        points = _finite(zip(places, (row.get(metric, math.nan) for row in rows), strict=True))
        if points and points[-1][0] > 0:
            title = f"{name} against {along}"
            found.append(
                _figure({name: points}, title, AxisWords(along, write), AxisWords(name, up))
            )
    return [*found, *_losses(rows), *_devices(rows)]


def _losses(rows: Rows) -> list[Figure]:
    """Draw how the losses of learning and on the test's examples go.

    Where they part, devices learn by heart.
    """
    if not any("test_loss" in row for row in rows):
        return []
    names = {"devices, while they learn": "loss", "test": "test_loss"}
    curves = {name: _by_round(rows, key) for name, key in names.items()}
    return _against_rounds(curves, "losses against round", "loss")


def _devices(rows: Rows) -> list[Figure]:
    """Draw how many devices of each round answered, and how many did not, or in vain."""
    names = {"answered": "answered", "left": "gone", "too late": "late", "not taken": "rejected"}
    counted = {name: key for name, key in names.items() if any(row.get(key, 0) > 0 for row in rows)}
    curves = {name: _by_round(rows, key) for name, key in counted.items()}
    return _against_rounds(curves, "devices against round", "devices")


def _against_rounds(curves: Mapping[str, Curve], title: str, up: str) -> list[Figure]:
    if not any(curves.values()) or len(_rounds_of(curves)) < 2:
        return []
    write = LOSS.write if up == "loss" else count_text
    return [_figure(curves, title, _ROUND, AxisWords(up, write))]


def _rounds_of(curves: Mapping[str, Curve]) -> set[float]:
    return {point[0] for point in chain.from_iterable(curves.values())}


def _by_round(rows: Rows, key: str) -> list[tuple[float, float]]:
    return _finite((row["round"], row.get(key, math.nan)) for row in rows)


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
        if len({value for _, value in points}) > 1:
            title = f"{name} against round"
            up = AxisWords(name, lambda value: f"{value:.3g}")
            yield _figure({name: points}, title, _ROUND, up)


def skewed(users: Users) -> tuple[list[tuple[str, str]], Markup]:
    """Return how unevenly examples are dealt out: in words, and drawn."""
    targets, partition = users.examples.targets, users.partition
    classes = targets.ndim == 1 and targets.dtype.kind in "iu" and targets.min(initial=0) >= 0
    labels = targets.astype(np.int64) if classes else None
    return skew.facts(partition, labels), in_two_widths(
        partial(skew.picture, partition, labels), _WIDTH
    )


def totals(rows: Rows) -> list[tuple[str, str]]:
    """Return what all rounds come to."""
    counts = ("asked", "answered", "gone", "late", "rejected", "given_up")
    words = (
        "devices asked",
        "answered in time",
        "left",
        "were too late",
        "sent updates that were not taken",
        "rounds given up",
    )
    found = [
        (word, f"{sum(row[name] for row in rows):,.0f}")
        for name, word in zip(counts, words, strict=True)
    ]
    found += [("of those not taken", told) for told in reasons(rows)]
    sizes = [(word, size_text(sum(row[name] for row in rows))) for name, word in _BYTES]
    return [*found, *sizes, ("simulated hours", f"{rows[-1]['seconds'] / 3600:.3g}")]


def spreads(per_user: PerUser) -> list[tuple[str, str]]:
    """Return how figures of devices' own examples spread over devices."""
    lines = []
    for name in per_user.figures:
        spread = per_user.spread(name)
        told = (
            f"mean {spread['mean']:.4g}, deviation {spread['std']:.3g}, "
            f"a tenth of the devices below {spread['p10']:.4g}, half above {spread['median']:.4g}, "
            f"a tenth above {spread['p90']:.4g}"
        )
        lines.append((name, told))
    return [("devices with examples", f"{len(per_user.users):,}"), *lines]


_BYTES = (("bytes_up", "bytes up"), ("bytes_down", "bytes down"))


def settings(plan: Plan) -> list[tuple[str, str]]:
    """Return everything that was set, by name."""
    found = []
    for each in fields(plan):
        value = getattr(plan, each.name)
        values = value if isinstance(value, tuple) else (value,)
        if not (is_dataclass(value) and not isinstance(value, type)) or not fields(value):
            found.append((each.name, ", ".join(map(str, values)) or "none"))
            continue
        found.append((each.name, type(value).__name__))
        found += [
            (f"{each.name}.{inner.name}", str(getattr(value, inner.name)))
            for inner in fields(value)
        ]
    return found


def _figure(curves: Mapping[str, Curve], title: str, across: AxisWords, up: AxisWords) -> Figure:
    drawn = {name: curve for name, curve in curves.items() if curve}

    def draw(width: int) -> Markup:
        return draw_curves(
            drawn, title, width=width, height=_HEIGHT, across=across, up=up, zero=False
        )

    return Figure(title, in_two_widths(draw, _WIDTH), tuple(drawn))
