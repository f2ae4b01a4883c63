"""``python -m handheld.demo``: every part that can run here, on one page."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.markup import escape

from handheld.errors import FileError, HandheldError, MissingDependencyError
from handheld.reports import html_section, write_page

_INTERRUPTED = 130  # as a shell says it of Ctrl-C


def write(page: Path, sections: Sequence[Markup]) -> None:
    """Write the page that holds the sections. Raises :class:`FileError` if it cannot be written."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    values = {
        "title": "handheld",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "sections": sections,
    }
    write_page(page, "handheld.demo", "demo.html", values)


# Each section imports what it needs: where an extra is missing, its section alone is left out.


def _hands(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.hands import choose_clip, track

    return track(choose_clip(options.video, os.environ.get("HANDHELD_DATA")), options.out, console)


def _digits(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.digits import shrink

    return shrink(options.out, console, options.epochs)


def _replies(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.replies import suggest

    return suggest(console)


def _texts(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.texts import classify

    return classify(console)


def _labels(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.propagated import spread

    return spread(console)


def _devices(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.devices import learn

    return learn(console)


def _federation(options: argparse.Namespace, console: Console) -> Markup:
    from handheld.demo.federation import rehearse

    return rehearse(console)


_SECTIONS = {
    "Hands in a clip": _hands,
    "A family of small networks": _digits,
    "Suggested replies": _replies,
    "Texts that are sorted": _texts,
    "Labels that spread": _labels,
    "Learning across devices": _devices,
    "A federation over TLS": _federation,
}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be made: {error.strerror}") from error


def _left_out(title: str, error: MissingDependencyError) -> Markup:
    return html_section(title, f"Left out: {error}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m handheld.demo", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("report"), help="folder to write the page into"
    )
    parser.add_argument(
        "--video",
        help="clip to track; by default a real one of HANDHELD_DATA, else the one that ships",
    )
    parser.add_argument(
        "--epochs", type=float, default=16, help="of the family of digits, together and each alone"
    )
    options = parser.parse_args(arguments)
    console = Console(emoji=False)
    sections = []
    try:
        _make(options.out)
        for title, section in _SECTIONS.items():
            try:
                sections.append(section(options, console))
            except MissingDependencyError as error:
                sections.append(_left_out(title, error))
                console.print(escape(f"left out: {error}"), highlight=False, soft_wrap=True)
        page = options.out / "index.html"
        write(page, sections)
    except HandheldError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(f"stopped; {options.out} holds what was done, but no page")
        return _INTERRUPTED
    console.print(f"wrote {page}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
