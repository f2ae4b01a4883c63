"""The command line: one thin file a command.

Each command imports its rooms when it runs, so that ``--help`` is quick.
"""

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from handheld.errors import HandheldError
from handheld.files import INTERRUPTS

_AGAIN_S = 0.05  # until an interrupt that was dropped comes again


def main() -> None:
    """Run the command line.

    Exit status: 0 done, 1 an error that a person caused (one line says which), 2 a wrong call, 130
    interrupted. A polite end (SIGTERM, as from ``timeout`` or ``docker stop``; SIGHUP, where a
    terminal is closed) is an interrupt too: what was done is kept, temporary files are removed.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter gets another, and no trace.
            stream.reconfigure(errors="replace")
    stops: list[int] = []
    try:
        with _stopping_politely(stops), _warning_in_a_line():
            from handheld.cli.app import app

            # Also as "python -m handheld", for which completion has no name.
            app(prog_name="handheld")
    except HandheldError as error:
        _complain(str(error))
        sys.exit(1)
    # Nobody reads on, as behind "| head": no trace, and none at exit when Python flushes.
    except BrokenPipeError:
        _write_no_more()
        sys.exit(1)
    # A full disk behind standard output, a folder that may not be read: the machine's, not ours.
    except OSError as error:
        _write_no_more()
        subject = error.filename or _unnamed(error)
        sys.stderr.write(f"error: {subject}: {error.strerror or error}\n")
        sys.exit(1)
    except (Exception, KeyboardInterrupt):
        # What was stopped may fail of it: numba loses the interrupt while it compiles, and finds no
        # function afterwards.
        if not stops:
            raise
        from handheld.cli._output import INTERRUPTED, STOPPED

        sys.stderr.write(f"{STOPPED}\n")
        sys.exit(INTERRUPTED)


def _unnamed(error: OSError) -> str:
    """Return what an error of the machine is about that names no file."""
    if isinstance(error, FileNotFoundError):
        # Asked where it stands, the system has no answer once somebody removed that folder.
        return "the working folder"
    return "what the command says"


@contextmanager
def _stopping_politely(stops: list[int]) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP interrupt what runs, and note which came.

    Who was told to ignore them still does. Python drops what is raised in a callback of its
    collector, or of a C library, which is where some libraries spend much of their time: the
    interrupt comes again then.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        stops.append(number)
        raise KeyboardInterrupt

    def dropped(lost: "sys.UnraisableHookArgs") -> None:
        if stops and issubclass(lost.exc_type, KeyboardInterrupt):
            # Not at once, or it would come in here.
            timers.append(threading.Timer(_AGAIN_S, signal.raise_signal, stops[-1:]))
            timers[-1].start()
        else:
            before(lost)

    timers: list[threading.Timer] = []
    before = sys.unraisablehook
    sys.unraisablehook = dropped
    handlers = {}
    for number in INTERRUPTS:
        # What is ignored stays so: nohup lets a command go on when its terminal is gone.
        if signal.getsignal(number) is not signal.SIG_IGN:
            handlers[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        # First: with the handlers of before, a signal that comes late ends the process.
        for timer in timers:
            timer.cancel()
            timer.join()
        sys.unraisablehook = before
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _warning_in_a_line() -> Iterator[None]:
    """Show warnings of ours as a person reads them: without the place in our source.

    Those of other libraries are for whoever mends the program, and stay as they are.
    """
    from handheld.cli._output import shown

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category.__module__.partition(".")[0] == "handheld":
            print(f"warning: {shown(str(message))}", file=file or sys.stderr)
        else:
            before(message, category, filename, lineno, file, line)

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _open_closed_streams() -> None:
    """Open what is closed of standard input, output and error.

    The next file would else become one, and be written over.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest free number
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            # For the whole process.
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _write_no_more() -> None:
    """Let standard output lead nowhere, so that Python's last flush has no trace to print."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    from rich.console import Console
    from rich.markup import escape

    from handheld.cli._output import shown

    text = f"[bold red]error:[/] {escape(shown(message))}"
    Console(stderr=True, emoji=False).print(text, highlight=False, soft_wrap=True)
