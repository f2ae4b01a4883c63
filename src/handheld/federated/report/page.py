"""A run as one page that needs no other file and no network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import accumulate
from pathlib import Path

from markupsafe import Markup

from handheld import __version__
from handheld.drawing import amounts
from handheld.drawing.axes import Axis, Scale, grid, svg
from handheld.drawing.curves import thin
from handheld.drawing.page import twice, write_page
from handheld.federated.privacy import Guarantee
from handheld.federated.simulator import Plan

Rows = Sequence[Mapping[str, float]]

_WIDTH, _HEIGHT = 528, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 22, 24, 42


def write_report(
    path: Path, title: str, plan: Plan, rows: Rows, *, population: int, weights: int, guarantees: Sequence[Guarantee] = ()
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

    Raises:
        MediaError: it cannot be written.
    """
    values = {
        "title": title,
        "version": __version__,
        "summary": summary(plan, rows, population, weights),
        "pictures": pictures(rows),
        "totals": totals(rows),
        "guarantees": guarantees,
        "settings": settings(plan),
    }
    return write_page(path, "handheld.federated.report", "run.html", values)


def summary(plan: Plan, rows: Rows, population: int, weights: int) -> str:
    """Return the run in one sentence."""
    judged = [row for row in rows if "test_accuracy" in row]
    best = f", {amounts.percent(judged[-1]['test_accuracy'])} of the test examples right" if judged else ""
    return (
        f"{len(rows)} rounds with {plan.cohort} of {population:,} devices each, a model of {weights:,} weights{best}, "
        f"{amounts.size_text(sum(row['bytes_up'] for row in rows))} up."
    )


def pictures(rows: Rows) -> list[tuple[str, Markup]]:
    """Draw how good the model was against rounds, bytes up and down, and simulated hours."""
    kinds: tuple[tuple[str, Callable[[float], str], list[float]], ...] = (
        ("round", amounts.count_text, [row["round"] for row in rows]),
        ("bytes up", amounts.size_text, list(accumulate(row["bytes_up"] for row in rows))),
        ("bytes down", amounts.size_text, list(accumulate(row["bytes_down"] for row in rows))),
        ("simulated hours", lambda hours: f"{hours:.3g}", [row["seconds"] / 3600 for row in rows]),
    )
    metric, name = ("test_accuracy", "test accuracy") if any("test_accuracy" in row for row in rows) else ("loss", "loss")
    found = []
    for along, write, places in kinds:
        points = [(place, row[metric]) for place, row in zip(places, rows, strict=True) if metric in row]
        if points and points[-1][0] > 0:
            draw = _drawing(points, along, write, name, as_share=metric == "test_accuracy")
            found.append((f"{name} against {along}", twice(draw, _WIDTH)))
    return found


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


def _drawing(
    points: Sequence[tuple[float, float]], along: str, write: Callable[[float], str], name: str, *, as_share: bool
) -> Callable[[int], Markup]:
    def draw(width: int) -> Markup:
        x = Axis(0, points[-1][0], _LEFT, width - _RIGHT)
        y = Axis.around([value for _, value in points], _HEIGHT - _BOTTOM, _TOP, room=0.05)
        up = amounts.tick_text(lambda share: amounts.percent(share, 1)) if as_share else lambda value: f"{value:.3g}"
        parts = [grid(Scale(x, amounts.tick_text(write), along, width // 90), Scale(y, up, name, 6))]
        line = "M" + "L".join(f"{x.at(place):.1f} {y.at(value):.1f}" for place, value in thin(points))
        parts.append(Markup('<path class="curve c0 d0" d="{}"/>').format(line))
        said = f"from {points[0][1]:.3g} to {points[-1][1]:.3g}"
        return svg(f"{name} against {along}", said, width, _HEIGHT, parts)

    return draw
