"""Gestures of single hands: how often they are named right, and for what they are taken.

    python benchmarks/hands_gestures.py [--pack NAME_OR_FOLDER ...] [--rendered 50]

Photos of digits are those of the test split, whose people no learned classifier has seen (of the
rules' thresholds, see ``gestures.py``, that cannot be said). Rendered hands have people, poses,
rooms and cameras of their own seed. A hand that was not found counts as wrong; a hand that shows
none of the gestures is right where no gesture is reported. On the clips nothing is known to be
right: the table counts what is reported, and on hands of which some finger is not seen.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _report import show, write
from rich.progress import track

from handheld.hands import HandResult, HandTracker, load_recogniser
from handheld.hands.gestures import GestureRecogniser, unseen_fingers
from handheld.hands.training.examples.photos import SHIPPED, load_pixels, read_photos
from handheld.hands.training.gestures.digits import DIGITS, NUMBERS, padded
from handheld.hands.training.gestures.postures import SHOWN
from handheld.hands.training.gestures.rendered import draw_gesture, photograph
from handheld.hands.training.render.people import draw_person
from handheld.hands.training.render.sources import open_sources
from handheld.media import Image, open_video

DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands"
SEED = 1_000
"""Of people and poses that are rendered for this measurement alone."""
PEOPLE = 24
NONE = "none"
NO_HAND = "no hand"
UNNAMED = frozenset({"six", "seven", "eight"})
"""What the table ``signs`` has no row for: not asked of rendered hands."""


@dataclass
class Answers:
    """What one recogniser said of one source.

    Attributes:
        counts: what was shown -> what was said, and how often.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, label: str, answer: str) -> None:
        self.counts.setdefault(label, Counter())[answer] += 1

    def accuracy(self) -> float:
        """Share of hands that show a gesture that is named."""
        shown = {label: said for label, said in self.counts.items() if label != NONE}
        right = sum(said[label] for label, said in shown.items())
        return right / sum(said.total() for said in shown.values())

    def found(self) -> float:
        """Share of hands that show a gesture that the tracker found."""
        shown = [said for label, said in self.counts.items() if label != NONE]
        return 1 - sum(said[NO_HAND] for said in shown) / sum(said.total() for said in shown)

    def wrong(self) -> float:
        """Share of hands that show a gesture that get another one's name."""
        shown = {label: said for label, said in self.counts.items() if label != NONE}
        missed = sum(said[label] + said[NONE] + said[NO_HAND] for label, said in shown.items())
        return 1 - missed / sum(said.total() for said in shown.values())

    def false_alarms(self) -> float | None:
        """Share of hands without a gesture that get a name."""
        if NONE not in self.counts:
            return None
        said = self.counts[NONE]
        return 1 - (said[NONE] + said[NO_HAND]) / said.total()


def digits() -> Iterator[tuple[Image, str]]:
    """Photos of the digits' test people, each with what its hand shows."""
    only = tuple(photo_set for photo_set in SHIPPED if photo_set.name == "digits")
    for photo in read_photos(DATA / "photos", only):
        if photo.split == "test":
            yield padded(load_pixels(photo)), DIGITS[int(photo.path.parent.name)]


def rendered(count: int) -> Iterator[tuple[Image, str]]:
    """Rendered hands, ``count`` of each gesture and as many of none as of five gestures."""
    sources = open_sources()
    random = np.random.default_rng(SEED)
    people = [
        draw_person(sources, str(number), np.random.default_rng([SEED, number]))
        for number in range(PEOPLE)
    ]
    named = [name for name in SHOWN if name not in UNNAMED]
    for name in [*named, *[None] * 5]:
        for _ in range(count):
            person = people[int(random.integers(PEOPLE))]
            drawn = draw_gesture(person, name, random)
            yield photograph([drawn.hand], sources, random).pixels, drawn.gesture or NONE


def clips(tracker: HandTracker) -> Iterator[tuple[HandResult, tuple[int, int]]]:
    """Hands of the clips, with the size of their picture."""
    for clip in sorted((DATA / "video").glob("*.mkv")):
        tracker.reset()
        for frame in open_video(clip):
            height, width = frame.image.shape[:2]
            for hand in tracker.track(frame):
                yield hand, (height, width)


def compare(
    pictures: Iterable[tuple[Image, str]],
    tracker: HandTracker,
    recognisers: dict[str, GestureRecogniser],
) -> dict[str, Answers]:
    """Return what each recogniser says of the same hands."""
    answers = {name: Answers() for name in recognisers}
    for image, label in pictures:
        hands = tracker.detect(image)
        height, width = image.shape[:2]
        for name, recogniser in recognisers.items():
            said = NO_HAND
            if hands:
                said = recogniser.recognise(hands[0], size=(height, width)) or NONE
            answers[name].add(label, NUMBERS.get(said, said) if name == "american" else said)
    return answers


def on_clips(
    tracker: HandTracker, recognisers: dict[str, GestureRecogniser]
) -> dict[str, dict[str, int]]:
    """Count the gestures on the clips, and those of hands of which not all is seen."""
    counts = {name: {"clip gestures": 0, "on hidden hands": 0} for name in recognisers}
    for hand, size in clips(tracker):
        assert hand.landmarks is not None
        hidden = unseen_fingers(hand.landmarks, size=size, confidence=hand.confidence)
        for name, recogniser in recognisers.items():
            if recogniser.recognise(hand, size=size):
                counts[name]["clip gestures"] += 1
                counts[name]["on hidden hands"] += bool(hidden)
    return counts


def summary(pack: str, source: str, name: str, answers: Answers) -> dict[str, object]:
    """Return a row of the first table."""
    return {
        "pack": pack,
        "hands": source,
        "recogniser": name,
        "shown": sum(said.total() for label, said in answers.counts.items() if label != NONE),
        "found": answers.found(),
        "named right": answers.accuracy(),
        "another's name": answers.wrong(),
        "a name for none": answers.false_alarms(),
    }


def confusions(pack: str, source: str, name: str, answers: Answers) -> Iterator[dict[str, object]]:
    """Return the rows of the second table: what was shown, and for what it was taken."""
    for label, said in answers.counts.items():
        others = [f"{other} {count}" for other, count in said.most_common() if other != label]
        yield {
            "pack": pack,
            "hands": source,
            "recogniser": name,
            "shown": label,
            "count": said.total(),
            "right": said[label] / said.total(),
            "taken for": ", ".join(others),
        }


def main() -> None:
    """Measure every recogniser on the hands that every pack finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", action="append", help="default: MediaPipe's full models and ours")
    parser.add_argument("--rendered", type=int, default=50, help="hands of each gesture")
    options = parser.parse_args()
    packs = options.pack or ["mediapipe-full", "handheld"]
    sources = {
        "digits": (list(digits()), ("american", "learned")),
        "rendered": (list(rendered(options.rendered)), ("signs", "learned")),
    }
    totals: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    for pack in packs:
        with HandTracker(max_hands=1, pack=pack) as tracker:
            for source, (pictures, names) in sources.items():
                recognisers = {name: load_recogniser(name) for name in names}
                looked = track(pictures, description=f"{pack}, {source}")
                for name, answers in compare(looked, tracker, recognisers).items():
                    totals.append(summary(pack, source, name, answers))
                    rows += confusions(pack, source, name, answers)
        with HandTracker(max_hands=2, pack=pack) as tracker:
            both = {name: load_recogniser(name) for name in ("signs", "learned")}
            for name, counts in on_clips(tracker, both).items():
                totals.append({"pack": pack, "hands": "clips", "recogniser": name, **counts})
    show("Gestures", totals)
    write("hands_gestures", totals)
    show("What they are taken for", rows)
    write("hands_gestures_confusions", rows)


if __name__ == "__main__":
    main()
