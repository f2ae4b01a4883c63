"""This machine, as a device."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from handheld.bench.devices.device import BenchJob, Say
from handheld.bench.run import THIS_MACHINE, BenchResult, BenchTools, bench


class LocalDevice:
    """The machine that runs this.

    Args:
        tools: clocks and counters; None: the machine's own.
    """

    name = THIS_MACHINE

    def __init__(self, tools: BenchTools | None = None) -> None:
        self._tools = tools

    def run(
        self, models: Sequence[Path], job: BenchJob, say: Say | None = None
    ) -> Iterator[BenchResult]:
        """Measure models; see :class:`Device`."""
        for number, path in enumerate(models):
            if say is not None:
                say(f"{path} ...")
            yield bench(
                path,
                job.task,
                protocol=job.protocol,
                name=job.name_of(number, path),
                # Of several models one that cannot do the task is timed at least.
                strict=job.strict and len(models) == 1,
                tools=self._tools,
            )
