"""``handheld propagate``: the labels of a few nodes spread over a graph."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import Json, Output, Quiet

if TYPE_CHECKING:
    from handheld.propagation import PropagatedLabels, WeightedGraph


def propagate(
    graph: Annotated[
        Path, typer.Argument(help="Parquet: source, target; weight and relation where there are.")
    ],
    seeds: Annotated[Path, typer.Argument(help="Lines of a node, a tab and a label.")],
    out: Annotated[
        Path,
        typer.Option(help="Parquet to write: node, labels and their shares, the likeliest first."),
    ],
    relation: Annotated[
        list[str] | None,
        typer.Option(help="How much a relation counts, such as likes=0.5; may be repeated."),
    ] = None,
    directed: Annotated[bool, typer.Option(help="Targets learn from sources only.")] = False,
    max_labels: Annotated[int, typer.Option(help="Labels that are written of each node.")] = 10,
    prior: Annotated[
        float, typer.Option(help="Weight of the uniform distribution; holds back what is far.")
    ] = 0.01,
    max_iter: Annotated[int, typer.Option(help="Sweeps at most.")] = 100_000,
    tolerance: Annotated[
        float, typer.Option(help="How far a share may be from the solution when sweeps end.")
    ] = 5e-7,
    asynchronous: Annotated[
        bool, typer.Option(help="Read what this sweep wrote: less memory, one thread.")
    ] = False,
    threads: Annotated[int, typer.Option(help="Threads; with Ray, of each worker.")] = 1,
    backend: Annotated[
        str, typer.Option(help="Where sweeps are made: local, or ray, on a cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; a local one is started without.")
    ] = None,
    workers: Annotated[int, typer.Option(help="With Ray: parts that the graph is cut into.")] = 2,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Spread the labels of a few nodes over a graph."""
    import warnings

    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from handheld.errors import InputError
    from handheld.propagation import ConvergenceWarning, WeightedGraph, read_seeds, write_labels
    from handheld.propagation import propagate as spread

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(graph, seeds)
    # What is named otherwise would be opened as something else by whoever reads it next.
    if out.suffix.lower() not in ("", ".parquet", ".pq"):
        raise InputError(f"--out {out}: labels are written as Parquet; name it {out.stem}.parquet")
    edges = WeightedGraph.read(graph, _weights(relation), directed=directed)
    seed_labels, names = read_seeds(seeds, edges.nodes, edges.ids)
    columns = (
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with (
        output.stoppable(),
        Progress(*columns, console=output.console, refresh_per_second=2) as bars,
        warnings.catch_warnings(),
    ):
        # Said below, in one line with the rest.
        warnings.simplefilter("ignore", ConvergenceWarning)
        task = bars.add_task("sweeps", total=None, text="")

        def show(sweep: int, _: int, residual: float) -> None:
            bars.update(task, text=f"{sweep}: at most {residual:.2g} from the solution")

        labels = spread(
            edges,
            seed_labels,
            classes=len(names),
            max_labels=max_labels,
            prior=prior,
            max_iter=max_iter,
            tolerance=tolerance,
            synchronous=not asynchronous,
            threads=threads,
            backend=backend,
            address=address,
            workers=workers,
            report=show,
        )
    # also where sweeps ran out: labels may be near enough, and have taken hours
    write_labels(out, labels, names, edges.ids)
    output.result("\n".join(_lines(labels)), _values(edges, labels))
    if not labels.converged:
        output.warn("sweeps ran out before labels were still; raise --max-iter or --prior")
    output.say(f"wrote {out}")


def _lines(labels: "PropagatedLabels") -> list[str]:
    nodes = labels.reached + labels.unreached
    lines = [
        f"{labels.reached:,} of {nodes:,} nodes have labels",
        f"{labels.n_iter:,} sweeps; shares at most {labels.residual:.2g} from the solution",
    ]
    if labels.unreached:
        lines.append(f"{labels.unreached:,} nodes have no path to a seed, and no label")
    return lines


def _values(graph: "WeightedGraph", labels: "PropagatedLabels") -> dict[str, object]:
    return {
        "nodes": graph.nodes,
        "edges": graph.edges,
        "classes": labels.classes,
        "converged": labels.converged,
        "sweeps": labels.n_iter,
        "reached": labels.reached,
        "unreached": labels.unreached,
        "residual": labels.residual,
    }


def _weights(relations: list[str] | None) -> dict[str, float] | None:
    from handheld.errors import InputError

    if not relations:
        return None
    weights = {}
    for text in relations:
        # The last one: a relation's name may have an equals sign in it.
        name, equals, weight = text.rpartition("=")
        if name in weights:
            raise InputError(f"--relation: {name!r} is named twice: say once how much it counts")
        try:
            weights[name] = float(weight)
        except ValueError:
            equals = ""
        if not (equals and name):
            raise InputError(f"expected a relation such as likes=0.5, got {text!r}")
    return weights
