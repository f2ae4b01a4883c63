"""The demo: the main job of each part on real input, shown on one page.

``python -m handheld.web.demo --out report`` writes ``report/index.html``. Now: hands, tracked through a clip.
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from itertools import islice
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from rich.console import Console
from rich.progress import Progress

from handheld import __version__
from handheld.engine.store import fetch
from handheld.errors import HandheldError
from handheld.hands import MEDIAPIPE_HANDS, HandTracker
from handheld.hands.recording import Recording, annotate, record
from handheld.hands.report import report_section
from handheld.media import Frame, atomic_path, open_video, write_animation

_REAL_CLIP = Path("hands/video/please.mkv")
_MAX_FRAMES = 400


def choose_clip(given: str | None, data: str | None) -> Path:
    """Return the clip to show: the one given, else a real one of the data folder, else the one that ships."""
    if given:
        return Path(given)
    folder = Path(data) if data else Path("../shared/data")
    if (folder / _REAL_CLIP).is_file():
        return folder / _REAL_CLIP
    return Path(str(resources.files("handheld.hands").joinpath("assets", "demo.mp4")))


def write_report(clip: Path, out: Path, *, console: Console) -> Path:
    """Track a clip and write the page, the animation, the annotated video and the JSON lines into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    reader = open_video(clip)
    frames: list[Frame] = []
    with HandTracker(max_hands=2) as tracker, Progress(console=console) as progress:
        task = progress.add_task(f"tracking {clip.name}", total=min(reader.frames or _MAX_FRAMES, _MAX_FRAMES))

        def on_frame(recording: Recording, frame: Frame, _hands: object) -> None:
            frames.append(frame)
            progress.update(task, completed=recording.frames)

        recording = record(islice(reader, _MAX_FRAMES), tracker, jsonl=out / "hands.jsonl", fps=reader.fps, on_frame=on_frame)
        console.print("drawing ...")
        write_animation(out / "hands.webp", annotate(frames, recording.hands))
        section = report_section(
            recording, clip=clip.name, picture="hands.webp", pack=tracker.pack.name, graph=tracker.config,
            links={"results as JSON lines": "hands.jsonl"},
        )  # fmt: skip
    page = out / "index.html"
    with atomic_path(page) as temporary:
        temporary.write_text(_render([section]), "utf-8")
    console.print(
        f"{recording.frames} frames at {recording.fps:.0f} frames/s, "
        f"detector ran {len(recording.detector_frames)} times: {page}"
    )
    return page


def _render(sections: Sequence[Markup]) -> str:
    environment = Environment(loader=PackageLoader("handheld.web"), autoescape=select_autoescape(), trim_blocks=True)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    date = datetime.now(UTC).date().isoformat()
    return environment.get_template("demo.html").render(version=__version__, date=date, machine=machine, sections=sections)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m handheld.web.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder to write the page into")
    parser.add_argument("--video", help="clip to track; by default a real one of HANDHELD_DATA, else the one that ships")
    given = parser.parse_args(arguments)
    console = Console()
    try:
        console.print("fetching the hand models (once) ...")
        fetch(MEDIAPIPE_HANDS)
        write_report(choose_clip(given.video, os.environ.get("HANDHELD_DATA")), given.out, console=console)
    except HandheldError as error:
        console.print(f"[bold red]error:[/] {error}", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
