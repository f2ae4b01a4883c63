"""``handheld hands``: hands in videos, cameras and pictures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from handheld.hands.recording import Recording

app = typer.Typer(help="Track hands and read gestures.", no_args_is_help=True)

MaxHands = Annotated[int, typer.Option(min=1, help="Hands to report at most.")]
Pack = Annotated[str, typer.Option(help="Model pack: a name, or a folder with pack.toml.")]
Gestures = Annotated[str, typer.Option(help="Gesture table: signs, american, european, chinese, or a TOML file.")]
Mirrored = Annotated[bool, typer.Option(help="Pictures are mirror images, as selfie cameras show them.")]
PalmsOnly = Annotated[bool, typer.Option(help="Find palms only, no landmarks.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the models.")]


@app.command()
def track(
    source: Annotated[str, typer.Argument(help="Video file, number of a camera, or folder of pictures.")],
    out: Annotated[Path | None, typer.Option(help="Write the annotated video (.mp4, .mkv or .webm).")] = None,
    json: Annotated[Path | None, typer.Option(help="Write JSON lines, one a frame.")] = None,
    every_node: Annotated[bool, typer.Option(help="Put what every node of the graph sent into the JSON lines.")] = False,
    max_hands: MaxHands = 2,
    pack: Pack = "mediapipe-full",
    gestures: Gestures = "signs",
    mirrored: Mirrored = False,
    palms_only: PalmsOnly = False,
    smoothing: Annotated[bool, typer.Option(help="Smooth landmarks over time.")] = True,
    redetect_every: Annotated[int, typer.Option(min=1, help="While a hand is missing, look in each k-th frame.")] = 10,
    threads: Threads = 1,
    fps: Annotated[float, typer.Option(min=0.1, help="Frames per second of a folder of pictures.")] = 30.0,
) -> None:
    """Track hands through a video, from a camera, or through a folder of pictures. Ctrl-C ends it and keeps what was done."""
    from rich.console import Console

    from handheld.errors import InputError
    from handheld.hands import HandTracker
    from handheld.hands.recording import record
    from handheld.media import open_source

    if every_node and json is None:
        raise InputError("--every-node adds to the JSON lines: give --json FILE too")
    frames = open_source(source, fps=fps)
    tracker = HandTracker(
        max_hands=max_hands, pack=pack, gestures=gestures, mirrored=mirrored, palms_only=palms_only, smoothing=smoothing,
        redetect_every=redetect_every, threads=threads,
    )  # fmt: skip
    console = Console(stderr=True)
    with tracker, _progress(console, source, frames.frames) as advance:
        recording = record(
            frames, tracker, video=out, jsonl=json, every_node=every_node, fps=frames.fps,
            on_frame=lambda recording, _frame, _hands: advance(recording),
        )  # fmt: skip
    console.print(
        f"{recording.frames} frames, {recording.fps:.1f} frames/s, latency {recording.latency_percentile(50):.1f} ms median, "
        f"{recording.latency_percentile(95):.1f} ms p95, detector ran {len(recording.detector_frames)} times"
    )
    for written in (out, json):
        if written is not None:
            console.print(f"wrote {written}", soft_wrap=True)


@app.command()
def detect(
    images: Annotated[list[Path], typer.Argument(help="Pictures.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write annotated pictures to.")] = None,
    max_hands: MaxHands = 2,
    pack: Pack = "mediapipe-full",
    gestures: Gestures = "signs",
    mirrored: Mirrored = False,
    palms_only: PalmsOnly = False,
    threads: Threads = 1,
) -> None:
    """Find hands in pictures; prints one JSON object a picture. A picture that cannot be read is named and skipped."""
    import json as json_format

    from rich.console import Console
    from rich.markup import escape

    from handheld.errors import MediaError
    from handheld.hands import HandTracker, draw_hands
    from handheld.media import read_image, write_image

    console, failed = Console(stderr=True), 0
    with HandTracker(
        max_hands=max_hands, pack=pack, gestures=gestures, mirrored=mirrored, palms_only=palms_only, threads=threads
    ) as tracker:
        for path in images:
            try:
                image = read_image(path)
            except MediaError as error:
                console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
                failed += 1
                continue
            hands = tracker.detect(image)
            typer.echo(json_format.dumps({"image": str(path), "hands": [hand.to_json() for hand in hands]}, ensure_ascii=False))
            if out is not None:
                write_image(out / f"{path.stem}.hands.png", draw_hands(image, hands))
    if failed:
        raise typer.Exit(1)


@contextmanager
def _progress(console: "Console", name: str, total: int | None) -> Iterator["Callable[[Recording], None]"]:
    """Show a bar with frames per second and how often the detector ran."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counts = TextColumn("{task.fields[rate]:.1f} frames/s, detector ran {task.fields[detector]} times")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), counts, TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(Path(name).name, total=total, rate=0.0, detector=0)

        def advance(recording: "Recording") -> None:
            detector = len(recording.detector_frames)
            bar.update(task, completed=recording.frames, rate=recording.fps, detector=detector)

        yield advance
