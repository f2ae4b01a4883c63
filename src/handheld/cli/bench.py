"""``handheld bench``: models measured as a phone would feel them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from handheld.cli import bench_challenge, bench_devices
from handheld.cli._bench_tasks import TaskOptions, read_task, task_entry
from handheld.cli._output import Json, Output, Quiet, table_of

if TYPE_CHECKING:
    from handheld.bench import BenchProtocol, BenchResult, BenchTask, Comparison, SystemTask
    from handheld.bench.devices import BenchJob, Device, TaskOption
    from handheld.errors import HandheldError

_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(us|µs|ms|s)\s*")
_INVALID = 1  # exit status of validate where a model cannot take part
_HELP = ("-h", "--help")


class _ModelOrCommand(TyperGroup):
    """``bench MODEL...`` is short for ``bench run MODEL...``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in _HELP:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    help="Measure models as a phone would feel them: latency, accuracy within a time, memory.",
    no_args_is_help=True,
    cls=_ModelOrCommand,
)

Models = Annotated[list[Path], typer.Argument(help="Model files, .tflite.")]
Measured = Annotated[
    list[Path],
    typer.Argument(
        help="Model files, .tflite; packs of hand models (--task hands) or bundles of replies "
        "(--task reply), by folder, file or name."
    ),
]
Threads = Annotated[int, typer.Option(min=1, max=1024, help="Threads of the interpreter.")]
Core = Annotated[int | None, typer.Option(min=0, help="Core to keep to; the last one if left out.")]
Queries = Annotated[int | None, typer.Option(help="Calls that are counted, at least: 100.")]
Seconds = Annotated[float | None, typer.Option(help="Seconds that they take, at least: 1.")]
Official = Annotated[
    bool, typer.Option("--official", help="As long as MLPerf asks: 1,024 calls and 60 s.")
]


@app.command()
def run(
    models: Measured,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Examples: an .npz file, a folder of pictures by class, or of pictures and "
            "annotations.json for detection; a clip with its labels for hands, conversations for "
            "replies. Without it nothing is judged."
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="Time of an example, such as 33ms; may be repeated."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="What models do: classification, detection, hands or reply.")
    ] = "classification",
    split: Annotated[
        str, typer.Option(help="Examples of an .npz file: test, valid, train or all.")
    ] = "test",
    labels: Annotated[
        Path | None, typer.Option(help="Names of outputs, one a line, for models without a card.")
    ] = None,
    pixels: Annotated[
        str, typer.Option(help="What black and white are to float models without a card.")
    ] = "-1:1",
    threads: Threads = 1,
    core: Core = None,
    queries: Queries = None,
    seconds: Seconds = None,
    official: Official = False,
    loadgen: Annotated[
        bool, typer.Option("--loadgen", help="Let MLPerf's LoadGen drive the models.")
    ] = False,
    logs: Annotated[Path, typer.Option(help="Folder of LoadGen's logs.")] = Path("loadgen-logs"),
    device: bench_devices.DeviceName = "this",
    remote_command: bench_devices.RemoteCommand = "handheld",
    benchmark_binary: bench_devices.BenchmarkBinary = None,
    profile: bench_devices.Profile = None,
    out: Annotated[
        Path | None, typer.Option(help="Page of the results, such as bench.html.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="File of JSON lines that results are added to.")
    ] = None,
    lenient: Annotated[
        bool,
        typer.Option("--lenient", hidden=True, help="Time what cannot do the task, do not judge."),
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure models one after the other, and judge them on data.

    "bench MODEL..." is short for it. Accuracy within a budget is the rule of OVIC: what is not
    reached within examples x budget counts as wrong. A run that cannot be trusted is INVALID, and
    says why.
    """
    from handheld.bench.devices import BenchJob

    outputs = list(filter(None, (out, record)))
    if loadgen:
        _refuse_beside_loadgen(device, outputs)
    output = Output(json=json, quiet=quiet, out=outputs)
    output.reads(*models, data, labels, benchmark_binary, profile)
    measuring = bench_devices.opened(device, remote_command, benchmark_binary)
    calibration = bench_devices.profile_of(profile)
    protocol = _protocol(
        budget, task, threads=threads, core=core, queries=queries, seconds=seconds,
        official=official,
    )  # fmt: skip
    with output.stoppable():
        if loadgen:
            # It is given model files alone.
            task_entry(task, of_files=True)
        task_options = TaskOptions(split=split, labels=labels, pixels=pixels)
        judge, options = _judging(device, task, data, task_options)
        if loadgen:
            _drive(models, judge, protocol, logs, output)
            return
        names = tuple(_name(path, models) for path in models)
        job = BenchJob(
            protocol=protocol, task=judge, options=options, names=names, strict=not lenient
        )
        results, lost = _measured(measuring, models, job, output)
    if not results and lost is not None:
        raise lost
    results = [replace(result, calibration=calibration) for result in results]
    _write_results(results, out, record, output)
    if lost is not None:
        # What was measured before is kept, and stands above.
        raise lost


@app.command()
def compare(
    models: Models,
    threads: Threads = 1,
    core: Core = None,
    queries: Queries = None,
    seconds: Seconds = None,
    official: Official = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Time models in turns; the ratio to the first is told where it is larger than the noise."""
    from handheld import bench

    output = Output(json=json, quiet=quiet)
    output.reads(*models)
    protocol = _protocol(
        None, "classification", threads=threads, core=core, queries=queries, seconds=seconds,
        official=official,
    )  # fmt: skip
    with output.stoppable():
        comparison = bench.compare(models, protocol=protocol)
    output.result(_comparison_words(comparison), comparison.to_json())


@app.command()
def validate(
    model: Annotated[Path, typer.Argument(help="Model file, .tflite.")],
    max_size: Annotated[float, typer.Option(help="Largest file, in MB.")] = 200,
    max_side: Annotated[int, typer.Option(min=1, help="Largest side of the input.")] = 1000,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the input.")] = 3,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Scores that come out; any number if left out.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="What the model does: classification or detection.")
    ] = "classification",
    picture: Annotated[
        list[Path] | None, typer.Option(help="Picture that it is run on; may be repeated.")
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say whether a model can take part in a challenge, each fault in one line.

    It runs in a process of its own. Exit status 1 where there is a fault.
    """
    from handheld.bench import SubmissionRules, validate_model
    from handheld.bench.preprocessing import read_picture
    from handheld.ranges import in_range

    in_range("--max-size", max_size, low=0, high=2000, low_open=True)
    task_entry(task, of_files=True)
    output = Output(json=json, quiet=quiet)
    output.reads(model, *(picture or ()))
    outputs = 1
    if task == "detection":
        outputs = 4
    rules = SubmissionRules(
        max_bytes=max(1, round(max_size * 1e6)),
        max_side=max_side,
        channels=channels,
        classes=classes,
        outputs=outputs,
    )
    with output.stoppable():
        pictures = list(map(read_picture, picture or ()))
        report = validate_model(model, rules=rules, pictures=pictures)
    words = [f"{model}: {fault}" for fault in report.faults]
    if report.valid:
        words = [f"{model}: valid, {report.facts['bytes']:,} bytes; ran in {report.isolation}"]
    output.result("\n".join(words), report.to_json())
    if not report.valid:
        raise typer.Exit(_INVALID)


for challenge_command in bench_challenge.COMMANDS:
    app.command()(challenge_command)
for device_command in bench_devices.COMMANDS:
    app.command()(device_command)
app.command(hidden=True)(bench_devices.agent)


def _measured(
    device: "Device", models: list[Path], job: "BenchJob", output: Output
) -> tuple[list["BenchResult"], "HandheldError | None"]:
    """Measure models; return the results, and why there are no more of them where one failed."""
    from handheld.errors import HandheldError

    results: list[BenchResult] = []
    try:
        for result in device.run(models, job, output.say):
            results.append(result)
            _say_verdict(result, output)
    except HandheldError as error:
        return results, error
    return results, None


def _refuse_beside_loadgen(device: str, outputs: list[Path]) -> None:
    from handheld.errors import InputError

    if outputs:
        raise InputError("--out and --record keep our own runs; --loadgen keeps its logs (--logs)")
    if device != "this":
        raise InputError("--loadgen: LoadGen drives models on this machine alone")


def _judging(
    device: str, task: str, data: Path | None, options: TaskOptions
) -> "tuple[BenchTask | SystemTask | None, tuple[TaskOption, ...]]":
    """Return what judges here; or what another device is told, which judges itself."""
    if device == "this":
        return read_task(task, data, options), ()
    # Other devices are given model files alone.
    task_entry(task, of_files=True)
    device_options = bench_devices.task_options(
        task, data, options.split, options.labels, options.pixels
    )
    return None, device_options


def _write_results(
    results: list["BenchResult"], out: Path | None, record: Path | None, output: Output
) -> None:
    from handheld.bench import append_records, write_report
    from handheld.bench.report import head_of, row_of, summary_lines

    if out is not None:
        write_report(out, results)
        output.say(f"wrote {out}")
    values = [result.to_json() for result in results]
    if record is not None:
        append_records(record, values)
    words = [table_of(head_of(results), list(map(row_of, results))), *summary_lines(results)]
    output.result("\n".join(words), values)


def duration(option: str, text: str) -> float:
    """Return a time in seconds.

    Raises:
        InputError: the text is none, such as "33" without a unit.
    """
    from handheld.errors import InputError

    match = _DURATION.fullmatch(text)
    if not match or not float(match[1]):
        raise InputError(f"{option}: expected a time such as 33ms, 500us or 1s, got {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def _protocol(
    budget: list[str] | None,
    task: str,
    *,
    threads: int,
    core: int | None,
    queries: int | None,
    seconds: float | None,
    official: bool,
) -> "BenchProtocol":
    from handheld.bench import BenchProtocol
    from handheld.bench.protocol import OFFICIAL_QUERIES, OFFICIAL_SECONDS

    entry = task_entry(task)
    budgets = tuple(duration("--budget", text) for text in budget or ())
    if not budgets:
        budgets = (entry.budget(),)
    length: dict[str, Any] = {}
    if official:
        length = {"min_queries": OFFICIAL_QUERIES, "min_seconds": OFFICIAL_SECONDS}
    # what is said in so many words comes before --official
    if queries is not None:
        length["min_queries"] = queries
    if seconds is not None:
        length["min_seconds"] = seconds
    return BenchProtocol(budgets=budgets, threads=threads, core=core, **length)


def _name(path: Path, models: list[Path]) -> str:
    """Return what a model is called: its file's name, or its path where two have one name."""
    alike = [other for other in models if other.stem == path.stem]
    if len(alike) > 1:
        return str(path)
    return path.stem


def _say_verdict(result: "BenchResult", output: Output) -> None:
    name = result.model.name
    if result.refusal:
        output.warn(f"{name} is timed, but not judged: {result.refusal}")
    for reason in result.verdict.reasons:
        output.warn(f"{name} is INVALID: {reason}")


def _comparison_words(comparison: "Comparison") -> str:
    from handheld.reports import seconds_text

    rows = []
    for number, model in enumerate(comparison.models):
        beside = f"{model.low:.3f} to {model.high:.3f}"
        ratio = "no difference beyond the noise"
        if model.ratio is not None:
            ratio = f"{model.ratio:.3f}x"
        elif not (model.verdict.valid and comparison.models[0].verdict.valid):
            ratio = "not told of INVALID runs"
        if not number:
            ratio = beside = ""
        median = seconds_text(model.median.value)
        rows.append([model.name, model.verdict.word, median, ratio, beside])
    lines = [table_of(["model", "run", "p50", "beside the first", "interval"], rows)]
    for model in comparison.models:
        lines += [f"{model.name} is INVALID: {reason}" for reason in model.verdict.reasons]
    lines.append(
        f"{comparison.rounds:,} rounds; two copies of the first differ by up to "
        f"{comparison.noise:.2%}"
    )
    return "\n".join(lines)


def _folder_names(models: list[Path]) -> list[str]:
    """Return a name for the logs of each model: of two files of one name, the second is ``m-2``."""
    names: list[str] = []
    for path in models:
        name = path.stem
        number = 2
        while name in names:
            name = f"{path.stem}-{number}"
            number += 1
        names.append(name)
    return names


def _drive(
    models: list[Path], job: Any, protocol: "BenchProtocol", logs: Path, output: Output
) -> None:
    """Let LoadGen drive each model in each scenario, and print its verdicts."""
    from handheld.bench.loadgen import SCENARIOS, run_loadgen

    rows = []
    values = []
    for path, name in zip(models, _folder_names(models), strict=True):
        for scenario in SCENARIOS:
            output.say(f"{path}, {scenario} ...")
            folder = logs / name / scenario
            done = run_loadgen(path, folder, job, scenario=scenario, protocol=protocol)
            word = "VALID" if done.valid else "INVALID"
            ours = "agrees" if done.agrees else "does not agree"
            rows.append([name, scenario, word, ours, f"{done.queries:,}", done.logs])
            values.append({"model": path, **done.to_json()})
            # Of a VALID run it says how many queries early stopping left out, and no more.
            tell = output.say if done.valid else output.warn
            for reason in done.reasons:
                tell(f"{name}, {scenario}: {reason}")
    head = ["model", "scenario", "LoadGen", "our rule", "queries", "logs"]
    output.result(table_of(head, rows), values)
