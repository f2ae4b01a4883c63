"""Whose the examples are, as a picture: how many each user has, and of which classes."""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from handheld.data.partitions import Partition
from handheld.data.skew import skew_of
from handheld.drawing.axes import svg

_MOST, _CLASSES = 60, 20
_LEFT, _TOP, _BARS, _GAP, _ROW = 46, 22, 90, 12, 14
_AMOUNT = Markup(
    '<rect class="amount" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" opacity="{opacity:.2f}">'
    "<title>{said}</title></rect>"
)


def facts(partition: Partition, labels: NDArray[np.int64] | None) -> list[tuple[str, str]]:
    """Return how unevenly examples are dealt out, in words."""
    found = skew_of(partition, labels)
    said = [
        ("users with examples", f"{found.users:,}"),
        ("examples", f"{found.examples:,}"),
        ("of a user", f"{found.fewest:,} to {found.most:,}, median {found.median:,.0f}"),
        ("the richest tenth has", f"{found.richest:.0%}"),
    ]
    if found.classes is not None and found.distance is not None:
        said += [
            ("classes of a user, mean", f"{found.classes:.1f}"),
            ("distance from all users' classes", f"{found.distance:.2f} (total variation: 0 alike, 1 nothing in common)"),
        ]
    return said


def picture(partition: Partition, labels: NDArray[np.int64] | None, width: int) -> Markup:
    """Draw bars of how many examples users have, the richest first, and below each the shares of its classes.

    Of many users some are shown, evenly from the richest to the poorest; of many classes the commonest.
    """
    ranked = np.argsort(-partition.sizes, kind="stable")
    ranked = ranked[partition.sizes[ranked] > 0]
    if not len(ranked):
        return Markup("")
    shown = ranked[np.linspace(0, len(ranked) - 1, min(_MOST, len(ranked))).round().astype(int)]
    sizes, step = partition.sizes[shown], (width - _LEFT - 8) / len(shown)
    parts = [Markup('<text class="axis" x="2" y="12">examples of {} users</text>').format(len(shown))]
    for top in (0, int(sizes.max())):
        y = _TOP + _BARS * (1 - top / sizes.max())
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, width - 8))
        parts.append(Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:,}</text>').format(_LEFT - 6, y + 4, top))
    for place, size in enumerate(sizes):
        high = max(1.0, _BARS * size / sizes.max())
        parts.append(
            _AMOUNT.format(
                x=_LEFT + place * step, y=_TOP + _BARS - high, w=max(1, step - 1), h=high, opacity=1, said=f"{size:,} examples"
            )
        )
    height = _TOP + _BARS + _GAP
    if labels is not None:
        drawn, height = _classes(partition, labels, shown, step, height)
        parts += drawn
    return svg("Whose the examples are", f"from {sizes.min():,} to {sizes.max():,} of a user", width, height + 4, parts)


def _classes(
    partition: Partition, labels: NDArray[np.int64], shown: NDArray[np.int64], step: float, top: int
) -> tuple[list[Markup], int]:
    """Return a row of cells for each class, and where they end."""
    names, codes = np.unique(labels, return_inverse=True)  # labels may be any numbers
    counts = partition.counts(codes, len(names))
    kinds = np.sort(np.argsort(-counts.sum(axis=0), kind="stable")[:_CLASSES])
    parts = []
    for row, kind in enumerate(kinds.tolist()):
        name = names[kind]
        y = top + row * _ROW
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(_LEFT - 6, y + _ROW - 4, name)
        )
        for place, user in enumerate(shown.tolist()):
            share = counts[user, kind] / counts[user].sum()
            if share > 0:
                said = f"class {name}: {counts[user, kind]:,} of {counts[user].sum():,}"
                where = {"x": _LEFT + place * step, "y": y, "w": max(1, step - 1), "h": _ROW - 1}
                parts.append(_AMOUNT.format(**where, opacity=0.15 + 0.85 * share, said=said))
    return parts, top + len(kinds) * _ROW
