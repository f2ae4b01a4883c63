"""Texts of strangers on their way into a database: of any length and content before, storable
after.
"""

import re

LONGEST_TEXT = 4000
"""Letters of a job's message or error that are kept: what a page can show."""

# PostgreSQL takes no NUL, and neither database takes half of a surrogate pair, which the name of a
# file can bring.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return a text that every database takes: cut where it is too long, with U+FFFD for what
    cannot be stored.
    """
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 1] + "…"
    return _UNSTORABLE.sub("\ufffd", text)
