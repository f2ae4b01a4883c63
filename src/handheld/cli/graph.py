"""``handheld graph``: graphs drawn, checked and run."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from handheld.cli._output import Json, Output, Quiet

if TYPE_CHECKING:
    from handheld.files import LineWriter
    from handheld.graph import GraphConfig, Packet
    from handheld.graph.text import GraphCheck, GraphText, PortText

app = typer.Typer(help="Draw, check and run graphs.", no_args_is_help=True)

GraphFile = Annotated[
    Path, typer.Argument(help="A graph: MediaPipe's .pbtxt, or the same as .json or .toml.")
]
Registries = Annotated[
    list[str] | None,
    typer.Option(
        "--registry",
        help="More calculators: package.module:function that returns a Registry.",
    ),
]
Subgraphs = Annotated[
    list[Path] | None,
    typer.Option("--subgraph", help="A file of a graph that others use by its type."),
]

Include = Annotated[
    Path | None,
    typer.Option(help="A folder whose .pbtxt files are the graphs that others use by their types."),
]

# Graphs that the package ships, by name and not from a file.
_SHIPPED = ("hands", "palms")


class DrawingFormat(StrEnum):
    """What ``draw`` writes."""

    both = "both"
    mermaid = "mermaid"
    svg = "svg"


class _Drawings(NamedTuple):
    """How one graph is drawn, in each form, when it is asked for."""

    mermaid: Callable[[], str]
    svg: Callable[[], str]


@app.command()
def draw(
    name: Annotated[
        str, typer.Argument(help="hands, palms (palm-only mode), or a file of a graph.")
    ] = "hands",
    drawing_format: Annotated[
        DrawingFormat, typer.Option("--format", help="What to print.")
    ] = DrawingFormat.mermaid,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print Mermaid, as by default.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(help="Write SVG to this file instead.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file (.svg or .mmd) instead.")
    ] = None,
    max_hands: Annotated[int, typer.Option(help="Hands at most, of the graph hands.")] = 2,
) -> None:
    """Print a graph as Mermaid, or draw it as SVG. Of a file nothing has to be registered."""
    from handheld.errors import InputError

    if svg is not None and (mermaid or out is not None):
        raise InputError("--svg: it is the one form; leave out --mermaid and --out")
    Output(out=[path for path in (svg, out) if path is not None]).reads(_file_of(name))
    drawings = _drawings(name, max_hands)
    if svg is not None:
        _write(svg, drawings.svg())
    elif out is not None:
        _write(out, _drawing_for(out, drawings))
    elif mermaid:
        _print(drawings, DrawingFormat.mermaid)
    else:
        _print(drawings, drawing_format)


def _drawing_for(path: Path, drawings: _Drawings) -> str:
    """Return the drawing in the form that the name of a file says."""
    from handheld.errors import InputError

    suffix = path.suffix.lower()
    if suffix == ".svg":
        return drawings.svg()
    if suffix == ".mmd":
        return drawings.mermaid()
    raise InputError(f"{path}: expected a file that ends in .svg or .mmd")


def _print(drawings: _Drawings, drawing_format: DrawingFormat) -> None:
    texts: list[str] = []
    if drawing_format != DrawingFormat.svg:
        texts.append(drawings.mermaid())
    if drawing_format != DrawingFormat.mermaid:
        texts.append(drawings.svg())
    typer.echo("\n".join(texts), nl=False)


def _write(path: Path, text: str) -> None:
    from handheld.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def _file_of(name: str) -> Path | None:
    """Return the file that a name means; None for a graph that the package ships."""
    if name in _SHIPPED:
        return None
    return Path(name)


def _drawings(name: str, max_hands: int) -> _Drawings:
    path = _file_of(name)
    if path is None:
        return _shipped_drawings(name, max_hands)
    from handheld.errors import InputError
    from handheld.graph.text import read_graph_file, text_to_mermaid, text_to_svg

    if not path.suffix and not path.exists():
        shipped = ", ".join(_SHIPPED)
        raise InputError(f"no graph {name!r}; there are: {shipped}; or name a file")
    graph = read_graph_file(path)
    return _Drawings(lambda: text_to_mermaid(graph), lambda: text_to_svg(graph))


def _shipped_drawings(name: str, max_hands: int) -> _Drawings:
    from handheld.graph import to_mermaid, to_svg
    from handheld.hands import HandOptions, hand_graph

    config = hand_graph(HandOptions(max_hands=max_hands, palms_only=name == "palms"))
    return _Drawings(lambda: to_mermaid(config), lambda: to_svg(config))


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Graphs; those with a type are subgraphs of the others.")
    ],
    registry: Registries = None,
    include: Include = None,
    strict: Annotated[
        bool, typer.Option(help="A calculator that is not registered is an error too.")
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Tell all that is wrong with graphs, and which calculators are not registered."""
    from handheld.graph.text import check_file

    output = Output(json=json, quiet=quiet)
    output.reads(*files, include)
    known = _with_types(files, registry, include)
    checks = {str(path): check_file(path, known) for path in files}
    words = "\n".join(_check_words(name, entry) for name, entry in checks.items())
    output.result(words, [_check_table(name, entry) for name, entry in checks.items()])
    has_failed = any(not entry.ok or (strict and entry.unregistered) for entry in checks.values())
    if has_failed:
        raise typer.Exit(1)


def _with_types(files: Sequence[Path], registry: Sequence[str] | None, include: Path | None) -> Any:
    """Return the registry with those of the files that are subgraphs, and those of a folder."""
    from handheld.cli._graph_files import registry_of
    from handheld.errors import GraphTextError
    from handheld.graph.text import read_graph_file

    graphs: list[GraphText] = []
    for path in files:
        try:
            graphs.append(read_graph_file(path))
        except GraphTextError:
            # The check itself tells, beside what is wrong in the others.
            continue
    known = registry_of(registry or (), ())
    known = known.with_subgraphs(*(graph for graph in graphs if graph.type))
    return _with_included(known, graphs, include)


def _with_included(known: Any, graphs: Sequence["GraphText"], include: Path | None) -> Any:
    """Return the registry with the subgraphs of a folder that graphs use, if there is a folder."""
    from handheld.cli._graph_files import with_folder

    if include is None:
        return known
    return with_folder(known, graphs, include)


def _check_words(name: str, entry: "GraphCheck") -> str:
    unregistered = Counter(node.calculator for node in entry.unregistered)
    registered = len(entry.nodes) - len(entry.unregistered)
    lines = [str(finding) for finding in entry.findings]
    lines.append(f"{name}: {len(entry.nodes)} nodes, {registered} registered")
    for calculator in sorted(unregistered):
        numbers = [str(n.line) for n in entry.unregistered if n.calculator == calculator]
        lines.append(f"  not registered: {calculator} (line {', '.join(numbers)})")
    return "\n".join(lines)


def _check_table(name: str, entry: "GraphCheck") -> dict[str, Any]:
    return {
        "file": name,
        "ok": entry.ok,
        "findings": [vars(finding) for finding in entry.findings],
        "nodes": [vars(node) for node in entry.nodes],
    }


@app.command()
def run(
    file: GraphFile,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="stream=file: .jsonl with lines {'timestamp': ..., 'payload': ...}, or a film "
            "or picture.",
        ),
    ] = None,
    side: Annotated[
        list[str] | None, typer.Option(help="name=value of a side packet; JSON, or a text.")
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", help="stream=file.jsonl; - prints the lines.")
    ] = None,
    registry: Registries = None,
    subgraph: Subgraphs = None,
    include: Include = None,
    resources: Annotated[
        Path | None,
        typer.Option(
            help="A folder with the models and label maps that the graph names; by default "
            "MediaPipe's hand models, which 'handheld models fetch' brings."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Run a graph from a file on packets from files, until they end.

    Inputs and side packets that are not named stay open, where the calculators allow it.
    """
    from handheld.cli._graph_files import pairs_of, registry_of, side_value
    from handheld.graph.text import load_graph, read_graph_file, run_settings

    sources = pairs_of("--input", inputs or ())
    sides = {name: side_value(text) for name, text in pairs_of("--side", side or ()).items()}
    targets = pairs_of("--output", outputs or ())
    output = Output(json=json, quiet=quiet, out=list(map(Path, targets.values())), streams=True)
    # Before anything is read: an output must not be one of the files that it is made of.
    output.reads(file, *sources.values(), *(subgraph or ()), include, resources)
    text = read_graph_file(file)
    sources = _by_stream("--input", sources, text.inputs)
    targets = _by_stream("--output", targets, text.outputs, or_any=True)
    sides = _by_stream("--side", sides, text.side_inputs, or_any=True)
    known = registry_of(registry or (), subgraph or (), resources=resources)
    known = _with_included(known, [text], include)
    open_inputs = _unnamed(text.inputs, sources)
    open_sides = _unnamed(text.side_inputs, sides)
    _say_open(output, open_inputs, open_sides)
    config = load_graph(text, known, left_out=open_inputs, left_out_sides=open_sides)
    settings = run_settings(text)
    with output.stoppable():
        counts = _run(output, config, vars(settings) | {"side": sides}, sources, targets)
    words = "\n".join(f"{name}: {count} packets" for name, count in counts.items())
    output.result(words, {"outputs": counts})


def _unnamed(ports: Sequence["PortText"], values: Mapping[str, Any]) -> list[str]:
    """Return the inputs or side inputs of a graph that nothing was named for."""
    return [port.name for port in ports if port.name not in values]


def _say_open(output: Output, inputs: Sequence[str], sides: Sequence[str]) -> None:
    """Say what stays open: what a calculator makes of that is seldom what a slip was meant to."""
    for option, names in (("--input", inputs), ("--side", sides)):
        if names:
            output.say(f"open, for want of {option}: {', '.join(names)}")


def _by_stream(
    option: str, values: Mapping[str, Any], ports: Sequence[Any], *, or_any: bool = False
) -> dict[str, Any]:
    """Return the values by the names of streams, of which tags may stand in their place."""
    from handheld.errors import InputError
    from handheld.graph.text import canonical_names

    by_tag = {name: port.name for name, port in zip(canonical_names(ports), ports, strict=True)}
    names = {port.name for port in ports}
    by_stream: dict[str, Any] = {}
    for name, value in values.items():
        stream = name
        # A stream's own name comes first: another's tag may be the same word.
        if name not in names:
            stream = by_tag.get(name, name)
        if stream in by_stream:
            raise InputError(f"{option}: {name} stands twice, by its tag and by its name")
        if stream not in names and not or_any:
            expected = ", ".join(sorted(names)) or "none"
            raise InputError(f"{option}: {name!r} is none of the graph; there are: {expected}")
        by_stream[stream] = value
    return by_stream


def _run(
    output: Output,
    config: "GraphConfig",
    settings: Mapping[str, Any],
    sources: Mapping[str, str],
    targets: Mapping[str, str],
) -> dict[str, int]:
    """Run a graph; return how many packets each output had."""
    from handheld.cli._bars import stage_bars
    from handheld.cli._graph_files import counted, length_of, open_outputs, packets_of
    from handheld.graph import Graph
    from handheld.graph.text import feed

    counts = dict.fromkeys(targets, 0)
    with ExitStack() as stack:
        writers = open_outputs(stack, targets)
        show = stack.enter_context(stage_bars(output.console))
        with Graph(config, **settings) as graph:
            for stream, writer in writers.items():
                graph.observe(stream, _writing(stream, writer, counts))
            packets = {}
            for stream, path in sources.items():
                total = length_of(Path(path))
                packets[stream] = counted(packets_of(Path(path)), total, partial(show, stream))
            feed(graph, packets)
            graph.wait()
    return counts


def _writing(
    stream: str, writer: "LineWriter", counts: dict[str, int]
) -> "Callable[[Packet[Any]], None]":
    from handheld.graph.text import packet_line

    def write(packet: "Packet[Any]") -> None:
        writer.write(packet_line(packet))
        # One node alone, this observer, counts for this stream.
        counts[stream] += 1

    return write


@app.command()
def view(
    trace: Annotated[Path, typer.Argument(help="A trace that Graph(config, trace=...) wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the page here; by default beside the trace.")
    ] = None,
) -> None:
    """Make a page of a trace: a time line and the graph, in one file that needs no network."""
    from handheld.files import ensure_apart
    from handheld.graph.trace import read_trace

    page = out
    if page is None:
        page = trace.with_suffix(".html")
    ensure_apart([page], [trace])
    read_trace(trace).write_page(page)
    typer.echo(f"wrote {page}")


@app.command()
def recording(
    file: Annotated[Path, typer.Argument(help="A file that Graph.record wrote.")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Tell what a recording holds of each stream, and whether it is whole."""
    from handheld.graph.record import GraphRecording

    output = Output(json=json, quiet=quiet)
    output.reads(file)
    record = GraphRecording(file)
    rows = []
    lines = []
    for name, stream in record.check().items():
        times = "none"
        if stream.packets:
            times = f"{stream.first} to {stream.last}"
        lines.append(f"{name}: {stream.packets} packets, {times}, {stream.size} bytes")
        rows.append({"stream": name, **asdict(stream)})
    lines.append(f"codecs: {', '.join(record.codecs) or 'none'}")
    if record.damage:
        lines.append(f"damaged: {record.damage}")
    document = {"streams": rows, "codecs": record.codecs, "damage": record.damage}
    output.result("\n".join(lines), document)
