"""Gestures on photos of people who show digits and letters of sign language.

The thresholds of ``handheld.hands.gestures`` were chosen on 100 photos of each digit (drawn with
seed 0); the figures here are for the photos left out, and for a set of letters by another person
that nothing was chosen on. Labels are what the person was asked to show. A hand that was not found
counts as wrong.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _report import show, write
from rich.progress import track

from handheld.hands import GestureTable, HandTracker
from handheld.media import read_image

DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands" / "photos"
PACK = "mediapipe-full"  # on whose keypoints the thresholds were chosen
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = {"B": "four", "F": "ok", "V": "victory", "W": "three", "Y": "call", "S": "closed fist"}


def held_out_digits() -> Iterator[tuple[Path, str]]:
    """Photos of digits on which no threshold was chosen, with the name in the American table."""
    random.seed(0)
    for digit, name in enumerate(DIGITS):
        paths = sorted(map(str, (DATA / "digits" / str(digit)).iterdir()))
        random.shuffle(paths)
        yield from ((Path(path), name) for path in paths[100:])


def letters() -> Iterator[tuple[Path, str]]:
    """Photos of letters whose hand shape is a named gesture."""
    for path in sorted((DATA / "asl_letters").iterdir()):
        if path.name[0] in LETTERS and path.name[1].isdigit():
            yield path, LETTERS[path.name[0]]


def measure(photos: list[tuple[Path, str]], table: str, margin: int) -> list[dict[str, object]]:
    """Return a row for each label: photos, hands found, right answers, most frequent wrong ones."""
    counts: dict[str, Counter[str | None]] = {}
    with HandTracker(pack=PACK, max_hands=1, gestures=GestureTable.load(table)) as tracker:
        for path, label in track(photos, description=table):
            image = np.pad(
                read_image(path), ((margin, margin), (margin, margin), (0, 0)), mode="edge"
            )
            hands = tracker.detect(image)
            counts.setdefault(label, Counter())[hands[0].gesture if hands else "no hand"] += 1
    rows: list[dict[str, object]] = []
    for label, answers in counts.items():
        total = answers.total()
        wrong = ", ".join(
            f"{name} {count}" for name, count in answers.most_common() if name != label
        )
        found, right = total - answers["no hand"], answers[label] / total
        rows.append(
            {
                "gesture": f"{table}: {label}",
                "photos": total,
                "hands found": found,
                "right": right,
                "wrong": wrong,
            }
        )
    right = float(sum(answers[label] for label, answers in counts.items()))
    rows.append({"gesture": f"{table}: all", "photos": len(photos), "right": right / len(photos)})
    return rows


if __name__ == "__main__":
    rows = measure(list(held_out_digits()), "american", 50) + measure(list(letters()), "signs", 0)
    show("Gestures", rows)
    write("gestures", rows)
