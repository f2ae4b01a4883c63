"""Whose the examples are, as a picture: how many each user has, and of which classes."""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from handheld.data.users.partitions import Partition
from handheld.data.users.skew import skew_of
from handheld.reports import AxisWords, ChartBar, HeatRow, draw_bars

_MOST = 60  # users that are shown
_CLASSES = 20  # rows
_BARS = 90  # pixels of the highest bar


def facts(partition: Partition, labels: NDArray[np.int64] | None) -> list[tuple[str, str]]:
    """Return how unevenly examples are dealt out, in words."""
    skew = skew_of(partition, labels)
    lines = [
        ("users with examples", f"{skew.users:,}"),
        ("examples", f"{skew.examples:,}"),
        ("of a user", f"{skew.smallest:,} to {skew.largest:,}, median {skew.median:,.0f}"),
        ("the richest tenth has", f"{skew.top_tenth:.0%}"),
    ]
    if skew.classes is not None and skew.distance is not None:
        distance = f"{skew.distance:.2f} (total variation: 0 alike, 1 nothing in common)"
        lines += [
            ("classes of a user, mean", f"{skew.classes:.1f}"),
            ("distance from all users' classes", distance),
        ]
    return lines


def picture(partition: Partition, labels: NDArray[np.int64] | None, width: int) -> Markup:
    """Draw how many examples users have, the richest first, and the shares of their classes.

    Of many users some are shown, evenly from the richest to the poorest; of many classes the
    commonest.
    """
    ranked = np.argsort(-partition.sizes, kind="stable")
    ranked = ranked[partition.sizes[ranked] > 0]
    if not len(ranked):
        return Markup("")
    count = min(_MOST, len(ranked))
    ranks = np.linspace(0, len(ranked) - 1, count).round()
    shown = ranked[ranks.astype(int)]
    bars = [ChartBar(size, f"{size:,} examples") for size in partition.sizes[shown].tolist()]
    up = AxisWords(f"examples of {len(shown)} users", "{:,.0f}".format)
    rows: list[HeatRow] = []
    if labels is not None:
        rows = _classes(partition, labels, shown)
    return draw_bars(bars, "Whose the examples are", width=width, height=_BARS, up=up, rows=rows)


def _classes(
    partition: Partition, labels: NDArray[np.int64], shown: NDArray[np.int64]
) -> list[HeatRow]:
    """Return a row of shares for each class."""
    # Labels may be any numbers.
    names, codes = np.unique(labels, return_inverse=True)
    counts = partition.counts(codes, len(names))
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    # In the order of the labels, as a reader looks for them.
    commonest = np.sort(order[:_CLASSES])
    rows = []
    for number in commonest.tolist():
        of_class = counts[shown, number]
        of_all = counts[shown].sum(axis=1)
        pairs = zip(of_class.tolist(), of_all.tolist(), strict=True)
        words = [f"class {names[number]}: {count:,} of {total:,}" for count, total in pairs]
        rows.append(HeatRow(str(names[number]), (of_class / of_all).tolist(), words))
    return rows
