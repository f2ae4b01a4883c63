"""The server that ``hostile_uploads`` attacks: compress, and the kinds of jobs of the tests that
misbehave.

python _hostile_server.py JSON    (folder, database, token, limits)
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "service"))

from conftest import KINDS
from handheld.compress.serving import CompressLimits, job_kind
from handheld.service import Limits, serve

LEARNED = {"unpacked_bytes": 50_000_000, "pictures": 2000, "classes": 10}


def main() -> None:
    """Serve until told to end."""
    settings = json.loads(sys.argv[1])
    limits = Limits(lease_seconds=2.0, **settings.pop("limits"))
    kinds = [job_kind(CompressLimits(**LEARNED)), *KINDS.values()]
    serve(kinds, limits=limits, port=0, on_start=lambda url: print(url, flush=True), **settings)


if __name__ == "__main__":
    main()
