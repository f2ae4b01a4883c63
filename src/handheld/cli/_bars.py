"""Progress bars, one a stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stage_bars(console: Any) -> Iterator[Callable[[str, float, str], None]]:
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
