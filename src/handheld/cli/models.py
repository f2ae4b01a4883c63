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
    # a result must not be written over the wheel
    output.reads(from_file)
    bundles = _bundles()
    if name not in bundles:
        raise InputError(f"no bundle {name!r}; there are: {', '.join(bundles)}")
    # Said first, as a download is silent for some seconds.
    if not store.is_stored(bundles[name]):
        output.say(f"fetching {bundles[name].requirement} ...")
    with output.stoppable():
        folder = store.fetch(bundles[name], wheel=from_file)
    lines = []
    values = []
    for file in bundles[name].files:
        path = folder / file
        size = path.stat().st_size
        lines.append(f"{path}  {size:,} bytes")
        values.append({"file": path, "bytes": size})
    output.result("\n".join(lines), values)


@app.command("list")
def list_bundles(json: Json = None, quiet: Quiet = False) -> None:
    """List the bundles that can be fetched, and whether they are here."""
    from handheld.engine import store

    values = []
    cells = []
    for bundle in _bundles().values():
        is_fetched = store.is_stored(bundle)
        row = {"bundle": bundle.name, "from": bundle.requirement, "licence": bundle.licence}
        values.append(row | {"fetched": is_fetched})
        fetched = "no"
        if is_fetched:
            fetched = "yes"
        cells.append([*row.values(), fetched])
    table = table_of(["bundle", "from", "licence", "fetched"], cells)
    Output(json=json, quiet=quiet).result(table, values)


def _bundles() -> "dict[str, Bundle]":
    from handheld.hands import MEDIAPIPE_HANDS

    return {bundle.name: bundle for bundle in (MEDIAPIPE_HANDS,)}
