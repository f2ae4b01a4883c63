"""A run as one page that needs no other file and no network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

from markupsafe import Markup

from handheld import __version__
from handheld.drawing import amounts
from handheld.drawing.curves import LOSS, Curve, Words, picture
from handheld.drawing.page import twice, write_page
from handheld.federated.learning import Users
from handheld.federated.privacy import Guarantee
from handheld.federated.report import skew
from handheld.federated.simulator import Plan

Rows = Sequence[Mapping[str, float]]

_WIDTH, _HEIGHT = 528, 280


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

    Raises:
        MediaError: it cannot be written.
    """
    values = {
        "title": title,
        "version": __version__,
        "summary": summary(plan, rows, population, weights),
        "pictures": pictures(rows),
        "skew": skewed(users) if users else None,
        "totals": totals(rows),
        "guarantees": guarantees,
        "settings": settings(plan),
    }
    return write_page(path, "handheld.federated.report", "run.html", values)


def summary(plan: Plan, rows: Rows, population: int, weights: int) -> str:
    """Return the run in one sentence."""
    judged = [row for row in rows if "test_accuracy" in row]
    best = f", {amounts.percent(judged[-1]['test_accuracy'])} of the test examples right" if judged else ""
    if plan.buffer is not None:
        took_part = (
            f"{len(rows)} steps of {plan.buffer} updates each, {plan.cohort} of {population:,} devices learning at any time"
        )
    elif plan.sampling == "poisson":
        took_part = f"{len(rows)} rounds with {plan.cohort} of {population:,} devices each on average"
    else:
        took_part = f"{len(rows)} rounds with {plan.cohort} of {population:,} devices each"
    size = amounts.size_text(sum(row["bytes_up"] for row in rows))
    return f"{took_part}, a model of {weights:,} weights{best}, {size} up."


def pictures(rows: Rows) -> list[tuple[str, Markup]]:
    """Draw how good the model was against rounds, bytes up and down, and simulated hours."""
    kinds: tuple[tuple[str, Callable[[float], str], list[float]], ...] = (
        ("round", amounts.count_text, [row["round"] for row in rows]),
        ("bytes up", amounts.size_text, list(accumulate(row["bytes_up"] for row in rows))),
        ("bytes down", amounts.size_text, list(accumulate(row["bytes_down"] for row in rows))),
        ("simulated hours", lambda hours: f"{hours:.3g}", [row["seconds"] / 3600 for row in rows]),
    )
    metric = next((one for one in ("test_accuracy", "loss") if any(one in row for row in rows)), "test_loss")
    name = metric.replace("_", " ")
    up = (lambda share: amounts.percent(share, 1)) if metric == "test_accuracy" else LOSS.write
    found = [*_promised(rows)]
    for along, write, places in kinds:
        points = [(place, row[metric]) for place, row in zip(places, rows, strict=True) if metric in row]
        if points and points[-1][0] > 0:
            title = f"{name} against {along}"
            draw = partial(_drawing, {name: points}, title, Words(along, write), Words(name, up))
            found.append((title, twice(draw, _WIDTH)))
    return found


def _promised(rows: Rows) -> Iterator[tuple[str, Markup]]:
    """Draw what noise promised, and where updates were clipped, against rounds, if that changed."""
    names = {"epsilon": "epsilon", "local_epsilon": "epsilon of updates", "clip_length": "clip length"}
    for column, name in names.items():
        points = [(row["round"], row[column]) for row in rows if column in row]
        if len({value for _, value in points}) > 1:
            title = f"{name} against round"
            up = Words(name, lambda value: f"{value:.3g}")
            draw = partial(_drawing, {name: points}, title, Words("round", amounts.count_text), up)
            yield title, twice(draw, _WIDTH)


def skewed(users: Users) -> tuple[list[tuple[str, str]], Markup]:
    """Return how unevenly examples are dealt out: in words, and drawn."""
    targets, partition = users.examples.targets, users.partition
    labels = targets if targets.ndim == 1 and targets.dtype.kind == "i" else None
    return skew.facts(partition, labels), twice(partial(skew.picture, partition, labels), _WIDTH)


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
    found = [(word, f"{sum(row[name] for row in rows):,.0f}") for name, word in zip(counts, words, strict=True)]
    sizes = [(word, amounts.size_text(sum(row[name] for row in rows))) for name, word in _BYTES]
    return [*found, *sizes, ("simulated hours", f"{rows[-1]['seconds'] / 3600:.3g}")]


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
        found += [(f"{each.name}.{inner.name}", str(getattr(value, inner.name))) for inner in fields(value)]
    return found


def _drawing(curves: Mapping[str, Curve], title: str, across: Words, up: Words, width: int) -> Markup:
    return picture(curves, title, width=width, height=_HEIGHT, across=across, up=up, zero=False)
