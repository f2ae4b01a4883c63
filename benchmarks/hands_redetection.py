"""What ``redetect_every`` gains and costs: hands found on the sign-language clips, and processor
time a frame.

While fewer hands than allowed are in view, the palm detector looks for more in every k-th frame. A
small k finds a second hand sooner; a large one is cheaper. All k run over the same frames in turns.
"""

import argparse
import os
import time
from pathlib import Path

from _report import show, write

from handheld.hands import HandTracker
from handheld.media import open_video

VIDEO = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands" / "video"
EVERY = (1, 2, 3, 5, 10)


def track(clip: Path, every: int, pack: str) -> tuple[int, int, int, float]:
    """Return frames, hands in them, frames with two hands, and CPU seconds of tracking."""
    frames = list(open_video(clip))
    with HandTracker(pack=pack, max_hands=2, redetect_every=every) as tracker:
        tracker.track(frames[0])  # opens the graph
        tracker.reset()
        start = time.process_time()
        counts = [len(tracker.track(frame)) for frame in frames]
        seconds = time.process_time() - start
    return len(frames), sum(counts), sum(count == 2 for count in counts), seconds


def rows_of(pack: str, clips: list[Path]) -> list[dict[str, object]]:
    """Return a row for each k."""
    results = {every: [0, 0, 0, 0.0] for every in EVERY}
    for clip in clips:
        for every in EVERY:
            for column, value in enumerate(track(clip, every, pack)):
                results[every][column] += value
    most = results[EVERY[0]][2]
    return [
        {
            "pack": Path(pack).name,
            "redetect_every": every,
            "clips": len(clips),
            "frames": frames,
            "hands": hands,
            "frames with both hands": both,
            "of those at 1": f"{both / most:.1%}",
            "CPU ms a frame": 1000 * seconds / frames,
        }
        for every, (frames, hands, both, seconds) in results.items()
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
