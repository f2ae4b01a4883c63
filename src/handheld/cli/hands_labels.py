"""``handheld hands import``, ``export`` and ``label``: labels of others, and a person's."""

from pathlib import Path
from typing import Annotated

import typer

from handheld.cli._output import Json, Output, Quiet

importing = typer.Typer(help="Read labels of other forms.", no_args_is_help=True)
exporting = typer.Typer(help="Write labels in other forms.", no_args_is_help=True)

# Addresses that only this machine reaches.
_LOCAL = ("127.0.0.1", "::1", "localhost")


@importing.command("coco")
def import_coco(
    annotations: Annotated[Path, typer.Argument(help="JSON file of COCO or COCO-WholeBody.")],
    photos: Annotated[Path, typer.Option("--images", help="Folder of the photos.")],
    out: Annotated[Path, typer.Option(help="JSON lines to write; - is standard output.")],
    group: Annotated[
        str,
        typer.Option("--set", help="Folder in --images that the annotations name photos from."),
    ] = "",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Read COCO keypoints of hands, all of a file or nothing of it."""
    from handheld.files import locked_file, open_lines
    from handheld.hands.training.coco import read_coco
    from handheld.hands.training.examples.corrections import ensure_no_corrections, line_of

    output = Output(json=json, quiet=quiet, out=out, streams=True)
    output.reads(annotations, photos)
    with locked_file(out):
        # All the while: of labels that are replaced nobody may correct any meanwhile.
        ensure_no_corrections(out)
        labels = read_coco(annotations, photos, group)
        with open_lines(out) as lines:
            for record in labels.records:
                lines.write(line_of(record))
    for note in labels.notes:
        output.say(note)
    count = len(labels.records)
    output.result(
        f"{count} photos, {labels.hands} hands",
        {"photos": count, "hands": labels.hands, "notes": labels.notes, "labels": str(out)},
    )
    output.wrote(out)


@exporting.command("coco")
def export_coco(
    labels: Annotated[Path, typer.Argument(help="JSON lines of labels.")],
    out: Annotated[Path, typer.Option(help="JSON file to write; - is standard output.")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Write labels, with what was corrected, as COCO keypoints."""
    import json as coded

    from handheld.files import open_lines
    from handheld.hands.training.coco import coco_of
    from handheld.hands.training.examples.corrections import corrections_file, read_records

    output = Output(json=json, quiet=quiet, out=out, streams=True)
    output.reads(labels, corrections_file(labels))
    content = coco_of(read_records(labels), labels)
    with open_lines(out) as lines:
        lines.write(coded.dumps(content, separators=(",", ":")) + "\n")
    photos = len(content["images"])
    hands = len(content["annotations"])
    output.result(
        f"{photos} photos, {hands} hands", {"photos": photos, "hands": hands, "coco": str(out)}
    )
    output.wrote(out)


def label(
    labels: Annotated[Path, typer.Argument(help="JSON lines of labels to look at.")],
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of the photos; by default hands/photos in HANDHELD_DATA."),
    ] = None,
    in_place: Annotated[
        bool, typer.Option(help="At the end, write the corrections into LABELS itself.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
) -> None:
    """Look at labels in a page on this machine, and correct them; Ctrl-C stops it.

    Corrections are kept beside the labels and count wherever labels are read; the same command
    goes on.
    """
    from handheld.hands.training.config import ExampleConfig
    from handheld.hands.training.page import serve

    # the page has no accounts: who opens it changes the labels
    if host not in _LOCAL:
        typer.echo("everybody who reaches this address may see the photos, and correct", err=True)
    folder = photos or ExampleConfig().folder / "photos"
    serve(labels, folder, in_place=in_place, host=host, port=port, on_start=typer.echo)
