"""``handheld models``: models that others made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import Json, Output, Quiet, table_of

if TYPE_CHECKING:
    from handheld.engine.store import Bundle

app = typer.Typer(help="Fetch and list models that others made.", no_args_is_help=True)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a bundle, such as mediapipe-hands.")],
    from_file: Annotated[
        Path | None,
        typer.Option(
            help="The wheel that holds them, brought by other means, instead of the network."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a bundle of models, check each file's hash, and keep them in the cache."""
    from handheld.engine import store
    from handheld.errors import InputError

    output = Output(json=json, quiet=quiet)
    output.reads(from_file)
    bundles = _bundles()
    if name not in bundles:
        raise InputError(f"no bundle {name!r}; there are: {', '.join(bundles)}")
    if not store.is_stored(bundles[name]):
        output.say(f"fetching {bundles[name].requirement} ...")
    with output.stoppable():
        folder = store.fetch(bundles[name], wheel=from_file)
    sizes = {folder / file: (folder / file).stat().st_size for file in bundles[name].files}
    output.result(
        "\n".join(f"{path}  {size:,} bytes" for path, size in sizes.items()),
        [{"file": path, "bytes": size} for path, size in sizes.items()],
    )


@app.command("list")
def list_bundles(json: Json = None, quiet: Quiet = False) -> None:
    """List the bundles that can be fetched, and whether they are here."""
    from handheld.engine import store

    rows = [
        {
            "bundle": bundle.name,
            "from": bundle.requirement,
            "licence": bundle.licence,
            "fetched": store.is_stored(bundle),
        }
        for bundle in _bundles().values()
    ]
    cells = [
        [
            str(row["bundle"]),
            str(row["from"]),
            str(row["licence"]),
            "yes" if row["fetched"] else "no",
        ]
        for row in rows
    ]
    Output(json=json, quiet=quiet).result(
        table_of(["bundle", "from", "licence", "fetched"], cells), rows
    )


def _bundles() -> "dict[str, Bundle]":
    from handheld.hands import MEDIAPIPE_HANDS

    return {bundle.name: bundle for bundle in (MEDIAPIPE_HANDS,)}
