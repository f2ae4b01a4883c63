"""Hands, tracked through a clip."""

from importlib import resources
from itertools import islice
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.progress import Progress

from handheld.hands import HandResult, HandTracker
from handheld.hands.recording import HandDrawer, Recording, record
from handheld.hands.report import report_section
from handheld.media import Frame, open_video, write_animation
from handheld.media.animation import shrink

_REAL_CLIP = Path("hands/video/please.mkv")
_MAX_FRAMES = 400  # the animation is for a page
_WIDTH = 480  # pixels, of the animation


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

    Raises:
        KeyboardInterrupt: Ctrl-C; the lines of the frames so far are written.
    """
    reader = open_video(clip)
    drawn: list[Frame] = []
    draw = HandDrawer()
    with HandTracker(max_hands=2) as tracker, Progress(console=console) as progress:
        total = min(reader.frames or _MAX_FRAMES, _MAX_FRAMES)
        task = progress.add_task(f"tracking {clip.name}", total=total)

        def on_frame(recording: Recording, frame: Frame, hands: list[HandResult]) -> None:
            # Small: 400 frames of a phone's film would be gigabytes.
            picture = shrink(draw(frame, hands), _WIDTH)
            drawn.append(Frame(picture, frame.t_us, frame.index))
            progress.update(task, completed=recording.frames)

        recording = record(
            islice(reader, _MAX_FRAMES),
            tracker,
            jsonl=out / "hands.jsonl",
            fps=reader.fps,
            on_frame=on_frame,
        )
        if recording.interrupted:
            raise KeyboardInterrupt
        console.print("drawing ...")
        write_animation(out / "hands.webp", drawn, width=_WIDTH)
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
