"""Hands, tracked through a clip."""

from importlib import resources
from itertools import islice
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.progress import Progress

from handheld.engine.store import fetch
from handheld.hands import MEDIAPIPE_HANDS, HandTracker
from handheld.hands.recording import Recording, annotate, record
from handheld.hands.report import report_section
from handheld.media import Frame, open_video, write_animation

_REAL_CLIP = Path("hands/video/please.mkv")
_MAX_FRAMES = 400  # all are kept, to be drawn on, and the animation is for a page


def choose_clip(video: str | None, data: str | None) -> Path:
    """Return the clip to show.

    It is the one that was named, else a real one of the data folder, else the one that ships.
    """
    if video:
        return Path(video)
    if data and (Path(data) / _REAL_CLIP).is_file():
        return Path(data) / _REAL_CLIP
    return Path(str(resources.files("handheld.hands").joinpath("assets", "demo.mp4")))


def track(clip: Path, out: Path, console: Console) -> Markup:
    """Track a clip; write the animation and the JSON lines into a folder.

    Returns the page's section.
    """
    console.print("fetching the hand models (once) ...")
    fetch(MEDIAPIPE_HANDS)
    reader = open_video(clip)
    frames: list[Frame] = []
    with HandTracker(max_hands=2) as tracker, Progress(console=console) as progress:
        total = min(reader.frames or _MAX_FRAMES, _MAX_FRAMES)
        task = progress.add_task(f"tracking {clip.name}", total=total)

        def on_frame(recording: Recording, frame: Frame, _hands: object) -> None:
            frames.append(frame)
            progress.update(task, completed=recording.frames)

        recording = record(
            islice(reader, _MAX_FRAMES),
            tracker,
            jsonl=out / "hands.jsonl",
            fps=reader.fps,
            on_frame=on_frame,
        )
        console.print("drawing ...")
        write_animation(out / "hands.webp", annotate(frames, recording.hands))
        console.print(
            f"{recording.frames} frames at {recording.fps:.0f} frames/s, "
            f"detector ran {len(recording.detector_frames)} times"
        )
        return report_section(
            recording,
            clip=clip.name,
            picture="hands.webp",
            pack=tracker.pack.name,
            graph=tracker.config,
            links={"results as JSON lines": "hands.jsonl"},
        )
