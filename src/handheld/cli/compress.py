"""``handheld compress``: one big model in, a family of small ones out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _ConfigOrCommand(TyperGroup):
    """``compress CONFIG.toml`` is short for ``compress run CONFIG.toml``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(help="Turn one big model into a family of small ones.", no_args_is_help=True, cls=_ConfigOrCommand)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML file: data, teacher, targets, settings.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the family, instead of the configuration's.")] = None,
) -> None:
    """Make a family. Ctrl-C stops it; the same command goes on where it was."""
    from rich.console import Console

    from handheld.compress.config import read
    from handheld.compress.report import markdown
    from handheld.compress.run import compress

    console, wanted = Console(stderr=True), read(config)
    data = wanted.load()
    for skipped in data.skipped:
        console.print(f"left out {skipped.name}: {skipped.reason}", highlight=False, soft_wrap=True)
    with _progress(console) as progress:
        family = compress(
            wanted.teacher, data, out=out or wanted.out, targets=wanted.targets, settings=wanted.settings,
            base=wanted.folder, progress=progress,
        )  # fmt: skip
    typer.echo(markdown(family))
    console.print(f"wrote {family.folder / 'report.html'}", soft_wrap=True)


@app.command()
def pick(
    family: Annotated[Path, typer.Argument(help="Folder of a family.")],
    max_size: Annotated[str | None, typer.Option(help="Largest file, such as 200KB.")] = None,
    max_latency: Annotated[str | None, typer.Option(help="Longest time of one example, such as 5ms.")] = None,
    min_accuracy: Annotated[str | None, typer.Option(help="Lowest validation accuracy, such as 92%.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to copy the file; the member's own name if left out.")] = None,
) -> None:
    """Copy the most accurate member that fits."""
    from handheld.compress import Family, Target
    from handheld.errors import InputError

    limits = [limit for limit in (max_size, max_latency, min_accuracy) if limit is not None]
    if not limits:
        raise InputError("expected --max-size, --max-latency or --min-accuracy")
    made = Family.open(family)
    member = made.pick(Target.of(", ".join(limits)))
    path = made.copy(member, out or Path(member.file))
    typer.echo(
        f"{path}: {member.size:,} bytes, {member.latency.median * 1e3:.3g} ms, "
        f"{member.accuracy:.2%} of the test split right ({member.how})"
    )


@contextmanager
def _progress(console: Any) -> Iterator[Callable[[str, float, str], None]]:
    """Show a bar for each stage."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[text]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, refresh_per_second=2) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: float, text: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0, text="")
            bars.update(tasks[stage], completed=done, text=text)

        yield show
