"""Traces as files of Chrome's format, written while the graph runs."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from handheld.errors import FileError
from handheld.graph.trace._render import ChromeRenderer
from handheld.graph.trace.background import BackgroundTracer, TraceSink
from handheld.graph.trace.records import GraphShape, Record, Tracer


class FileTracer(BackgroundTracer):
    """Writes a trace to a file while the graph runs, on a thread of its own.

    The file is an array of JSON that may end anywhere: a process that is killed leaves all that was
    written up to the last flush. Open it with :func:`~handheld.graph.trace.read_trace`,
    ``handheld graph view``, ui.perfetto.dev or chrome://tracing.

    Args:
        path: of the file; one that is there is replaced.
        flush_s: seconds between two flushes.
        max_pending: records that wait to be written at most. Beyond it the oldest are lost, which
            the trace says.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, flush_s: float = 0.1, max_pending: int = 100_000
    ) -> None:
        super().__init__(flush_s=flush_s, max_pending=max_pending)
        self.path = Path(path)

    def open_sink(self, describe: Callable[[], GraphShape]) -> TraceSink:
        """Begin the file. Raises :class:`FileError` where it cannot be written."""
        # Bytes, so that what a flush leaves is what it was given, whatever the platform's newlines.
        try:
            file = self.path.open("wb")
            try:
                return _ChromeFile(file, ChromeRenderer(describe))
            except BaseException:  # a full disk shows with the first bytes only
                _close_quietly(file)
                raise
        except OSError as error:
            raise FileError(f"{self.path}: the trace cannot be written: {error}") from error


class _ChromeFile:
    """An open file that chunks of lines are written to."""

    def __init__(self, file: IO[bytes], renderer: ChromeRenderer) -> None:
        self._file = file
        self._renderer = renderer
        self._write("[\n" + ",\n".join(renderer.header()))

    def take(self, records: Sequence[Record]) -> None:
        """Write records, and flush."""
        self._append(self._renderer.render(records))

    def describe(self) -> None:
        """Write the graph's counts."""
        self._append([self._renderer.description()])

    def close(self) -> None:
        """End the array."""
        try:
            self._append([self._renderer.description(last=True)])
            self._write("\n]\n")
        finally:
            self._file.close()

    def _append(self, lines: list[str]) -> None:
        if lines:
            self._write(",\n" + ",\n".join(lines))

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "backslashreplace"))
        self._file.flush()


def _close_quietly(file: IO[bytes]) -> None:
    # What a flush could not write is tried again, and fails again; then it is closed.
    with suppress(OSError):
        file.close()


def tracer_of(trace: Tracer | str | os.PathLike[str]) -> Tracer:
    """Return what a graph's ``trace`` means: a tracer, or one that writes the file."""
    if isinstance(trace, str | os.PathLike):
        return FileTracer(trace)
    return trace
