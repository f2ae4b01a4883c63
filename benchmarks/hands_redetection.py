"""What ``redetect_every`` gains and costs: hands found on the sign-language clips, and processor
time a frame.

While fewer hands than allowed are in view, the palm detector looks for more in every k-th frame, if
anything has changed; first it is shown what it finds if it looks whether or not anything has. A
small k finds a second hand sooner; a large one is cheaper. All run over the same frames in turns.
"""

import argparse
import os
import time
from pathlib import Path

from _report import show, write

from handheld.hands import HandTracker
from handheld.media import open_video

VIDEO = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands" / "video"
CHANGE = 3.0
"""Grey levels, as by default."""

SCHEDULES = ((1, 0.0), (1, CHANGE), (2, CHANGE), (3, CHANGE), (5, CHANGE), (10, CHANGE))
"""``redetect_every`` and ``redetect_change``; the others are compared with the first."""


def track(clip: Path, every: int, change: float, pack: str) -> tuple[int, int, int, float]:
    """Return frames, hands in them, frames with two hands, and CPU seconds of tracking."""
    frames = list(open_video(clip))
    with HandTracker(
        pack=pack, max_hands=2, redetect_every=every, redetect_change=change
    ) as tracker:
        tracker.track(frames[0])  # opens the graph
        tracker.reset()
        start = time.process_time()
        counts = [len(tracker.track(frame)) for frame in frames]
        seconds = time.process_time() - start
    return len(frames), sum(counts), sum(count == 2 for count in counts), seconds


def rows_of(pack: str, clips: list[Path]) -> list[dict[str, object]]:
    """Return a row for each k."""
    results = {schedule: [0, 0, 0, 0.0] for schedule in SCHEDULES}
    for clip in clips:
        for schedule in SCHEDULES:
            for column, value in enumerate(track(clip, *schedule, pack)):
                results[schedule][column] += value
    most = results[SCHEDULES[0]][2]
    return [
        {
            "pack": Path(pack).name,
            "redetect_every": every,
            "redetect_change": change,
            "clips": len(clips),
            "frames": frames,
            "hands": hands,
            "frames with both hands": both,
            "of those at the first": f"{both / most:.1%}",
            "CPU ms a frame": 1000 * seconds / frames,
        }
        for (every, change), (frames, hands, both, seconds) in results.items()
    ]


def main() -> None:
    """Measure every k on every clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", action="append", help="default: ours and MediaPipe's full")
    packs = parser.parse_args().pack or ["handheld", "mediapipe-full"]
    clips = sorted(VIDEO.glob("*.mkv"))
    rows: list[dict[str, object]] = []
    for pack in packs:
        rows += rows_of(pack, clips)
    show("Looking for a second hand", rows)
    write("hands_redetection", rows)


if __name__ == "__main__":
    main()
