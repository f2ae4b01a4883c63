"""Our hand pack beside MediaPipe's, in our tracker, on the sign-language clips and on the one of a
single close hand that spells: hands found, lost, jitter, time.

    python benchmarks/hands_packs.py [--pack NAME_OR_FOLDER ...] [--redetect-every 1]

A hand is lost when its id ends before the clip does. Jitter is how far a keypoint strays from its
own straight line within a second in which the hand rests, with smoothing off, in palm lengths; only
seconds in which the hand rests by the answers of every pack count, so that all are judged by the
same ones. A hand changes its side when it is the left one in a frame and the right one in the
next. How many hands a pack reports says nothing of whether they are hands: two columns say how
many of those that MediaPipe's full models see it sees too, and how many it sees where those see
none (a face that is taken for a hand, or a hand that they miss). Hands that hang out of the picture
are counted apart: the resting ones are such, and where their unseen fingertips are guessed to be
moves more than from frame to frame.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _report import show, write
from numpy.typing import NDArray

from handheld.hands import HandResult, HandTracker
from handheld.hands.packs import PACK_NAMES
from handheld.hands.result import palm_size
from handheld.media import open_video

VIDEO = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands" / "video"

CLIPS = {"of signing people": "*.mkv", "of a close hand": "*.mp4"}
"""Which clips are counted together, and their files."""

SAME = 0.5
"""Palm lengths: two packs' hands nearer than this on average are one hand."""

RESTING = 0.2
"""Palm lengths that a resting hand's middle moves in a second at most."""


CUT_OFF = 6
"""Keypoints beyond the picture's border from which on a hand is cut off by it."""

_STEP = 5
"""Frames between the beginnings of two windows of a second."""


@dataclass
class Tracked:
    """A clip as one pack saw it.

    Attributes:
        hands: of each frame.
        seconds: of CPU, for all frames.
        rate: frames a second.
        size: (2,) width and height of the picture.
    """

    hands: list[list[HandResult]]
    seconds: float
    rate: float
    size: tuple[int, int]

    @property
    def lost(self) -> int:
        """Hands whose id ended before the clip."""
        last: dict[int, int] = {}
        for index, hands in enumerate(self.hands):
            last.update((hand.id, index) for hand in hands)
        return sum(index < len(self.hands) - 1 for index in last.values())

    def track_of(self, hand_id: int, start: int, length: int) -> NDArray[np.float64] | None:
        """Return a hand's keypoints (length, 21, 2) over some frames, or ``None`` if it is not in
        all.
        """
        points = []
        for hands in self.hands[start : start + length]:
            same = [hand for hand in hands if hand.id == hand_id]
            if not same:
                return None
            points.append(same[0].landmarks[:, :2])
        return np.array(points, np.float64)


def track(clip: Path, pack: str, every: int) -> Tracked:
    """Track a clip, two hands allowed, smoothing off."""
    frames = list(open_video(clip))
    seconds = (frames[-1].t_us - frames[0].t_us) / 1e6
    with HandTracker(pack=pack, max_hands=2, smoothing=False, redetect_every=every) as tracker:
        tracker.track(frames[0])  # opens the graph
        tracker.reset()
        start = time.process_time()
        hands = [tracker.track(frame) for frame in frames]
        spent = time.process_time() - start
    height, width = frames[0].image.shape[:2]
    return Tracked(hands, spent, (len(frames) - 1) / seconds, (width, height))


def hangs_out(hand: HandResult, size: tuple[int, int]) -> bool:
    """Return whether the picture's border cuts a hand off: several keypoints are beyond it."""
    points = hand.landmarks[:, :2]
    return int(((points < 0) | (points > size)).any(axis=1).sum()) >= CUT_OFF


def nearest(hand: HandResult, others: Sequence[HandResult]) -> tuple[HandResult | None, float]:
    """Return the hand of another pack that is the same, and how far off it is in palm lengths."""
    best, least = None, SAME
    for other in others:
        apart = np.linalg.norm(hand.landmarks[:, :2] - other.landmarks[:, :2], axis=1).mean()
        if apart / palm_size(hand.landmarks) < least:
            best, least = other, float(apart / palm_size(hand.landmarks))
    return best, least


def jitters(clips: Sequence[Tracked]) -> list[list[tuple[float, float]]]:
    """Return, for each pack, the jitter in every second in which a hand rests by all packs'
    answers, and what of it is from frame to frame.
    """
    first = clips[0]
    length = round(first.rate)
    found: list[list[tuple[float, float]]] = [[] for _ in clips]
    for start in range(0, len(first.hands) - length + 1, _STEP):
        for hand in first.hands[start]:
            same = [hand, *(nearest(hand, clip.hands[start])[0] for clip in clips[1:])]
            tracks = [
                None if one is None else clip.track_of(one.id, start, length)
                for clip, one in zip(clips, same, strict=True)
            ]
            palm = float(palm_size(hand.landmarks))
            if all(track is not None and _rests(track, palm) for track in tracks):
                for values, track in zip(found, tracks, strict=True):
                    assert track is not None
                    values.append((_jitter(track) / palm, _trembling(track) / palm))
    return found


def _rests(track: NDArray[np.float64], palm: float) -> bool:
    middle = track.mean(axis=1)
    third = len(middle) // 3
    return bool(
        np.linalg.norm(middle[-third:].mean(0) - middle[:third].mean(0)) < RESTING * palm
        and np.linalg.norm(middle - middle.mean(0), axis=1).max() < RESTING * palm
    )


def _jitter(track: NDArray[np.float64]) -> float:
    """Return the standard deviation from each coordinate's straight line, over all keypoints."""
    times = np.arange(len(track)) - (len(track) - 1) / 2
    flat = track.reshape(len(track), -1)
    flat = flat - flat.mean(axis=0)
    slopes = times @ flat / (times @ times)
    return float(np.sqrt(2 * np.mean((flat - times[:, None] * slopes) ** 2)))


def _trembling(track: NDArray[np.float64]) -> float:
    """Return the standard deviation of what is independent from frame to frame, over all
    keypoints, both coordinates together as in :func:`_jitter`.
    """
    # Of independent deviations of variance 1 the second difference has 1 + 4 + 1.
    bends = np.diff(track, n=2, axis=0)
    return float(np.sqrt(2 * np.mean(bends**2) / 6))


def changes_of_side(tracked: Tracked) -> int:
    """Return how often a hand is the other hand a frame later, though its id is the same."""
    sides: dict[int, str | None] = {}
    changes = 0
    for hand in (hand for hands in tracked.hands for hand in hands):
        changes += sides.get(hand.id, hand.handedness) != hand.handedness
        sides[hand.id] = hand.handedness
    return changes


def main() -> None:
    """Track every clip with every pack, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", action="append", help="default: ours and MediaPipe's, two each")
    parser.add_argument("--redetect-every", type=int, default=1)
    options = parser.parse_args()
    packs = options.pack or list(PACK_NAMES)
    rows = []
    for title, clips in CLIPS.items():
        rows += rows_of(title, sorted(VIDEO.glob(clips)), packs, options.redetect_every)
    show("Hand packs on the clips", rows)
    write("hands_packs", rows)


def rows_of(
    title: str, clips: Sequence[Path], packs: Sequence[str], every: int
) -> list[dict[str, object]]:
    """Return a row for each pack, of all clips together."""
    totals = {pack: Counter[str]() for pack in packs}
    jitter: dict[str, list[tuple[float, float]]] = {pack: [] for pack in packs}
    apart: dict[str, list[float]] = {pack: [] for pack in packs}
    worse: dict[str, list[str]] = {pack: [] for pack in packs}
    for clip in clips:
        seen = [track(clip, pack, every) for pack in packs]
        reference = seen[packs.index("mediapipe-full")] if "mediapipe-full" in packs else seen[0]
        for pack, tracked, values in zip(packs, seen, jitters(seen), strict=True):
            counts = [len(hands) for hands in tracked.hands]
            totals[pack].update(
                frames=len(counts),
                hands=sum(counts),
                both=sum(count == 2 for count in counts),
                none=sum(count == 0 for count in counts),
                lost=tracked.lost,
                changes=changes_of_side(tracked),
                us=round(1e6 * tracked.seconds),
            )
            if tracked.lost > reference.lost:
                worse[pack].append(f"{clip.stem} {tracked.lost}:{reference.lost}")
            jitter[pack] += values
            for hands, others in zip(tracked.hands, reference.hands, strict=True):
                same = [nearest(hand, others) for hand in hands]
                apart[pack] += [least for other, least in same if other]
                totals[pack].update(
                    others=len(others),
                    shared=sum(nearest(other, hands)[0] is not None for other in others),
                    alone=sum(other is None for other, _ in same),
                )
                for other in others:
                    if hangs_out(other, tracked.size):
                        is_shared = nearest(other, hands)[0] is not None
                        totals[pack].update(cut_off=1, cut_off_shared=is_shared)
    return [
        {
            "clips": f"{len(clips)} {title}",
            "pack": Path(pack).name,
            "frames": total["frames"],
            "hands": total["hands"],
            "of mediapipe-full's": f"{total['shared'] / max(1, total['others']):.1%}",
            "of its cut-off ones": f"{total['cut_off_shared']} of {total['cut_off']}",
            "where that sees none": total["alone"],
            "frames with both hands": total["both"],
            "frames without any": total["none"],
            "hands lost": total["lost"],
            "lost more often on": ", ".join(worse[pack]) or "none",
            "changes of side": total["changes"],
            "jitter": f"{np.mean([whole for whole, _ in jitter[pack]]):.4f}",
            "frame to frame": f"{np.mean([trembling for _, trembling in jitter[pack]]):.4f}",
            "resting windows": len(jitter[pack]),
            "apart from mediapipe-full": f"{np.mean(apart[pack]):.3f}",
            "CPU ms a frame": total["us"] / 1000 / total["frames"],
        }
        for pack, total in totals.items()
    ]


if __name__ == "__main__":
    main()
