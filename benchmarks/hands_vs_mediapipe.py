"""Our hand tracker beside MediaPipe's, on the same frames, process beside process.

    python benchmarks/hands_vs_mediapipe.py [--rounds 3] [--frames 325]

Packs "full" and "lite" are MediaPipe's own models on both sides; "own" is our pack beside MediaPipe
with its lite models. Each side is a long-lived process that gets decoded frames; they take turns at
every 25 frames, and only one runs at a time. Frames per CPU-second count the time of all threads,
so other work on the machine moves them less than it moves latency. Clips come from
``HANDHELD_DATA``; without it, the packaged one is used. The first run makes ``.venv-mediapipe``.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from _hands_report import COLUMNS, agreement, show, summary
from _mediapipe_env import mediapipe_python
from _report import write
from _worker import Worker

from handheld.engine.store import fetch
from handheld.hands.packs import MEDIAPIPE_HANDS
from handheld.media import open_video

HERE = Path(__file__).parent
PACKAGED = HERE.parent / "src" / "handheld" / "hands" / "assets" / "demo.mp4"
WARM_UP = 20
TURN = 25


@dataclass(frozen=True)
class Clip:
    """A clip, and the least ratio of frames per CPU-second that we aim at, by hands allowed."""

    name: str
    path: Path
    aims: Mapping[int, float] = field(default_factory=lambda: {1: 1.1})
    beside_mirror: bool = False
    agreement: bool = False


def clips() -> list[Clip]:
    """Return what there is to measure on."""
    videos = (
        Path(os.environ.get("HANDHELD_DATA", HERE.parents[1] / "shared" / "data"))
        / "hands"
        / "video"
    )
    if not videos.is_dir():
        return [Clip("packaged clip, two hands", PACKAGED)]
    one = videos / "asl_hand.25fps.mp4"
    return [
        Clip("asl_hand, one hand", one, aims={1: 1.1, 2: 2.0}, agreement=True),
        Clip("asl_hand and mirror image, two hands", one, beside_mirror=True),
        Clip("book, none to two hands", videos / "book.mkv"),
    ]


@contextmanager
def decoded(clip: Clip, most: int) -> Iterator[dict[str, Any]]:
    """Decode a clip once, into raw frames for both sides."""
    with tempfile.NamedTemporaryFile(prefix="handheld-", suffix=".rgb") as file:
        video, count = open_video(clip.path), 0
        for frame in video:
            if count == most:
                break
            file.write(frame.image.tobytes())
            count += 1
        file.flush()
        yield {
            "file": file.name,
            "shape": [video.height, video.width, 3],
            "frames": count,
            "step_us": round(1e6 / video.fps),
            "beside_mirror": clip.beside_mirror,
        }


def compare(
    clip: Clip, setup: Mapping[str, Any], hands: int, pack: str, *, rounds: int, python: Path
) -> dict[str, Any]:
    """Measure both sides in turn; ours with smoothing, as is its default, and where results are
    compared also without.
    """
    options = {**setup, "hands": hands, "pack": pack}
    ours, here = HERE / "_handheld_worker.py", Path(sys.executable)
    with ExitStack() as stack:
        workers = {
            "ours": stack.enter_context(Worker(here, ours, options | {"smoothing": True})),
            "theirs": stack.enter_context(
                Worker(python, HERE / "_mediapipe_worker.py", options | {"smoothing": False})
            ),
        }
        if clip.agreement:
            workers["unsmoothed"] = stack.enter_context(
                Worker(here, ours, options | {"smoothing": False})
            )
        measured = [one_round(workers, setup["frames"]) for _ in range(rounds)]
    row: dict[str, Any] = {"clip": clip.name, "allowed": hands, "pack": pack}
    for side in workers:
        row |= {
            f"{side}_{key}": value
            for key, value in summary([turns[side] for turns in measured]).items()
        }
    row |= {"ratio": row["ours_fps_cpu"] / row["theirs_fps_cpu"], "aim": clip.aims.get(hands)}
    if clip.agreement and pack != "own":
        row["difference_percent"] = agreement(measured[-1]["unsmoothed"], measured[-1]["theirs"])
    return row


def one_round(workers: Mapping[str, Worker], frames: int) -> dict[str, list[dict[str, Any]]]:
    """Take every worker through the clip, in turns whose order alternates; the first frames are not
    counted.
    """
    warm_up = min(WARM_UP, frames // 2)
    for worker in workers.values():
        worker.run(0, warm_up)
    measured: dict[str, list[dict[str, Any]]] = {side: [] for side in workers}
    for turn, first in enumerate(range(warm_up, frames, TURN)):
        for side in list(workers)[:: -1 if turn % 2 else 1]:
            measured[side].append(workers[side].run(first, min(TURN, frames - first)))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=325, help="of each clip at most")
    options = parser.parse_args()
    fetch(MEDIAPIPE_HANDS)
    python, rows = mediapipe_python(), []
    for clip in clips():
        with decoded(clip, options.frames) as setup:
            for hands, pack in product((1, 2), ("full", "lite", "own")):
                rows.append(compare(clip, setup, hands, pack, rounds=options.rounds, python=python))
                print(
                    f"{clip.name}, {hands} allowed, {pack}: {rows[-1]['ratio']:.2f} times "
                    "MediaPipe",
                    flush=True,
                )
    show(rows)
    write("hands_vs_mediapipe", rows, COLUMNS)


if __name__ == "__main__":
    main()
