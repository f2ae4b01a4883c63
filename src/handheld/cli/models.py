"""``handheld models``: models that others made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from handheld.engine.store import Bundle

app = typer.Typer(help="Fetch and list models that others made.", no_args_is_help=True)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a bundle, such as mediapipe-hands.")],
    from_file: Annotated[
        Path | None,
        typer.Option(help="The wheel that holds them, brought by other means, instead of the network."),
    ] = None,
) -> None:
    """Fetch a bundle of models, check each file's hash, and keep them in the cache."""
    from rich.console import Console

    from handheld.engine import store
    from handheld.errors import InputError

    bundles = _bundles()
    if name not in bundles:
        raise InputError(f"no bundle {name!r}; there are: {', '.join(bundles)}")
    console = Console()
    if not store.is_stored(bundles[name]):
        Console(stderr=True).print(f"fetching {bundles[name].requirement} ...", highlight=False)
    folder = store.fetch(bundles[name], wheel=from_file)
    for file in bundles[name].files:
        console.print(f"{folder / file}  {(folder / file).stat().st_size:,} bytes", highlight=False, soft_wrap=True)


@app.command("list")
def list_bundles() -> None:
    """List the bundles that can be fetched, and whether they are here."""
    from rich.console import Console
    from rich.table import Table

    from handheld.engine import store

    table = Table("bundle", "from", "licence", "fetched")
    for bundle in _bundles().values():
        table.add_row(bundle.name, bundle.requirement, bundle.licence, "yes" if store.is_stored(bundle) else "no")
    Console().print(table)


def _bundles() -> "dict[str, Bundle]":
    from handheld.hands import MEDIAPIPE_HANDS

    return {bundle.name: bundle for bundle in (MEDIAPIPE_HANDS,)}
