"""Figures of ``hands_vs_mediapipe.py``: from frames to medians, and the table."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from _report import console
from rich.table import Table

from handheld.hands.result import palm_size

Turn = Mapping[str, Any]
"""A worker's figures for some frames."""

_PAIRS = {
    "fps_cpu": ("frames per CPU-s", 0),
    "median_ms": ("median ms", 1),
    "p95_ms": ("p95 ms", 1),
}
_SIDES = ("ours", "theirs")
COLUMNS = (
    "clip",
    "allowed",
    "pack",
    "ratio",
    "aim",
    *(f"{side}_{key}" for key in _PAIRS for side in _SIDES),
)
COLUMNS += (
    "ours_frames",
    *(f"{side}_{key}" for key in ("detector_runs", "peak_mb") for side in _SIDES),
)
"""What the Markdown table shows of the rows."""


def summary(rounds: Sequence[Sequence[Turn]]) -> dict[str, Any]:
    """Return medians over rounds of one side."""
    each = [_one_round(turns) for turns in rounds]
    return {key: median(figures[key] for figures in each) for key in each[0]}


def _one_round(turns: Sequence[Turn]) -> dict[str, float]:
    cpu, wall = (
        np.array([value for turn in turns for value in turn[key]]) for key in ("cpu", "wall")
    )
    return {
        "fps_cpu": cpu.size / float(cpu.sum()),
        "median_ms": 1e3 * float(np.median(wall)),
        "p95_ms": 1e3 * float(np.percentile(wall, 95)),
        "detector_runs": sum(turn["detector_runs"] for turn in turns),
        "frames": cpu.size,
        "peak_mb": turns[-1]["peak_mb"],
        "hands": float(np.mean([len(hands) for turn in turns for hands in turn["points"]])),
        "cpu_per_wall": float(cpu.sum() / wall.sum()),
        "threads": turns[-1]["threads"],
    }


def agreement(ours: Sequence[Turn], theirs: Sequence[Turn]) -> float:
    """Return the mean distance of landmarks in per cent of palm length, over frames where both
    sides see one hand.
    """
    frames = [zip(a["points"], b["points"], strict=True) for a, b in zip(ours, theirs, strict=True)]
    pairs = [
        (np.array(a[0]), np.array(b[0]))
        for turn in frames
        for a, b in turn
        if len(a) == len(b) == 1
    ]
    return 100 * float(
        np.mean([np.linalg.norm(a - b, axis=1).mean() / palm_size(b) for a, b in pairs])
    )


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table and what else there is to say."""
    output = console()
    table = Table(
        title="handheld / MediaPipe 0.10.21: the same model files and frames, models on one thread"
    )
    for head in (
        "clip",
        "allowed",
        "pack",
        *(head for head, _ in _PAIRS.values()),
        "ratio",
        "aim",
        "detector runs",
        "peak MB",
    ):
        table.add_column(head, justify="left" if head in ("clip", "pack") else "right")
    for row in rows:
        pairs = [_pair(row, key, digits) for key, (_, digits) in _PAIRS.items()]
        aim = "" if row["aim"] is None else f">= {row['aim']} {_met(row['ratio'] >= row['aim'])}"
        runs = f"{_pair(row, 'detector_runs', 0)} of {row['ours_frames']:.0f}"
        memory = f"{_pair(row, 'peak_mb', 0)} {_met(row['ours_peak_mb'] < row['theirs_peak_mb'])}"
        table.add_row(
            row["clip"],
            str(row["allowed"]),
            row["pack"],
            *pairs,
            f"{row['ratio']:.2f}",
            aim,
            runs,
            memory,
        )
    output.print(table)
    for row in rows:
        if "difference_percent" in row:
            output.print(
                f"{row['clip']}, {row['allowed']} allowed, {row['pack']}: unsmoothed "
                f"{row['unsmoothed_fps_cpu']:.0f} frames "
                "per CPU-s, landmarks differ from MediaPipe's by "
                f"{row['difference_percent']:.2f} % of palm length"
            )
    busy, alive = (
        _pair({f"{s}_{key}": median(r[f"{s}_{key}"] for r in rows) for s in _SIDES}, key, n)
        for key, n in _BUSY
    )
    output.print(
        f"CPU time per wall time {busy}: above 1, several threads were at work at once. "
        f"Threads alive: {alive}."
    )
    output.print(
        "Aims: >= 2.0 with one hand in view and two allowed, >= 1.1 with one allowed, and "
        "less peak memory."
    )


_BUSY = (("cpu_per_wall", 2), ("threads", 0))


def _pair(row: Mapping[str, Any], key: str, digits: int) -> str:
    return " / ".join(f"{row[f'{side}_{key}']:.{digits}f}" for side in _SIDES)


def _met(good: bool) -> str:
    return "met" if good else "MISSED"
