"""``handheld hands teach-gesture``: gestures of one's own from a few examples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import Json, Output, Quiet
from handheld.cli._packs import DEFAULT_PACK, Pack, folder_of

if TYPE_CHECKING:
    from handheld.hands import TaughtGestures
    from handheld.hands.shapes import Floats


# Seconds; whoever adds a gesture is done in a moment.
_PATIENCE = 30.0


def teach_gesture(
    name: Annotated[str | None, typer.Argument(help="Name of the gesture.")] = None,
    from_video: Annotated[
        list[Path] | None,
        typer.Option(help="Film of a hand that shows it throughout; may be said several times."),
    ] = None,
    from_photos: Annotated[
        Path | None, typer.Option(help="Folder of photos of hands that show it.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="File of gestures to add to, for --gestures of hands track.")
    ] = Path("my.gestures"),
    more: Annotated[
        bool, typer.Option("--more", help="Add examples to a gesture that is known already.")
    ] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Take the gesture out.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Say which gestures the file holds.")
    ] = False,
    pack: Pack = DEFAULT_PACK,
    mirrored: Annotated[
        bool, typer.Option(help="Films and photos are mirror images, as selfie cameras show them.")
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Teach a gesture of your own from a few examples, forget one, or list them.

    Hands that show none of them are named by the table that the file extends: signs.
    """
    from handheld.files import locked_file

    output = Output(json=json, quiet=quiet, out=out)
    videos = from_video or []
    output.reads(*videos, from_photos, folder_of(pack))
    _check_suffix(out)
    _check_request(name, examples=bool(videos or from_photos), forget=forget, listed=listed)
    known = _known(out)
    if listed:
        _tell_all(output, known)
        return
    assert name is not None
    if forget:
        with locked_file(out, patience=_PATIENCE):
            _known(out).forget(name).save(out)
        output.result(f"forgot {name}", {"forgot": name, "file": str(out)})
        return
    _check_new(known, name, more=more)
    with output.stoppable():
        examples = _examples(videos, from_photos, pack=pack, mirrored=mirrored)
    with locked_file(out, patience=_PATIENCE):
        # Read again: another command may have added to it while this one looked at films.
        gestures = _known(out).taught(name, examples, more=more)
        gestures.save(out)
    count = len(gestures.gestures[gestures.names.index(name)].examples)
    output.result(
        f"{name}: {len(examples)} examples, {count} kept; {out} holds {', '.join(gestures.names)}",
        {"name": name, "examples": len(examples), "kept": count, "file": str(out)},
    )


def _check_suffix(out: Path) -> None:
    """Refuse a file that ``--gestures`` would take for a table."""
    from handheld.errors import InputError

    if out.suffix != ".gestures":
        raise InputError(f"--out {out}: expected a name that ends with .gestures")


def _check_request(name: str | None, *, examples: bool, forget: bool, listed: bool) -> None:
    """Refuse a command that says several things to do, or none."""
    from handheld.errors import InputError

    if examples + forget + listed != 1:
        raise InputError(
            "expected examples (--from-video FILE or --from-photos FOLDER), or --forget, or --list"
        )
    if listed == (name is not None):
        raise InputError(
            "--list takes no name" if listed else "expected the name of a gesture: NAME"
        )


def _known(path: Path) -> "TaughtGestures":
    """Return the gestures of a file; none where there is no such file yet."""
    from handheld.hands import TaughtGestures

    if path.exists():
        return TaughtGestures.load(path)
    return TaughtGestures()


def _check_new(known: "TaughtGestures", name: str, *, more: bool) -> None:
    """Refuse a name that is taken, or is none, before films are looked at for minutes."""
    import numpy as np

    from handheld.hands.taught import LEAST_EXAMPLES

    known.taught(name, np.zeros((LEAST_EXAMPLES, 21, 3)), more=more)


def _examples(videos: list[Path], photos: Path | None, *, pack: str, mirrored: bool) -> "Floats":
    """Return the examples (n, 21, 3) of all films and photos."""
    import numpy as np

    from handheld.hands import HandTracker
    from handheld.hands.teaching import examples_in_photos, examples_in_video

    # Unsmoothed: each frame is an example of its own.
    with HandTracker(pack=pack, mirrored=mirrored, smoothing=False) as tracker:
        examples = [examples_in_video(video, tracker) for video in videos]
        if photos is not None:
            examples.append(examples_in_photos(photos, tracker))
    return np.concatenate(examples)


def _tell_all(output: Output, known: "TaughtGestures") -> None:
    rows = [{"name": gesture.name, "examples": len(gesture.examples)} for gesture in known.gestures]
    words = [f"{row['name']}: {row['examples']} examples" for row in rows]
    output.result("\n".join(words) or "no gestures yet", {"gestures": rows})
