"""``python -m handheld.cli``."""

from handheld.cli import main

main()
