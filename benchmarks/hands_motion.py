"""Motions by rules and by the learned network: how often they are told, and what is told wrongly.

    python benchmarks/hands_motion.py [--pack NAME_OR_FOLDER] [--films 6] [--made 40]

Rendered films are tracked as any film; made ones are the same plans as keypoints with the errors of
a tracker, at 12 to 60 frames a second of which some fail. Both are of people and plans of their own
seed. Below the eight motions stand hands that only come near one: all that is told of them is
wrong. On the clips of sign language nobody swipes, waves, pinches or draws: what is told counts as
a false alarm, though signs have strokes and closing fingers of their own.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _report import show, write
from rich.progress import track

from handheld.hands import HandResult, HandTracker, MotionEvent, MotionRecogniser
from handheld.hands.training.gestures.films import rendered_film
from handheld.hands.training.gestures.motion import tracked_film
from handheld.hands.training.gestures.motions import PLANS, MotionPlan, draw_motion_scene
from handheld.hands.training.render.people import draw_person
from handheld.hands.training.render.sources import open_sources
from handheld.media import open_video

VIDEO = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands" / "video"
SEED = 2_000
"""Of people and plans that are made for this measurement alone."""
PEOPLE = 16
METHODS = ("rules", "learned")
DISTANCE = (0.6, 1.0)
"""Metres: nearer, a hand would leave the picture in most swipes."""
LATE = 0.3
"""Seconds by which a motion that is told may miss the true one at either side."""

MOSTLY = 0.85
"""Share of frames with a hand of a film that counts as seen throughout."""

Stream = list[tuple[int, list[HandResult], tuple[int, int] | None]]
"""Of each frame: time, hands, and size of the picture where there is one."""


@dataclass
class Told:
    """What one method told of the films of one plan.

    Attributes:
        films: how many there were.
        right: films whose motion was told, once, in its time.
        others: what else was told.
        seen: shares of frames in which the tracker had a hand.
        right_if_seen: of films of which the tracker lost hardly a frame, whether they are right.
    """

    films: int
    right: int
    others: Counter[str]
    seen: list[float]
    right_if_seen: list[bool]

    def add(self, plan: MotionPlan, stream: Stream, events: list[MotionEvent]) -> None:
        seen = float(np.mean([bool(hands) for _, hands, _ in stream]))
        self.seen.append(seen)
        right = [event for event in events if is_right(plan, event)]
        self.films += 1
        self.right += len(right) == 1
        if seen >= MOSTLY:
            self.right_if_seen.append(len(right) == 1)
        self.others.update(event.name for event in events if event not in right[:1])


def is_right(plan: MotionPlan, event: MotionEvent) -> bool:
    """Whether a motion is the one of a plan, in its time."""
    begins = event.begin_us / 1e6 <= plan.end + LATE
    ends = event.end_us / 1e6 >= plan.begin - LATE
    return event.name == plan.motion and begins and ends


def told_of(stream: Stream, method: str) -> list[MotionEvent]:
    recogniser = MotionRecogniser(method)
    events: list[MotionEvent] = []
    for t_us, hands, size in stream:
        events += recogniser.update(hands, t_us, size=size)
    return events + recogniser.finish()


def films(count: int, tracker: HandTracker | None) -> Iterator[tuple[MotionPlan, Stream]]:
    """Films of every plan; without a tracker their keypoints are made."""
    sources = open_sources()
    people = [
        draw_person(sources, str(number), np.random.default_rng([SEED, number]))
        for number in range(PEOPLE)
    ]
    for number, draw in enumerate(PLANS.values()):
        for index in range(count):
            random = np.random.default_rng([SEED, number, index])
            plan = draw(random)
            person = people[int(random.integers(PEOPLE))]
            scene = draw_motion_scene(person, random, distance=DISTANCE)
            if tracker is None:
                yield (
                    plan,
                    [(t_us, [hand], None) for t_us, hand in tracked_film(plan, scene, random)],
                )
                continue
            tracker.reset()
            frames = rendered_film(plan, scene, sources, random)
            yield (
                plan,
                [(frame.t_us, tracker.track(frame), frame.image.shape[:2]) for frame in frames],
            )


def measure(
    source: str, streams: Iterable[tuple[MotionPlan, Stream]]
) -> Iterator[dict[str, object]]:
    """Return a row for each plan and method."""
    told: dict[tuple[str, str], Told] = {}
    for plan, stream in streams:
        for method in METHODS:
            row = told.setdefault((plan.name, method), Told(0, 0, Counter(), [], []))
            row.add(plan, stream, told_of(stream, method))
    for (name, method), row in told.items():
        others = [f"{other} {count}" for other, count in row.others.most_common()]
        yield {
            "films": source,
            "shown": name,
            "method": method,
            "count": row.films,
            "hand seen": float(np.mean(row.seen)),
            "told": row.right / row.films if name in NAMED else None,
            "seen throughout": len(row.right_if_seen),
            "told of these": sum(row.right_if_seen) if name in NAMED else None,
            "told wrongly": ", ".join(others),
        }


NAMED = frozenset(name for name, draw in PLANS.items() if draw(np.random.default_rng(0)).motion)


def clips(pack: str) -> Iterator[dict[str, object]]:
    """Return a row for each method: what it tells of the clips of sign language."""
    alarms = {method: Counter[str]() for method in METHODS}
    seconds = 0.0
    with HandTracker(pack=pack) as tracker:
        for clip in sorted([*VIDEO.glob("*.mkv"), *VIDEO.glob("*.mp4")]):
            tracker.reset()
            stream: Stream = []
            for frame in open_video(clip):
                stream.append((frame.t_us, tracker.track(frame), frame.image.shape[:2]))
            seconds += stream[-1][0] / 1e6
            for method in METHODS:
                alarms[method].update(event.name for event in told_of(stream, method))
    for method, counts in alarms.items():
        yield {
            "films": "clips",
            "shown": f"signs, {seconds:.0f} s",
            "method": method,
            "told wrongly": ", ".join(f"{name} {count}" for name, count in counts.items()),
        }


def total(rows: list[dict[str, object]], source: str, method: str) -> dict[str, object]:
    """Return a row of all motions, and of all that is none of them."""
    mine = [row for row in rows if row["films"] == source and row["method"] == method]
    motions = [row for row in mine if row["told"] is not None]
    shares = [float(str(row["told"])) for row in motions]
    near = [row for row in mine if row["told"] is None]
    alarmed = sum(1 for row in near if row["told wrongly"])
    return {
        "films": source,
        "shown": "all motions",
        "method": method,
        "count": sum(int(str(row["count"])) for row in motions),
        "hand seen": float(np.mean([float(str(row["hand seen"])) for row in motions])),
        "told": float(np.mean(shares)),
        "seen throughout": sum(int(str(row["seen throughout"])) for row in motions),
        "told of these": sum(int(str(row["told of these"])) for row in motions),
        "told wrongly": f"something, of {alarmed} of {len(near)} near misses",
    }


def main() -> None:
    """Measure both methods on the same hands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default="mediapipe-full")
    parser.add_argument("--films", type=int, default=6, help="rendered, of each plan")
    parser.add_argument("--made", type=int, default=40, help="made of keypoints, of each plan")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    with HandTracker(pack=options.pack, max_hands=1) as tracker:
        rendered = films(options.films, tracker)
        rows += measure("rendered", track(rendered, "rendered", options.films * len(PLANS)))
    made = films(options.made, None)
    rows += measure("made", track(made, "made", options.made * len(PLANS)))
    totals = [total(rows, source, method) for source in ("rendered", "made") for method in METHODS]
    rows = [*totals, *clips(options.pack), *rows]
    show("Motions", rows)
    write("hands_motion", rows)


if __name__ == "__main__":
    main()
