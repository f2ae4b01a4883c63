"""Damaged and changed model files, sent through the whole job of a challenge.

Each is validated and measured as a submission is, in a child with limits. It must end with figures
that make sense or with a ``ModelError`` of some lines; whatever else is a finding: another
exception, figures that are none, a child that is left behind, a job that outlasts its limits, a
path of the server in what the contestant reads.

By hand, for an hour: ``python tests/bench/challenge/fuzz_submissions.py --seconds 3600 --save
corpus``. Of each kind of end the smallest file is kept in ``--save``, and findings beside them; the
folder ``corpus`` here holds such files, which the tests send through again.
"""

import argparse
import hashlib
import json
import math
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
if str(HERE.parents[1] / "engine") not in sys.path:
    sys.path.append(str(HERE.parents[1] / "engine"))

import fuzz  # noqa: E402
import fuzz_structure  # noqa: E402
import zoo  # noqa: E402

from handheld.bench.challenge import ChallengeFolder, write_challenge  # noqa: E402
from handheld.bench.challenge.files import ModelFiles  # noqa: E402
from handheld.bench.challenge.job import (  # noqa: E402
    RESULT_FILE,
    _descendants,
    measure_submission,
)
from handheld.errors import ModelError  # noqa: E402

CORPUS = HERE / "corpus"
BRIEF = {"min_queries": 1, "min_seconds": 0, "attempts": 1, "run_seconds": 3}
MAX_KEPT = 6000  # bytes of a file of the corpus
MAX_SECONDS = 40.0  # of a job: opening and validating and one run, each within its limit
MAX_LINES = 6  # of what the contestant reads
LONGEST = 2000


class End(NamedTuple):
    """What became of a file: "measured", "refused" or "finding", and of which kind."""

    what: str
    kind: str


def brief_challenge(folder: Path) -> ChallengeFolder:
    """A challenge whose runs are as short as they can be."""
    challenge = write_challenge(folder)
    path = folder / "challenge.toml"
    text = path.read_text("utf-8")
    for name, value in BRIEF.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    path.write_text(text, "utf-8")
    return ChallengeFolder.read(challenge.root)


def send(challenge: ChallengeFolder, content: bytes) -> End:
    """Measure a file as a submission; say what became of it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("work", "result"):
            (folder / name).mkdir()
        path = folder / "sent.tflite"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        ModelFiles(folder / "models").put(path, sha256)
        spec = {
            "challenge": str(challenge.root),
            "files": str(folder / "models"),
            "sha256": sha256,
            "data": "public",
            "device": "reference",
        }
        start = time.monotonic()
        try:
            measure_submission(folder, spec, lambda *_: None)
            end = _of_figures(json.loads((folder / "result" / RESULT_FILE).read_text("utf-8")))
        except ModelError as error:
            end = _of_message(str(error), temporary)
        except Exception as error:
            end = End("finding", f"{type(error).__name__}: {error}")
        if time.monotonic() - start > MAX_SECONDS:
            end = End("finding", f"took longer than {MAX_SECONDS} s")
        if _descendants(os.getpid()):
            end = End("finding", "a child is left behind")
        return end


def _of_figures(figures: dict[str, object]) -> End:
    for name in ("score", "accuracy"):
        value = figures[name]
        if not isinstance(value, float) or not 0 <= value <= 1:
            return End("finding", f"{name} of {value}")
    latency = figures["latency"]
    if not isinstance(latency, float) or not math.isfinite(latency) or latency <= 0:
        return End("finding", f"latency of {latency}")
    return End("measured", "measured")


def _of_message(message: str, folder: str) -> End:
    if folder in message or str(Path.home()) in message:
        return End("finding", f"a path of the server: {message}")
    if len(message.splitlines()) > MAX_LINES or len(message) > LONGEST:
        return End("finding", f"a long message: {message[:200]}")
    # Names and numbers are the file's own.
    kind = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9][0-9,.]*|\[[^\]]*\]", "*", message.splitlines()[0])
    return End("refused", kind)


def cases(challenge: ChallengeFolder, first: int) -> Iterator[bytes]:
    """Damaged files and changed ones, in turn, from the samples and from what the tests build."""
    seeds = [path.read_bytes() for path in challenge.samples() if path.stem != "slow"]
    seeds += [path.read_bytes() for path in sorted(zoo.FIXTURES.glob("*.tflite"))]
    number = first
    while True:
        content = seeds[number // 2 % len(seeds)]
        if number % 2:
            yield fuzz.damage(content, number)
        else:
            changed = fuzz_structure.apply(content, fuzz_structure.plan(number, generated=0.0))
            if changed is not None:
                yield changed
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--save", type=Path, help="folder of the files that are kept")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    smallest: dict[str, bytes] = {}
    findings = 0
    with tempfile.TemporaryDirectory() as temporary:
        challenge = brief_challenge(Path(temporary) / "challenge")
        until = time.monotonic() + options.seconds
        for content in cases(challenge, options.first):
            end = send(challenge, content)
            counts[end.what] += 1
            if end.what == "finding":
                findings += 1
                print(f"finding: {end.kind}", flush=True)
                _keep(options.save, f"finding-{findings}", content)
            elif len(content) < min(MAX_KEPT, len(smallest.get(end.kind, b"-" * MAX_KEPT))):
                smallest[end.kind] = content
                _keep(options.save, _name(end), content)
            if sum(counts.values()) % 500 == 0:
                print(f"{dict(counts)}, {len(smallest)} kinds", flush=True)
            if time.monotonic() > until:
                break
    print(f"{sum(counts.values())} cases: {dict(counts)}, {len(smallest)} kinds of end")
    sys.exit(findings > 0)


def _name(end: End) -> str:
    digest = hashlib.sha256(end.kind.encode()).hexdigest()[:6]
    words = re.findall(r"[a-z]+", end.kind.lower())[:8]
    return f"{'_'.join(words)}_{digest}"


def _keep(folder: Path | None, name: str, content: bytes) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.tflite").write_bytes(content)


if __name__ == "__main__":
    main()
