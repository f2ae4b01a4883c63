"""All commands in one tree."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from handheld import __version__
from handheld.cli import bench, compress, federated, graph, hands, models, reply, text
from handheld.cli._output import INTERRUPTED, STOPPED
from handheld.cli.doctor import doctor
from handheld.cli.propagate import propagate


class _Commands(TyperGroup):
    """Says a word where Ctrl-C or a polite end stops a command that has none of its own."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo(STOPPED, err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    name="handheld",
    help="Machine learning that runs, learns and stays on the device.",
    no_args_is_help=True,
    # typer's own traces are pages, and can show what variables hold
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(hands.app, name="hands")
app.add_typer(bench.app, name="bench")
app.add_typer(compress.app, name="compress")
app.add_typer(federated.app, name="federated")
app.add_typer(graph.app, name="graph")
app.add_typer(models.app, name="models")
app.add_typer(text.app, name="text")
app.add_typer(reply.app, name="reply")
app.command()(propagate)
app.command()(doctor)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass
