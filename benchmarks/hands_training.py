"""Tables of finished training runs: which hands a landmark network learned from, which loss and
decoder a palm detector has.

    python benchmarks/hands_training.py --runs FOLDER

The folder holds runs of ``handheld hands train`` (``plan.json`` and ``scores.json`` in each). Runs
that differ only in their seed are one row, with the mean and the range of their scores on the test
split.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _report import show, write

Run = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Plan and scores."""


def read_runs(folder: Path) -> list[Run]:
    """Read the plan and the scores of every run in a folder; one that has no scores yet is left
    out.
    """
    return [
        (json.loads((run / "plan.json").read_text("utf-8")), json.loads(path.read_text("utf-8")))
        for path in sorted(folder.glob("*/scores.json"))
        for run in [path.parent]
    ]


def alike(
    runs: Sequence[Run], task: str, name: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> list[tuple[dict[str, Any], list[Mapping[str, Any]]]]:
    """Return the beginning of a row for all runs of a task that ``name`` calls the same, and their
    scores.
    """
    same: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for plan, score in runs:
        if plan["task"] == task:
            same[json.dumps(name(plan))].append(score)
    return [(json.loads(key) | {"seeds": len(scores)}, scores) for key, scores in same.items()]


def rows(
    runs: Sequence[Run],
    task: str,
    name: Callable[[Mapping[str, Any]], dict[str, Any]],
    scores: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row for all runs of a task that ``name`` calls the same."""
    table = []
    for row, members in alike(runs, task, name):
        for score in scores:
            values = [member[score] for member in members]
            row[score] = f"{np.mean(values):.3f}"
            if len(values) > 1:
                row[f"{score}, range"] = f"{min(values):.3f} to {max(values):.3f}"
        table.append(row)
    return sorted(table, key=lambda row: row[scores[0]])


def landmark_name(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what distinguishes landmark runs."""
    of_mixed = plan.get("rendered_share", 0.5)  # as it was before it could be set
    share = {"real": 0.0, "mixed": of_mixed, "rendered": 1.0}[plan["arm"]]
    return {
        "hands": plan["arm"],
        "rendered": f"{share:.0%}",
        "crops": plan["steps"] * plan["learn"]["batch"],
    }


def rows_by_set(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the mean error of landmark networks on each set of photos."""
    return [
        row
        | {
            name: f"{np.mean([member['groups'][name] for member in members]):.3f}"
            for name in sorted(members[0]["groups"])
        }
        for row, members in alike(runs, "landmarks", landmark_name)
    ]


def palm_name(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what distinguishes palm runs."""
    return {
        "box": plan["box"],
        "loss": plan["loss"]["scores"],
        "decoder": "yes" if plan["network"]["decoder"] else "no",
        "scenes": plan["steps"] * plan["learn"]["batch"],
    }


def main() -> None:
    """Print and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, required=True)
    runs = read_runs(parser.parse_args().runs)
    landmarks = rows(runs, "landmarks", landmark_name, ("mean", "median", "absent", "handedness"))
    palms = rows(runs, "palm", palm_name, ("ap50", "ap", "recall", "false_alarms"))
    for title, name, table in (
        (
            "Landmark network: error on photos of the test split",
            "hands_training_landmarks",
            landmarks,
        ),
        ("The same by set", "hands_training_sets", rows_by_set(runs)),
        ("Palm detector: average precision on the test split", "hands_training_palms", palms),
    ):
        if table:
            show(title, table)
            write(name, table)


if __name__ == "__main__":
    main()
