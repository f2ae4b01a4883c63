"""The command line: one thin file a command. Each command imports its rooms when it runs, so that ``--help`` is quick."""

import io
import os
import signal
import sys
from types import FrameType

from handheld.errors import HandheldError


def main() -> None:
    """Run the command line.

    Exit status: 0 done, 1 an error that a person caused (one line says which), 2 a wrong call, 130 interrupted. A polite end
    (SIGTERM, as from ``timeout`` or ``docker stop``) is an interrupt too: what was done is kept, temporary files are removed.
    """
    from handheld.cli.app import app

    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter gets another, and no trace
    try:
        app(prog_name="handheld")  # also as "python -m handheld", for which completion has no name
    except HandheldError as error:
        from rich.console import Console

        Console(stderr=True).print(f"[bold red]error:[/] {_escaped(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except BrokenPipeError:  # nobody reads on, as behind "| head": no trace, and none at exit when Python flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
