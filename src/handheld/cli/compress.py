"""``handheld compress``: one big model in, a family of small ones out."""

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from handheld.cli._hosts import LOCAL
from handheld.cli._output import Json, Output, Quiet

_PACKAGES = {"torch": "torch", "litert_torch": "litert-torch", "PIL": "pillow"}
"""What making a family needs: module -> package."""


class _ConfigOrCommand(TyperGroup):
    """``compress CONFIG.toml`` is short for ``compress run CONFIG.toml``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # an option in front is the group's own, such as --help
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    help="Turn one big model into a family of small ones.",
    no_args_is_help=True,
    cls=_ConfigOrCommand,
)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML file: data, teacher, targets, settings.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the family, instead of the configuration's.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="Where members learn: local, or ray, on a cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; a local one is started without.")
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make a family. Ctrl-C stops it; the same command goes on where it was."""
    import json as coded

    from handheld.cli._bars import stage_bars
    from handheld.compress.config import read
    from handheld.compress.family import FAMILY_FILES
    from handheld.compress.report import markdown
    from handheld.compress.run import compress
    from handheld.config import code_in

    output = Output(json=json, quiet=quiet)
    output.reads(config)
    settings = read(config)
    folder = out or settings.out
    output.writes(*(folder / name for name in FAMILY_FILES))
    # Members of an earlier run, from which this one goes on.
    output.reads(config, *settings.files, *folder.glob("*.tflite"))
    data = settings.load()
    # Said before the hours that follow: what was left out may be what somebody meant to teach.
    for skipped in data.skipped:
        output.say(f"left out {skipped.name}: {skipped.reason}")
    for note in data.notes:
        output.say(f"note: {note}")
    output.reads(*code_in(settings.folder))
    with output.stoppable(folder), stage_bars(output.console) as progress, _notes(output):
        family = compress(
            settings.found_teacher,
            data,
            out=folder,
            targets=settings.targets,
            settings=settings.settings,
            base=settings.folder,
            backend=backend,
            address=address,
            progress=progress,
        )
    # what is kept of the family, so that both say the same
    values = coded.loads((family.folder / "family.json").read_text("utf-8"))
    output.result(markdown(family), values)
    output.say(f"wrote {family.folder / 'report.html'}")


@contextmanager
def _notes(output: Output) -> Iterator[None]:
    """Say what is warned of in a line, when it is found."""

    def show(message: Warning | str, *origin: object, **more: object) -> None:
        output.say(f"note: {message}")

    from handheld.compress import TeacherWarning

    with warnings.catch_warnings():
        # Python shows a warning of one line of code once: each note is another
        warnings.simplefilter("always", TeacherWarning)
        warnings.showwarning = show
        yield


@app.command()
def pick(
    family: Annotated[Path, typer.Argument(help="Folder of a family.")],
    max_size: Annotated[str | None, typer.Option(help="Largest file, such as 200KB.")] = None,
    max_latency: Annotated[
        str | None, typer.Option(help="Longest time of one example, such as 5ms.")
    ] = None,
    min_accuracy: Annotated[
        str | None, typer.Option(help="Lowest validation accuracy, such as 92%.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to copy the file; the member's own name if left out.")
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Copy the most accurate member that fits."""
    from handheld.compress import Family, Target
    from handheld.errors import InputError

    limits = [
        _limit("--max-size", max_size, "size", "smaller"),
        _limit("--max-latency", max_latency, "latency", "faster"),
        _limit("--min-accuracy", min_accuracy, "accuracy"),
    ]
    if not any(limits):
        raise InputError("expected --max-size, --max-latency or --min-accuracy")
    opened = Family.open(family)
    member = opened.pick(Target.of(", ".join(filter(None, limits))))
    target = out or Path(member.file)
    # as cp has it: a folder is where the file goes
    if target.is_dir():
        target /= member.file
    # The picked file may be copied onto itself, as in the folder of the family: nothing is written.
    source = opened.folder / member.file
    is_itself = source.exists() and target.exists() and target.samefile(source)
    written = [target]
    if is_itself:
        written = []
    output = Output(json=json, quiet=quiet, out=written)
    files = [one.file for one in (*opened.references, *opened.members)]
    output.reads(*(opened.folder / name for name in ("family.json", *files)))
    path = opened.copy(member, target)
    latency = member.latency.median * 1e3
    output.result(
        f"{path}: {member.size:,} bytes, {latency:.3g} ms, "
        f"{member.accuracy:.2%} of the test split right ({member.how})",
        {
            "file": path,
            "bytes": member.size,
            "latency_ms": latency,
            "accuracy": member.accuracy,
            "how": member.how,
        },
    )


def _limit(option: str, text: str | None, *figures: str) -> str:
    """Return the limit that an option says, "" for none.

    Raises:
        InputError: it limits something else than its name says.
    """
    from handheld.compress import Target
    from handheld.errors import InputError

    if text is None:
        return ""
    target = Target.of(text)
    # "--max-size 5ms" would limit the latency, and nobody would notice
    if "," in text or all(getattr(target, figure) is None for figure in figures):
        raise InputError(f"{option}: expected nothing but its {figures[0]}, got {text!r}")
    return text


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
    folder: Annotated[Path, typer.Option(help="Where jobs are kept.")] = Path("compress-jobs"),
    database: Annotated[
        str | None,
        typer.Option(help="SQLite file or postgresql:// URL; a file in the folder if left out."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="HANDHELD_TOKEN", help="What a submitter must know; all may submit without one."
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name under which people reach the server; may be repeated."),
    ] = None,
    max_upload: Annotated[float, typer.Option(help="Largest upload, in GB.")] = 2,
    max_unpacked: Annotated[float, typer.Option(help="Largest content of an archive, in GB.")] = 4,
    max_memory: Annotated[float | None, typer.Option(help="Address space of a job, in GB.")] = None,
    max_epochs: Annotated[float, typer.Option(help="Most epochs.")] = 50,
    max_width: Annotated[int, typer.Option(help="Largest width of a large network.")] = 128,
    max_pictures: Annotated[int, typer.Option(help="Most pictures.")] = 200_000,
    max_side: Annotated[int, typer.Option(help="Largest side of a picture, in pixels.")] = 256,
    max_classes: Annotated[int, typer.Option(help="Most classes.")] = 1000,
    hours: Annotated[float, typer.Option(help="Longest time of a job.")] = 24,
    running: Annotated[int, typer.Option(help="Jobs at once.")] = 1,
    keep_days: Annotated[
        float, typer.Option(help="Days until the files of an ended job are removed.")
    ] = 7,
) -> None:
    """Make families from what others upload, in pages and over HTTP; Ctrl-C stops it, and its jobs
    go on next time.
    """
    from handheld.compress.serving import CompressLimits, job_kind
    from handheld.ranges import in_range
    from handheld.service import Limits
    from handheld.service import serve as answer

    _require_packages()
    # a word and no error: a network may be closed to others by other means
    if token is None and host not in LOCAL:
        typer.echo("without --token, everybody who reaches this address may submit jobs", err=True)
    for option, amount in (
        ("--max-upload", max_upload),
        ("--max-unpacked", max_unpacked),
        ("--max-memory", 1 if max_memory is None else max_memory),
        ("--max-epochs", max_epochs),
        ("--hours", hours),
        ("--keep-days", keep_days),
    ):
        # Typer's own min lets NaN through; more than a billion overflows somewhere later.
        in_range(option, amount, low=0, high=10**9, low_open=True)
    compress_limits = CompressLimits(
        epochs=max_epochs,
        width=max_width,
        pictures=max_pictures,
        side=max_side,
        classes=max_classes,
        unpacked_bytes=_bytes(max_unpacked),
    )
    limits = Limits(
        running=running,
        upload_bytes=_bytes(max_upload),
        seconds=hours * 3600,
        retention_days=keep_days,
        memory_bytes=None if max_memory is None else _bytes(max_memory),
    )
    answer(
        [job_kind(compress_limits)],
        folder=folder,
        database=database,
        host=host,
        port=port,
        limits=limits,
        token=token,
        hosts=name or (),
        title="handheld compress",
        on_start=lambda address: typer.echo(f"listening on {address}"),
    )


def _bytes(gigabytes: float) -> int:
    # of 1000, as disks and the other sizes of this package are written
    return round(gigabytes * 1e9)


def _require_packages() -> None:
    """Raise where jobs could not run: told now, and not by each job."""
    from handheld.errors import MissingDependencyError

    # By looking for them alone: torch takes seconds to import.
    for module, package in _PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise MissingDependencyError(package, "train", "making families")
