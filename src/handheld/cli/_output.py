"""What commands say: results on standard output, as words or as JSON, and all else on standard
error.
"""

import json as coded
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        help="Write the results as JSON; - writes them to standard output, in place of words.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No progress and no notes: results, warnings and errors alone."
    ),
]

# 128 and the number of SIGINT, as shells have it.
INTERRUPTED = 130
"""Exit status of a command that Ctrl-C or a polite end stopped."""

STOPPED = "stopped"
"""First word of what such a command says last."""

_PIPE_WIDTH = 200  # columns, as many as the longest table needs

# All of C0, DEL and C1 but tab and newline: a terminal obeys these, escapes among them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def shown(text: str, *, lines: bool = True) -> str:
    """Return a text as a terminal may show it.

    A stranger's file names must not move the cursor or colour what follows.

    Args:
        text: of any letters.
        lines: whether tabs and ends of lines stay as they are.
    """
    # written out, and not left out: what stands in a name may be what is wrong with it
    text = _CONTROLS.sub(lambda letter: f"\\x{ord(letter[0]):02x}", text)
    if lines:
        return text
    return text.replace("\n", "\\n").replace("\t", "\\t")


class Output:
    """The two ways out of a command.

    Args:
        json: file for the results, ``-`` for standard output, or None.
        quiet: whether notes and progress are left out.
        out: another file that the command will write, or several.
        streams: whether ``out`` may be ``-``, for standard output.

    Attributes:
        console: on standard error, for progress.

    Raises:
        FileError: one of the files could not be written, which is known before the work for it
            begins.
        InputError: two of them are one file, or standard output; ``out`` is ``-`` where the result
            is no text that a pipe could take.
    """

    def __init__(
        self,
        *,
        json: Path | None = None,
        quiet: bool = False,
        out: Path | Sequence[Path] | None = None,
        streams: bool = False,
    ) -> None:
        from rich.console import Console

        from handheld.files import ensure_apart, ensure_writable

        self._files = _listed(out)
        _check_streamed(self._files, json, streams=streams)
        if json is not None:
            self._files.insert(0, json)
        # before hours of work, at whose end it would be lost
        for path in self._files:
            ensure_writable(path)
        ensure_apart(self._files)
        self._json = json
        # on standard error, so that a pipe gets results alone
        self.console = Console(stderr=True, quiet=quiet, emoji=False)

    @property
    def is_json(self) -> bool:
        """Whether standard output is for JSON alone."""
        from handheld.files import STANDARD_OUTPUT

        return str(self._json) == STANDARD_OUTPUT

    def writes(self, *outputs: Path) -> None:
        """Hear of further files that the command will write, before it does anything.

        Raises:
            InputError: one of them is another result.
        """
        from handheld.files import ensure_apart

        self._files += outputs
        ensure_apart(self._files)

    def reads(self, *inputs: str | Path | None) -> None:
        """Hear what the command reads, before it does anything.

        Args:
            inputs: files, or folders of which any file may be read; None is left out.

        Raises:
            InputError: a result would be written over one of them.
        """
        from handheld.files import ensure_apart

        ensure_apart(self._files, inputs)

    def wrote(self, path: Path) -> None:
        """Say which file was written; nobody would look for one that is standard output."""
        if not _is_standard_output(path):
            self.say(f"wrote {path}")

    def say(self, text: str) -> None:
        """Print a note, unless the command is quiet."""
        self.console.print(shown(text), highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print what may make the results other than they seem."""
        typer.echo(f"warning: {shown(text)}", err=True)

    def complain(self, text: str) -> None:
        """Print an error that does not end the command."""
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(shown(text), err=True)

    @contextmanager
    def stoppable(self, kept: Path | None = None) -> Iterator[None]:
        """Say in a line what Ctrl-C or a polite end leaves, and end with status 130.

        Args:
            kept: file or folder from which the same command goes on, if it is there; None where a
                command keeps nothing.
        """
        try:
            yield
        except KeyboardInterrupt:
            outcome = "nothing was written"
            if kept is not None and kept.exists():
                outcome = f"the same command goes on from what {kept} keeps"
            self.stopped(outcome)

    def stopped(self, outcome: str) -> NoReturn:
        """Say in a line what Ctrl-C or a polite end leaves, and end with status 130."""
        self.say(f"{STOPPED}; {outcome}")
        raise typer.Exit(INTERRUPTED) from None

    def result(self, words: str, values: Any) -> None:
        """Print the results in words, write them as JSON, or both.

        Args:
            words: lines of text.
            values: the same as dictionaries, lists, texts and numbers, of numpy too; what is not
                finite becomes null.
        """
        if words and not self.is_json:
            # Words would stand within a file that goes to standard output.
            typer.echo(shown(words), err=any(map(_is_standard_output, self._files)))
        if self._json is None:
            return
        text = coded.dumps(_plain(values), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        if self.is_json:
            typer.echo(text, nl=False)
            return
        from handheld.files import atomic_path

        with atomic_path(self._json) as temporary:
            # Names that are no text are escaped, as JSON writes them.
            temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def _listed(out: Path | Sequence[Path] | None) -> list[Path]:
    if isinstance(out, Path):
        return [out]
    return list(out or ())


def _check_streamed(files: Sequence[Path], json: Path | None, *, streams: bool) -> None:
    """Refuse ``-`` for a file that cannot go there: one of that name would be made."""
    from handheld.errors import InputError
    from handheld.files import STANDARD_OUTPUT

    if STANDARD_OUTPUT not in map(str, files):
        return
    if not streams:
        raise InputError(
            "-: expected the name of a file: this result does not go to standard output"
        )
    if str(json) == STANDARD_OUTPUT:
        raise InputError("--out - and --json -: two results cannot go to standard output")


def _is_standard_output(path: Path) -> bool:
    """Whether a file is what standard output leads to, as ``-`` and /dev/stdout are."""
    from handheld.files import STANDARD_OUTPUT, is_special

    if str(path) == STANDARD_OUTPUT:
        return True
    try:
        return is_special(path) and os.path.samestat(os.stat(path), os.fstat(1))
    except OSError:
        return False


def table_of(head: list[str], rows: list[list[str]]) -> str:
    """Return a table as text, as wide as it needs to be in a pipe, so that no path is cut."""
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head)
    # as Text: a path may hold brackets, which rich would read as its markup
    for row in rows:
        table.add_row(*map(Text, row))
    width = None
    if not sys.stdout.isatty():
        width = _PIPE_WIDTH
    console = Console(width=width, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def _plain(value: Any) -> Any:
    """Return a value in JSON's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # of numpy
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no number for it
        return None
    return value
