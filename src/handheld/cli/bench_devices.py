"""Devices of ``handheld bench``: which there are, how fast they are, their results side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._output import Json, Output, Quiet, table_of

if TYPE_CHECKING:
    from handheld.bench.calibration import CalibrationProfile
    from handheld.bench.devices import Device, TaskOption

DeviceName = Annotated[
    str,
    typer.Option(help="Where models run: this, ssh:[USER@]HOST[:PORT] or adb[:SERIAL]."),
]
RemoteCommand = Annotated[
    str,
    typer.Option(help="What starts handheld on a machine reached by ssh, as its shell reads it."),
]
BenchmarkBinary = Annotated[
    Path | None,
    typer.Option(help="LiteRT's benchmark_model, built for the phone that adb reaches."),
]
Profile = Annotated[
    Path | None,
    typer.Option(help="Profile of the device ('bench calibrate'); results carry it."),
]


def devices(json: Json = None, quiet: Quiet = False) -> None:
    """List the devices that can be seen from here: this machine, and phones by adb."""
    from dataclasses import asdict

    from handheld.bench.devices import list_devices

    output = Output(json=json, quiet=quiet)
    listed = list_devices()
    rows = [[one.device, one.state, one.description] for one in listed]
    words = [table_of(["device", "state", "what it is"], rows)]
    words.append("machines by ssh are not asked: --device ssh:[USER@]HOST[:PORT]")
    output.result("\n".join(words), list(map(asdict, listed)))


def calibrate(
    out: Annotated[Path, typer.Option(help="File of the profile, such as my-laptop.toml.")],
    name: Annotated[str, typer.Option(help="Of the device; its processor if left out.")] = "",
    device: DeviceName = "this",
    remote_command: RemoteCommand = "handheld",
    benchmark_binary: BenchmarkBinary = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Of the interpreter.")] = 1,
    core: Annotated[int | None, typer.Option(min=0, help="Core to keep to.")] = None,
    queries: Annotated[int, typer.Option(help="Calls of each model, at least.")] = 100,
    seconds: Annotated[float, typer.Option(help="Seconds that they take, at least.")] = 3.0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure a device by models of ours, and write its profile: by it results of several devices
    are set side by side, and a challenge knows its device again.
    """
    from dataclasses import asdict

    from handheld.bench import BenchProtocol
    from handheld.bench.calibration import write_profile
    from handheld.bench.devices import calibrate as measure
    from handheld.reports import seconds_text

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(benchmark_binary)
    measuring = opened(device, remote_command, benchmark_binary)
    protocol = BenchProtocol(threads=threads, core=core, min_queries=queries, min_seconds=seconds)
    with output.stoppable():
        profile, results = measure(measuring, name=name, protocol=protocol, say=output.say)
    for result in results:
        for reason in result.verdict.reasons:
            output.warn(f"{result.model.name} is INVALID: {reason}")
    write_profile(out, profile)
    output.wrote(out)
    rows = [[time.work, seconds_text(time.median)] for time in profile.times]
    words = [table_of(["calibration model", "p50"], rows)]
    if not profile.valid:
        words.append("the profile is INVALID: calibrate when the device does nothing else")
    output.result("\n".join(words), asdict(profile))


def report(
    records: Annotated[
        list[Path], typer.Argument(help="Files of results that 'bench --record' wrote.")
    ],
    out: Annotated[Path | None, typer.Option(help="Page of the results.")] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Set recorded results side by side, those of several devices too.

    Where results carry the profile of their device (--profile), a latency stands as so many times
    that of a calibration model there: an estimate, with an interval.
    """
    from handheld.bench import write_report
    from handheld.bench.beside import ESTIMATED, beside, beside_head, beside_words, works_of
    from handheld.bench.results import read_results
    from handheld.errors import InputError

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(*records)
    results = []
    for path in records:
        results += read_results(path)
    if not results:
        raise InputError(f"{records[0]}: there is no result in it")
    rows = beside(results)
    if out is not None:
        write_report(out, results)
        output.wrote(out)
    words = [table_of(beside_head(rows), beside_words(rows))]
    if works_of(rows):
        words.append(ESTIMATED)
    output.result("\n".join(words), [row.to_json() for row in rows])


def agent() -> None:
    """Serve a bench on another machine that reached this one by ssh; no command for people."""
    from handheld.bench.devices.agent import serve

    serve()


COMMANDS = (devices, calibrate, report)


def opened(device: str, remote_command: str, benchmark_binary: Path | None) -> "Device":
    """Return the device that options name."""
    from handheld.bench.devices import DeviceAddress, open_device

    return open_device(
        DeviceAddress.of(device),
        remote_command=remote_command,
        benchmark_binary=benchmark_binary,
    )


def profile_of(path: Path | None) -> "CalibrationProfile | None":
    """Return the profile of a file; None where none is named."""
    from handheld.bench.calibration import read_profile

    if path is None:
        return None
    return read_profile(path)


def task_options(
    task: str, data: Path | None, split: str, labels: Path | None, pixels: str
) -> "tuple[TaskOption, ...]":
    """Return what models are judged by as another machine is told it; () without data."""
    from handheld.bench.devices import TaskOption
    from handheld.errors import InputError

    if data is None:
        return ()
    options = [
        TaskOption(name="--task", text=task),
        TaskOption(name="--split", text=split),
        TaskOption(name="--pixels", text=pixels),
        TaskOption(name="--data", path=data),
    ]
    if labels is not None:
        options.append(TaskOption(name="--labels", path=labels))
    for option in options:
        if option.path is not None and not option.path.exists():
            raise InputError(f"{option.name}: there is no {option.path}")
    return tuple(options)
