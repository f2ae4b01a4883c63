"""Progress bars, one a stage; lines of a log where nobody watches."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SECONDS = 30.0  # between two lines of a log: an hour's work is a page


@contextmanager
def stage_bars(console: Any) -> Iterator[Callable[[str, float, str], None]]:
    """Show a bar for each stage.

    On a console that is no terminal it is a line now and then, and at each stage's end.
    """
    if not console.is_terminal:
        # monotonic: a clock that is set back would silence the log
        yield _Log(console, time.monotonic)
        return
    from rich.progress import Progress

    with Progress(*_columns(), console=console, refresh_per_second=2) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: float, text: str) -> None:
            # when it begins: which stages a run has is not known before
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0, text="")
            bars.update(tasks[stage], completed=done, text=text)

        yield show


def _columns() -> list[Any]:
    """Return what a bar's line consists of.

    On 80 columns rich would cut the times to "0:0…": the bar gives way, and then the text.
    """
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    def fixed(min_width: int) -> Column:
        return Column(min_width=min_width, no_wrap=True)

    return [
        TextColumn("{task.description}", table_column=fixed(6)),
        BarColumn(bar_width=12, table_column=fixed(4)),
        TextColumn("{task.percentage:>3.0f}%", table_column=fixed(4)),
        TimeRemainingColumn(elapsed_when_finished=True, table_column=fixed(7)),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    ]


class _Log:
    """Prints how far a stage is, at most every so many seconds."""

    def __init__(self, console: Any, clock: Callable[[], float]):
        self._console = console
        self._clock = clock
        self._printed: dict[str, float] = {}
        self._ended: set[str] = set()

    def __call__(self, stage: str, done: float, text: str) -> None:
        now = self._clock()
        # once: some stages are told to be over again and again
        ends = done >= 1 and stage not in self._ended
        if not ends and now - self._printed.get(stage, -_SECONDS) < _SECONDS:
            return
        self._printed[stage] = now
        if ends:
            self._ended.add(stage)
        line = f"{stage} {done:.0%}  {text}".rstrip()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
