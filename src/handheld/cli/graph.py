"""``handheld graph``: graphs as pictures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at graphs.", no_args_is_help=True)


class DrawingFormat(StrEnum):
    """What ``draw`` writes."""

    both = "both"
    mermaid = "mermaid"
    svg = "svg"


# With one command typer would leave its name out: the callback keeps "graph draw".
@app.callback()
def _graph() -> None:
    pass


@app.command()
def draw(
    name: Annotated[str, typer.Argument(help="hands, or palms for palm-only mode.")] = "hands",
    drawing_format: Annotated[
        DrawingFormat, typer.Option("--format", help="What to print.")
    ] = DrawingFormat.both,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file (.svg or .mmd) instead.")
    ] = None,
    max_hands: Annotated[int, typer.Option(help="Hands at most.")] = 2,
) -> None:
    """Print a solution's graph as Mermaid and SVG."""
    from handheld.errors import InputError
    from handheld.files import atomic_path
    from handheld.graph import to_mermaid, to_svg
    from handheld.hands import HandOptions, hand_graph

    # by name, and not from a file: these are the graphs that the package ships
    if name not in ("hands", "palms"):
        raise InputError(f"no graph {name!r}; there are: hands, palms")
    config = hand_graph(HandOptions(max_hands=max_hands, palms_only=name == "palms"))
    if out is not None:
        suffix = out.suffix.lower()
        if suffix not in (".svg", ".mmd"):
            raise InputError(f"{out}: expected a file that ends in .svg or .mmd")
        write = to_svg if suffix == ".svg" else to_mermaid
        with atomic_path(out) as temporary:
            temporary.write_text(write(config), "utf-8")
        return
    drawings = []
    if drawing_format != DrawingFormat.svg:
        drawings.append(to_mermaid(config))
    if drawing_format != DrawingFormat.mermaid:
        drawings.append(to_svg(config))
    typer.echo("\n".join(drawings), nl=False)


@app.command()
def view(
    trace: Annotated[Path, typer.Argument(help="A trace that Graph(config, trace=...) wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the page here; by default beside the trace.")
    ] = None,
) -> None:
    """Make a page of a trace: a time line and the graph, in one file that needs no network."""
    from handheld.errors import InputError
    from handheld.graph.trace import read_trace

    page = trace.with_suffix(".html") if out is None else out
    if page.resolve() == trace.resolve():
        raise InputError(f"{page} is the trace itself: name another file by --out")
    read_trace(trace).write_page(page)
    typer.echo(f"wrote {page}")
