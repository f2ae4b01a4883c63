"""Challenges for the tests: small, and measured for a moment."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from handheld.bench.challenge import ChallengeFolder, write_challenge
from handheld.bench.challenge.rules import ChallengeLimits, MeasurementRules

TESTS = Path(__file__).parents[2]
# pytest's importlib mode leaves the path alone
for folder in (TESTS / "service", TESTS / "engine", Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from private_postgres import missing, private_postgres  # noqa: E402

BRIEF = {"min_queries": 1, "min_seconds": 0.0, "attempts": 1}


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A challenge as ``handheld bench init`` writes it, but with short runs."""
    return brief(write_challenge(tmp_path_factory.mktemp("challenge") / "ours"))


def brief(challenge):
    """Return a challenge whose runs are short."""
    path = challenge.root / "challenge.toml"
    text = path.read_text("utf-8")
    for name, value in BRIEF.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    path.write_text(text, "utf-8")
    return ChallengeFolder.read(challenge.root)


@pytest.fixture
def challenge(written, tmp_path):
    """A challenge of the test's own."""
    shutil.copytree(written.root, tmp_path / "ours")
    return ChallengeFolder.read(tmp_path / "ours")


@pytest.fixture
def with_rules():
    """Return a challenge with other rules, in the file too."""

    def change(challenge, text="", **limits):
        path = challenge.root / "challenge.toml"
        lines = path.read_text("utf-8")
        for name, value in limits.items():
            kept = [line for line in lines.splitlines() if not line.startswith(f"{name} =")]
            lines = "\n".join(kept).replace("[limits]", f"[limits]\n{name} = {value}")
        path.write_text(f"{text}\n{lines}\n", "utf-8")
        return ChallengeFolder.read(challenge.root)

    return change


@pytest.fixture
def rules(written):
    """Rules without files."""
    return replace(
        written.rules,
        measurement=MeasurementRules(**BRIEF),
        limits=ChallengeLimits(submissions_per_day=50, waiting=50),
    )


@pytest.fixture
def sample(written):
    """The content of a sample submission, by name."""
    return lambda name: (written.root / "samples" / f"{name}.tflite").read_bytes()


@pytest.fixture(scope="session")
def postgres():
    if problem := missing():
        pytest.skip(problem)
    with private_postgres() as new_database:
        yield new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "challenge.sqlite")
    return request.getfixturevalue("postgres")()


SERVER = """
import json, sys
from handheld.bench.challenge import ChallengeFolder
from handheld.bench.challenge import hosting
options = json.loads(sys.argv[1])
if patience := options.pop("patience", None):
    from handheld.service import _upload, server
    _upload._SILENCE_SECONDS = server._HEADER_SECONDS = patience
if lease := options.pop("lease", None):
    from dataclasses import replace
    from handheld.bench.challenge import app
    limits_of = app.job_limits
    app.job_limits = lambda challenge: replace(limits_of(challenge), lease_seconds=lease)
challenge = ChallengeFolder.read(options.pop("folder"))
if device := options.pop("worker", None):
    print("working", flush=True)
    hosting.work(challenge, device, **options)
else:
    hosting.serve_challenge(
        challenge, on_start=lambda url: print(url, flush=True), **options
    )
"""


@pytest.fixture
def start(tmp_path):
    """Start a real server, or a worker, in a process of its own; return its address and process."""
    processes = []

    def begin(challenge, **options):
        options.setdefault("port", 0)
        if "worker" in options:
            options.pop("port")
        order = json.dumps({"folder": str(challenge.root), **options})
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, order],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        processes.append(process)
        address = process.stdout.readline().strip().rstrip("/")
        assert address, "it did not start"
        return address, process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)
