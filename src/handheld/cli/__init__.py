"""The command line: one thin file a command. Each command imports its rooms when it runs, so that ``--help`` is quick."""

import sys

from handheld.errors import HandheldError


def main() -> None:
    """Run the command line; an error that a person caused becomes one line and exit status 1."""
    from handheld.cli.app import app

    try:
        app()
    except HandheldError as error:
        from rich.console import Console

        Console(stderr=True).print(f"[bold red]error:[/] {_escaped(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
