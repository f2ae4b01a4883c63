"""All commands in one tree."""

from typing import Annotated

import typer

from handheld import __version__
from handheld.cli import compress, federated, graph, hands, models, reply, text
from handheld.cli.doctor import doctor
from handheld.cli.propagate import propagate

app = typer.Typer(
    name="handheld",
    help="Machine learning that runs, learns and stays on the device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(hands.app, name="hands")
app.add_typer(compress.app, name="compress")
app.add_typer(federated.app, name="federated")
app.add_typer(graph.app, name="graph")
app.add_typer(models.app, name="models")
app.add_typer(text.app, name="text")
app.add_typer(reply.app, name="reply")
app.command()(propagate)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
