"""What every long run shares, without torch: its folder with lock and plan, the clock of its
stages, what tells one run from another, and where a result comes from.
"""

from handheld.training.runs.clock import Progress, StageClock, silent
from handheld.training.runs.folder import RunFolder, damaged, locked, open_run, read_kept
from handheld.training.runs.identity import (
    ABOUT,
    Plain,
    array_digest,
    canonical,
    differences,
    name_of,
    values_digest,
)
from handheld.training.runs.provenance import made_by, provenance

__all__ = [
    "ABOUT",
    "Plain",
    "Progress",
    "RunFolder",
    "StageClock",
    "array_digest",
    "canonical",
    "damaged",
    "differences",
    "locked",
    "made_by",
    "name_of",
    "open_run",
    "provenance",
    "read_kept",
    "silent",
    "values_digest",
]
