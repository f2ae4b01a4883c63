"""``handheld graph``: graphs as pictures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at graphs.", no_args_is_help=True)


class Form(StrEnum):
    """What ``draw`` writes."""

    both = "both"
    mermaid = "mermaid"
    svg = "svg"


@app.callback()
def _graph() -> None:
    pass


@app.command()
def draw(
    name: Annotated[str, typer.Argument(help="hands, or palms for palm-only mode.")] = "hands",
    form: Annotated[Form, typer.Option("--format", help="What to print.")] = Form.both,
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

    if name not in ("hands", "palms"):
        raise InputError(f"no graph {name!r}; there are: hands, palms")
    config = hand_graph(HandOptions(max_hands=max_hands, palms_only=name == "palms"))
    if out is not None:
        if out.suffix not in (".svg", ".mmd"):
            raise InputError(f"{out}: expected a file that ends in .svg or .mmd")
        with atomic_path(out) as temporary:
            temporary.write_text(
                to_svg(config) if out.suffix == ".svg" else to_mermaid(config), "utf-8"
            )
        return
    parts = {Form.mermaid: to_mermaid, Form.svg: to_svg}
    typer.echo(
        "\n".join(make(config) for key, make in parts.items() if form in (Form.both, key)), nl=False
    )
