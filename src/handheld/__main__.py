"""``python -m handheld``: the command line."""

from handheld.cli import main

main()
