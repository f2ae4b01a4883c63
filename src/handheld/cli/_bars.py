"""Progress bars, one a stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stage_bars(console: Any) -> Iterator[Callable[[str, float, str], None]]:
    """Show a bar for each stage."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    # On 80 columns rich would cut the times to "0:0…": the bar gives way, and then the text.
    columns = (
        TextColumn("{task.description}", table_column=Column(min_width=6, no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(min_width=4, max_width=40, ratio=1)),
        TextColumn("{task.percentage:>3.0f}%", table_column=Column(min_width=4, no_wrap=True)),
        TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
        TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console, refresh_per_second=2) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: float, text: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0, text="")
            bars.update(tasks[stage], completed=done, text=text)

        yield show
