"""``handheld hands``: hands in videos, cameras and pictures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli import hands_gestures, hands_labels, hands_training
from handheld.cli._output import INTERRUPTED, Output, Quiet
from handheld.cli._packs import DEFAULT_PACK, Pack, folder_of

if TYPE_CHECKING:
    from rich.console import Console

    from handheld.hands import MotionRecogniser
    from handheld.hands.recording import Recording

app = typer.Typer(help="Track hands and read gestures.", no_args_is_help=True)
app.add_typer(hands_training.app, name="train")
app.command("pseudo-label")(hands_training.pseudo_label)
app.command()(hands_training.mistakes)
app.command("pack")(hands_training.pack)
app.command("teach-gesture")(hands_gestures.teach_gesture)
app.add_typer(hands_labels.importing, name="import")
app.add_typer(hands_labels.exporting, name="export")
app.command()(hands_labels.label)

MaxHands = Annotated[int, typer.Option(min=1, help="Hands to report at most.")]
Gestures = Annotated[
    str,
    typer.Option(
        help="signs, american, european, chinese, learned, or a file: a table (.toml), gestures of "
        "teach-gesture (.gestures), a trained classifier (.npz)."
    ),
]
Mirrored = Annotated[
    bool, typer.Option(help="Pictures are mirror images, as selfie cameras show them.")
]
PalmsOnly = Annotated[bool, typer.Option(help="Find palms only, no landmarks.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the models.")]


@app.command()
def track(
    source: Annotated[
        str,
        typer.Argument(
            help="Video file or URL, - for one on standard input, folder of pictures, "
            "or number of a camera."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the annotated video (.mp4, .mkv or .webm).")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="Write JSON lines, one a frame; - writes them to standard output as they come."
        ),
    ] = None,
    every_node: Annotated[
        bool, typer.Option(help="Put what every node of the graph sent into the JSON lines.")
    ] = False,
    motions: Annotated[
        str | None,
        typer.Option(
            help="Look for swipes, waves, pinches and circles, by rules, learned or a trained "
            "network (.npz); they are in the JSON lines."
        ),
    ] = None,
    max_hands: MaxHands = 2,
    pack: Pack = DEFAULT_PACK,
    gestures: Gestures = "signs",
    mirrored: Mirrored = False,
    palms_only: PalmsOnly = False,
    smoothing: Annotated[bool, typer.Option(help="Smooth landmarks over time.")] = True,
    redetect_every: Annotated[
        int, typer.Option(min=1, help="While a hand is missing, look in each k-th frame.")
    ] = 1,
    threads: Threads = 1,
    fps: Annotated[
        float, typer.Option(min=0.1, help="Frames per second of a folder of pictures.")
    ] = 30.0,
    quiet: Quiet = False,
) -> None:
    """Track hands through a video, from a camera, or through a folder of pictures.

    Ctrl-C ends it and keeps what was done.
    """
    from handheld.errors import InputError
    from handheld.files import uninterrupted
    from handheld.hands import HandTracker
    from handheld.hands.recording import record
    from handheld.media import FrameSource, open_source

    if every_node and json is None:
        raise InputError("--every-node adds to the JSON lines: give --json FILE too")
    if motions is not None and palms_only:
        raise InputError("--motions needs landmarks: leave out --palms-only")
    recogniser = _motion_recogniser(motions)
    output = Output(json=json, quiet=quiet, out=out)
    # Before anything is opened: a video that is written would be empty by then.
    output.reads(*_read_of(source), folder_of(pack), gestures)
    frames = open_source(source, fps=fps)
    tracker = HandTracker(
        max_hands=max_hands,
        pack=pack,
        gestures=gestures,
        mirrored=mirrored,
        palms_only=palms_only,
        smoothing=smoothing,
        redetect_every=redetect_every,
        threads=threads,
    )
    recording: Recording | None = None
    try:
        with frames, tracker, _progress(output.console, source, frames.frames) as advance:
            recording = record(
                frames,
                tracker,
                video=out,
                jsonl=json,
                every_node=every_node,
                motions=recogniser,
                fps=frames.fps,
                keep=False,  # an hour of frames does not fit into memory
                on_frame=lambda recording, _frame, _hands: advance(recording),
            )
    except KeyboardInterrupt:
        # A second one, while all was closed: the files are whole if there is a recording.
        if recording is None:
            output.stopped("nothing was written")
        recording.interrupted = True
    with uninterrupted():
        _tell_recording(output, recording, (out, json))
    # Of a camera, Ctrl-C is the only end.
    is_camera = isinstance(frames, FrameSource) and frames.live
    if recording.interrupted and not is_camera:
        raise typer.Exit(INTERRUPTED)


def _motion_recogniser(method: str | None) -> "MotionRecogniser | None":
    """Return what looks for motions, if they are asked for."""
    from handheld.errors import InputError
    from handheld.hands import MotionRecogniser

    if method is None:
        return None
    try:
        return MotionRecogniser(method)
    except InputError as error:
        raise InputError(str(error).replace("method:", "--motions:", 1)) from error


def _tell_recording(
    output: Output, recording: "Recording", files: tuple[Path | None, Path | None]
) -> None:
    """Say how fast it was, and which files are there."""
    from handheld.files import STANDARD_OUTPUT

    median = recording.latency_percentile(50)
    high = recording.latency_percentile(95)
    output.say(
        f"{recording.frames} frames, {recording.fps:.1f} frames/s, "
        f"latency {median:.1f} ms median, {high:.1f} ms p95, "
        f"detector ran {len(recording.detector_frames)} times"
    )
    for event in recording.motions:
        begin = event.begin_us / 1e6
        output.say(f"{event.name}, hand {event.hand_id}, {begin:.2f} to {event.end_us / 1e6:.2f} s")
    # standard output is no file that somebody would look for
    for written in files:
        if written is not None and str(written) != STANDARD_OUTPUT:
            output.say(f"wrote {written}")


@app.command()
def detect(
    images: Annotated[list[Path], typer.Argument(help="Pictures.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write annotated pictures to.")] = None,
    json: Annotated[
        Path,
        typer.Option(
            help="Write JSON lines, one a picture; - writes them to standard output as they come."
        ),
    ] = Path("-"),
    max_hands: MaxHands = 2,
    pack: Pack = DEFAULT_PACK,
    gestures: Gestures = "signs",
    mirrored: Mirrored = False,
    palms_only: PalmsOnly = False,
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Find hands in pictures; writes one JSON object a picture.

    A picture that cannot be read is named and skipped.
    """
    import json as coded

    from handheld.errors import HandheldError, MediaError
    from handheld.files import open_lines, uninterrupted
    from handheld.hands import HandTracker, draw_hands
    from handheld.media import read_image, write_image

    drawings = _drawings_of(images, out)
    output = Output(json=json, quiet=quiet, out=[path for path in drawings if path])
    output.reads(*images, folder_of(pack), gestures)
    done = 0
    failed = 0
    stop: BaseException | None = None
    # before the lines are opened: a wrong pack is told while no file is made
    tracker = HandTracker(
        max_hands=max_hands,
        pack=pack,
        gestures=gestures,
        mirrored=mirrored,
        palms_only=palms_only,
        threads=threads,
    )
    with tracker, open_lines(json) as lines:
        try:
            for path, drawing in zip(images, drawings, strict=True):
                try:
                    image = read_image(path)
                except MediaError as error:
                    # one of thousands: the others are looked at all the same
                    output.complain(str(error))
                    failed += 1
                    continue
                hands = tracker.detect(image)
                line = {"image": str(path), "hands": [hand.to_json() for hand in hands]}
                with uninterrupted():  # a picture and its line are both there, or neither
                    lines.write(coded.dumps(line, ensure_ascii=False) + "\n")
                    if drawing is not None:
                        write_image(drawing, draw_hands(image, hands))
                done += 1
        except (HandheldError, KeyboardInterrupt) as error:
            stop = error
    # Only now, when the lines are whole.
    count = f"{done} of {len(images)} pictures"
    if out is not None:
        output.say(f"wrote {count} to {out}")
    _end(output, stop, f"{count} were looked at, and {json} holds their lines")
    # a script that asks must not take the lines for those of all pictures
    if failed:
        raise typer.Exit(1)


def _end(output: Output, stop: BaseException | None, outcome: str) -> None:
    """End the command as what stopped it says; Ctrl-C in a line of its own."""
    if isinstance(stop, KeyboardInterrupt):
        output.stopped(outcome)
    if stop is not None:
        raise stop


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder for pictures, labels and a contact sheet.")],
    count: Annotated[int, typer.Option(min=1, help="Pictures in the folder in the end.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pictures.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 makes them in this one.")] = 0,
    crops: Annotated[
        int | None,
        typer.Option(min=32, max=1024, help="Square crops of one hand with so many pixels a side."),
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="Persons whose hands there are.")] = 256,
    quiet: Quiet = False,
) -> None:
    """Render pictures of hands with exact labels, from the meshes in HANDHELD_DATA.

    A run that was ended goes on.
    """
    from handheld.cli._bars import stage_bars
    from handheld.hands.training.render.recipe import RenderRecipe
    from handheld.hands.training.render.studio import CropOptions, SceneOptions
    from handheld.hands.training.render.synthesis import synthesise

    output = Output(quiet=quiet)
    options: SceneOptions | CropOptions = SceneOptions()
    if crops is not None:
        options = CropOptions(size=crops)
    recipe = RenderRecipe(seed=seed, options=options, people=people)
    with output.stoppable(out), stage_bars(output.console) as show:
        counts = synthesise(
            out,
            recipe,
            count,
            workers=workers,
            on_picture=lambda done: show("pictures", min(1, done / count), f"{done} of {count}"),
        )
    resumed = ""
    if counts.resumed:
        resumed = f", {counts.resumed} were there"
    output.say(f"made {counts.made} pictures{resumed}; look at {out / 'sheet.png'}")


def _drawings_of(images: list[Path], folder: Path | None) -> list[Path | None]:
    """Return where each annotated picture goes; None without a folder.

    Names are stems, with a number where several pictures have the same one.
    """
    if folder is None:
        return [None] * len(images)
    used: set[str] = set()
    drawings: list[Path | None] = []
    for path in images:
        name = f"{path.stem}.hands.png"
        number = 1
        while name.casefold() in used:  # some file systems take capitals for small letters
            number += 1
            name = f"{path.stem}_{number}.hands.png"
        used.add(name.casefold())
        drawings.append(folder / name)
    return drawings


def _read_of(source: str) -> list[Path]:
    """Return the files that a source is read from.

    Of a folder these are its pictures: results may lie beside them.
    """
    from handheld.pictures import SUFFIXES

    path = Path(source)
    if not path.is_dir():
        return [path]
    # by their endings, as the reader of a folder takes them
    return [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]


@contextmanager
def _progress(
    console: "Console", name: str, total: int | None
) -> Iterator["Callable[[Recording], None]"]:
    """Show a bar with frames per second and how often the detector ran."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    counts = TextColumn(
        "{task.fields[rate]:.1f} frames/s, detector ran {task.fields[detector]} times"
    )
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        counts,
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(Path(name).name or name, total=total, rate=0.0, detector=0)

        def advance(recording: "Recording") -> None:
            detector = len(recording.detector_frames)
            bar.update(task, completed=recording.frames, rate=recording.fps, detector=detector)

        yield advance
