"""``handheld hands train`` and ``pseudo-label``: hand models of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handheld.cli._bars import stage_bars
from handheld.cli._output import Json, Output, Quiet
from handheld.cli._packs import folder_of

if TYPE_CHECKING:
    from handheld.hands.training.landmark.trainee import LandmarkConfig
    from handheld.hands.training.pack import Training
    from handheld.hands.training.palm.trainee import PalmConfig

app = typer.Typer(help="Train the networks of a hand pack.", no_args_is_help=True)

ConfigFile = Annotated[Path, typer.Option(help="TOML file, see docs/train-hand-models.md.")]
RunFolderOption = Annotated[
    Path, typer.Option("--run", help="Folder of the run; one that was stopped goes on.")
]
Minutes = Annotated[
    float | None,
    typer.Option(min=0.1, help="Take as many steps as fit, by the speed of a short trial."),
]
ExportOnly = Annotated[
    bool, typer.Option(help="Train no further: write the files of the run as it stands.")
]


@app.command()
def landmarks(
    config: ConfigFile,
    run: RunFolderOption,
    arm: Annotated[
        str | None, typer.Option(help="Hands to learn from: mixed, real or rendered.")
    ] = None,
    minutes: Minutes = None,
    export_only: ExportOnly = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train the landmark network, on the GPU if there is one.

    Ctrl-C stops it; the same command goes on.
    """
    from handheld.config import read_config
    from handheld.hands.training.landmark.trainee import LandmarkConfig
    from handheld.hands.training.landmark.training import export_landmarks, train_landmarks
    from handheld.hands.training.run import TrainingFolder

    output = Output(json=json, quiet=quiet, out=_kept_in(run))
    output.reads(config)
    settings = read_config(LandmarkConfig, config).with_arm(arm)
    # a second time: what the configuration names is known only once it was read
    output.reads(*_read_by(settings))
    with output.stoppable(TrainingFolder(run).state), stage_bars(output.console) as progress:
        if export_only:
            done = export_landmarks(settings, run, progress=progress)
        else:
            done = train_landmarks(settings, run, minutes=minutes, progress=progress)
    scores = done.scores
    words = f"error on the test split {scores.mean:.3f} of palm length, median {scores.median:.3f}"
    _tell(output, words, done)


@app.command()
def palm(
    config: ConfigFile,
    run: RunFolderOption,
    minutes: Minutes = None,
    export_only: ExportOnly = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train the palm detector, on the GPU if there is one.

    Ctrl-C stops it; the same command goes on.
    """
    from handheld.config import read_config
    from handheld.hands.training.palm.trainee import PalmConfig
    from handheld.hands.training.palm.training import export_palms, train_palms
    from handheld.hands.training.run import TrainingFolder

    output = Output(json=json, quiet=quiet, out=_kept_in(run))
    output.reads(config)
    settings = read_config(PalmConfig, config)
    output.reads(*_read_by(settings))
    with output.stoppable(TrainingFolder(run).state), stage_bars(output.console) as progress:
        if export_only:
            done = export_palms(settings, run, progress=progress)
        else:
            done = train_palms(settings, run, minutes=minutes, progress=progress)
    words = (
        f"average precision on the test split {done.scores.ap50:.3f}, "
        f"recall {done.scores.recall:.3f}"
    )
    _tell(output, words, done)


@app.command()
def gestures(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="Classifier to write (.npz), for --gestures.")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train the gesture classifier on rendered hands and photos of digits, in minutes."""
    from dataclasses import asdict

    from handheld.config import read_config
    from handheld.hands.training.gestures.classifier import GestureConfig, train_gestures

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(config)
    settings = read_config(GestureConfig, config)
    output.reads(settings.folder, *map(folder_of, settings.packs))
    with output.stoppable(), stage_bars(output.console) as progress:
        classifier, scores = train_gestures(settings, progress=progress)
        classifier.network.save(out)
    words = (
        f"{scores.accuracy:.1%} of {scores.hands} hands of other people right, "
        f"{scores.refused:.1%} refused; {scores.false_alarms:.1%} of hands that show none get a "
        f"name, at probabilities of {classifier.network.threshold:.2f} or more"
    )
    output.result(
        words, asdict(scores) | {"threshold": classifier.network.threshold, "file": str(out)}
    )


@app.command()
def motions(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="Network to write (.npz).")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train the network that tells swipes, waves, pinches and circles, in minutes."""
    from handheld.config import read_config
    from handheld.hands.training.gestures.motion import MotionConfig, train_motions

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(config)
    settings = read_config(MotionConfig, config)
    output.reads(settings.folder)
    with output.stoppable(), stage_bars(output.console) as progress:
        network = train_motions(settings, progress=progress)
        network.save(out)
    words = f"wrote {out}: told at probabilities of {network.threshold:.2f} or more"
    output.result(words, {"threshold": network.threshold, "file": str(out)})


def _kept_in(run: Path) -> list[Path]:
    """Return the files of a run that its training writes again and again."""
    from handheld.hands.training.run import TrainingFolder

    folder = TrainingFolder(run)
    return [folder.state, folder.plan, folder.evaluations]


def _read_by(settings: "LandmarkConfig | PalmConfig") -> list[str | Path | None]:
    """Return what a training reads besides its configuration."""
    # by name, not the whole folder: the run itself may lie in it
    photos = settings.examples.folder / "photos"
    examples = settings.examples
    starts = map(folder_of, settings.learn.starts)
    return [examples.labels, examples.mistakes_file, photos, *starts]


def _tell(output: Output, words: str, done: "Training[Any]") -> None:
    """Give the scores of a network, and say which files were written and which were not."""
    files = [*done.export.files.values(), done.card, done.picture]
    output.result(words, done.scores.to_json() | {"files": list(map(str, files))})
    for path in files:
        output.say(f"wrote {path}")
    # each reason once: several files are refused for the same one
    for reason in sorted(set(done.export.refused.values())):
        output.say(f"not written: {reason}; --export-only writes it from the weights that are kept")


def pseudo_label(
    out: Annotated[Path, typer.Option(help="JSON lines to write, or to go on with.")],
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of photo sets; by default hands/photos in HANDHELD_DATA."),
    ] = None,
    teacher: Annotated[
        str, typer.Option(help="Model pack: a name, or a folder.")
    ] = "mediapipe-full",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Label the hands of photos by a teacher, with how far it agrees with itself.

    Can be stopped and goes on.
    """
    from handheld.hands import load_pack
    from handheld.hands.training.config import ExampleConfig
    from handheld.hands.training.examples.labelling import Teacher
    from handheld.hands.training.examples.labelling import pseudo_label as label
    from handheld.hands.training.examples.photos import read_photos

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(folder_of(teacher))
    listed = read_photos(photos or ExampleConfig().folder / "photos")
    output.reads(*(photo.path for photo in listed))
    # of this run alone: hands of photos that were labelled before are not counted again
    total = 0
    with (
        output.stoppable(out),
        stage_bars(output.console) as progress,
        Teacher(load_pack(teacher)) as labeller,
    ):

        def count(done: int, hands: int) -> None:
            nonlocal total
            total += hands
            progress("label", done / len(listed), f"{done} photos, {total} hands")

        label(listed, labeller, out, on_photo=count)
    words = f"{len(listed)} photos, {total} hands labelled now"
    output.result(words, {"photos": len(listed), "hands": total, "labels": str(out)})
    output.say(f"wrote {out}")


def mistakes(
    out: Annotated[Path, typer.Option(help="JSON lines to write, or to go on with.")],
    labels: Annotated[Path, typer.Option(help="JSON lines of pseudo-label.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of photos and negatives; by default HANDHELD_DATA's."),
    ] = None,
    pack: Annotated[str, typer.Option(help="Pack whose mistakes are looked for.")] = "handheld",
    teacher: Annotated[str, typer.Option(help="Pack that says what is none.")] = "mediapipe-full",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Find what a pack takes for hands though it is none, to train it anew.

    Can be stopped and goes on.
    """
    from handheld.hands import load_pack
    from handheld.hands.training.config import ExampleConfig
    from handheld.hands.training.examples.labelling import Teacher
    from handheld.hands.training.examples.mistakes import find_mistakes, read_mistakes

    folder = data or ExampleConfig().folder
    output = Output(json=json, quiet=quiet, out=out)
    output.reads(folder, labels, folder_of(pack), folder_of(teacher))
    with (
        output.stoppable(out),
        stage_bars(output.console) as progress,
        Teacher(load_pack(pack)) as pupil,
        Teacher(load_pack(teacher)) as judge,
    ):
        find_mistakes(
            folder,
            labels,
            pupil,
            judge,
            out,
            on_picture=lambda done, total, _: progress("look", done / total, f"{done} pictures"),
        )
    # read back, as the file also holds what earlier runs found
    regions = sum(map(len, read_mistakes(out).values()))
    output.result(
        f"{regions} regions that are no hands", {"regions": regions, "mistakes": str(out)}
    )
    output.say(f"wrote {out}")


def pack(
    palm: Annotated[Path, typer.Option(help="Folder of the palm detector's run.")],
    landmarks: Annotated[Path, typer.Option(help="Folder of the landmark network's run.")],
    out: Annotated[Path, typer.Option(help="Folder of the pack to write.")],
    precision: Annotated[str, typer.Option(help="float32, float16 or int8_weights.")] = "float32",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make a pack of two trained networks, for --pack of the other commands."""
    from handheld.hands.training.pack import PACK_FILES, assemble_pack

    output = Output(json=json, quiet=quiet, out=[out / name for name in PACK_FILES])
    output.reads(palm, landmarks)
    assemble_pack(palm, landmarks, out, precision=precision)
    output.result(f"wrote {out}", {"pack": str(out), "precision": precision})
