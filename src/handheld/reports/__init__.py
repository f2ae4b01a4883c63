"""What reports are made of: pages that need no other file and no network, numbers as people read
them, tables, charts.

Every report of ours is ``page.html`` with blocks filled in, so all look the same; charts are SVG
that takes its colours from the page.
"""

from handheld.reports.charts.axes import AxisWords
from handheld.reports.charts.bars import ChartBar, HeatRow, draw_bars
from handheld.reports.charts.curves import COLOURS, LOSS, STEPS, Curve, draw_curves, thin
from handheld.reports.charts.heat import (
    ConfusedPair,
    Confusion,
    HeatCell,
    heat_cells,
    heat_style,
    worst_pairs,
)
from handheld.reports.charts.scatter import (
    ChartLimit,
    FittedCurve,
    Mark,
    ScatterPoint,
    draw_scatter,
    front,
)
from handheld.reports.numbers import (
    NONE,
    count_text,
    percent,
    ratio,
    seconds_text,
    size_text,
    tick_text,
    times,
)
from handheld.reports.page import Figure, in_two_widths, render, templates, write_page
from handheld.reports.tables import flat, html_figure, html_section, html_table, markdown_table

__all__ = [
    "COLOURS",
    "LOSS",
    "NONE",
    "STEPS",
    "AxisWords",
    "ChartBar",
    "ChartLimit",
    "ConfusedPair",
    "Confusion",
    "Curve",
    "Figure",
    "FittedCurve",
    "HeatCell",
    "HeatRow",
    "Mark",
    "ScatterPoint",
    "count_text",
    "draw_bars",
    "draw_curves",
    "draw_scatter",
    "flat",
    "front",
    "heat_cells",
    "heat_style",
    "html_figure",
    "html_section",
    "html_table",
    "in_two_widths",
    "markdown_table",
    "percent",
    "ratio",
    "render",
    "seconds_text",
    "size_text",
    "templates",
    "thin",
    "tick_text",
    "times",
    "worst_pairs",
    "write_page",
]
