"""``handheld propagate``: the labels of a few nodes spread over a graph."""

from pathlib import Path
from typing import Annotated

import typer


def propagate(
    graph: Annotated[Path, typer.Argument(help="Parquet: source, target; weight and relation where there are.")],
    seeds: Annotated[Path, typer.Argument(help="Lines of a node's number, a tab and a label.")],
    out: Annotated[Path, typer.Option(help="Parquet to write: node, labels and their shares, the likeliest first.")],
    relation: Annotated[
        list[str] | None, typer.Option(help="How much a relation counts, such as likes=0.5; may be repeated.")
    ] = None,
    directed: Annotated[bool, typer.Option(help="Targets learn from sources only.")] = False,
    kept: Annotated[int, typer.Option(help="Labels that each node keeps.")] = 10,
    prior: Annotated[float, typer.Option(help="Weight of the uniform distribution; holds back what comes from far.")] = 0.01,
    sweeps: Annotated[int, typer.Option(help="Sweeps at most.")] = 20,
    tolerance: Annotated[float, typer.Option(help="Mean change of a node below which sweeps end.")] = 1e-4,
    asynchronous: Annotated[bool, typer.Option(help="Read what this sweep wrote: fewer sweeps, one thread.")] = False,
    threads: Annotated[int, typer.Option(help="Threads; with Ray, of each worker.")] = 1,
    engine: Annotated[str, typer.Option(help="Where sweeps are made: local, or ray, on a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Address of a Ray cluster; a local one is started without.")] = None,
    workers: Annotated[int, typer.Option(help="With Ray: into how many parts the graph is cut.")] = 2,
) -> None:
    """Spread the labels of a few nodes over a graph."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from handheld.propagation import Graph, read_seeds, write_labels
    from handheld.propagation import propagate as spread

    console = Console(stderr=True)
    found = Graph.read(graph, _weights(relation), directed=directed)
    given, names = read_seeds(seeds, found.nodes)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[text]}")
    with Progress(*columns, console=console, refresh_per_second=2) as bars:
        task = bars.add_task("sweeps", total=sweeps, text="")
        labels = spread(
            found, given, classes=len(names), kept=kept, prior=prior, sweeps=sweeps, tolerance=tolerance,
            synchronous=not asynchronous, threads=threads, engine=engine, address=address, workers=workers,
            report=lambda sweep, _, change: bars.update(task, completed=sweep, text=f"{sweep}: changed by {change:.2g}"),
        )  # fmt: skip
        bars.update(task, completed=sweeps)  # it may have ended before
    write_labels(out, labels, names)
    reached = int((labels.best >= 0).sum())
    console.print(
        f"{reached:,} of {found.nodes:,} nodes have labels; wrote {out}", highlight=False, markup=False, soft_wrap=True
    )


def _weights(relations: list[str] | None) -> dict[str, float] | None:
    from handheld.errors import InputError

    if not relations:
        return None
    found = {}
    for text in relations:
        name, equals, weight = text.rpartition("=")
        try:
            found[name] = float(weight)
        except ValueError:
            equals = ""
        if not (equals and name):
            raise InputError(f"expected a relation such as likes=0.5, got {text!r}")
    return found
