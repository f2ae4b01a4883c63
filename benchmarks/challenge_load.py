"""Submissions to a challenge whose server is killed again and again: each is measured once.

    python benchmarks/challenge_load.py [--submissions 200] [--clients 20] [--kills 5]
        [--postgresql]

Clients submit models that differ in one number, as teams of their own, while the server is killed
(SIGKILL) and started again. Then everything is counted: what is lost, what is measured twice, what
failed. Runs are as short as they can be: it is not the models that are looked at. Exit status 1
where anything is not as it should be.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "service")]

from _report import show, write  # noqa: E402
from private_postgres import private_postgres  # noqa: E402

from handheld.bench.challenge import ChallengeFolder, write_challenge  # noqa: E402
from handheld.bench.challenge.client import ChallengeClient  # noqa: E402
from handheld.bench.challenge.hosting import opened_store  # noqa: E402
from handheld.bench.challenge.starter import linear_model  # noqa: E402
from handheld.errors import FetchError, InputError  # noqa: E402

_BRIEF = {"min_queries": 1, "min_seconds": 0, "attempts": 1, "waiting": 1000}
_PATIENCE = 3600.0  # seconds, of all
_PAUSE = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = None
        if options.postgresql:
            database = stack.enter_context(private_postgres())()
        row = run(folder, options, database)
    show("A challenge whose server is killed", [row])
    name = "challenge_load"
    if options.postgresql:
        name += "_postgresql"
    write(name, [row])
    if row["lost"] or row["measured twice"] or row["failed"]:
        sys.exit(1)


def run(folder: Path, options: Any, database: str | None) -> dict[str, Any]:
    """Submit, kill, wait, count."""
    challenge = _challenge(folder / "challenge")
    port = _free_port()
    start = time.monotonic()
    server = _serve(challenge, port, database)
    threads = []
    for number in range(options.clients):
        share = range(number, options.submissions, options.clients)
        threads.append(Thread(target=_client, args=(folder, port, number, share)))
        threads[-1].start()
    with opened_store(challenge, database) as store:
        for kill in range(options.kills):
            # Spread over the whole work.
            _until(lambda at=kill: _done(store) >= options.submissions * at / options.kills)
            server.kill()
            server.wait()
            server = _serve(challenge, port, database)
        for thread in threads:
            thread.join()
        _until(lambda: _done(store) >= options.submissions)
        seconds = time.monotonic() - start
        sent = store.all_submissions()
        states = Counter(submission.state for submission in sent)
        log = [entry for entry in store.audit_log() if entry["action"] == "measure"]
    server.terminate()
    server.wait()
    subjects = Counter(entry["subject"] for entry in log)
    return {
        "submissions": options.submissions,
        "clients": options.clients,
        "kills": options.kills,
        "lost": options.submissions - len(sent),
        "measured once": sum(count == 1 for count in subjects.values()),
        "measured twice": sum(count > 1 for count in subjects.values()),
        "failed": states["failed"],
        "seconds": round(seconds),
    }


def _challenge(folder: Path) -> ChallengeFolder:
    challenge = write_challenge(folder)
    path = challenge.root / "challenge.toml"
    text = path.read_text("utf-8")
    for name, value in _BRIEF.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    path.write_text(text.replace("submissions_per_day = 20", "submissions_per_day = 1000"), "utf-8")
    return ChallengeFolder.read(folder)


def _serve(challenge: ChallengeFolder, port: int, database: str | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "handheld", "bench", "serve", str(challenge.root)]
    command += ["--port", str(port)]
    if database is not None:
        command += ["--database", database]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def _client(folder: Path, port: int, number: int, share: range) -> None:
    address = f"http://127.0.0.1:{port}"
    client = ChallengeClient(address)
    token = _insist(lambda: client.register(f"team {number} {time.monotonic_ns()}"))["token"]
    client = ChallengeClient(address, token)
    for entry in share:
        weights = np.zeros((4, 768), np.float32)
        path = folder / f"net{entry}.tflite"
        path.write_bytes(linear_model(weights, np.array([entry, 0, 0, 0], np.float32)))
        _insist(lambda path=path: client.submit(path, path.stem))


def _insist(ask: Any) -> dict[str, Any]:
    """Ask until the server answers; what it has taken in already is fine."""
    while True:
        try:
            answer: dict[str, Any] = ask()
            return answer
        except FetchError:
            time.sleep(_PAUSE)
        except InputError as error:
            if "already" in str(error):
                return {}
            if "try again" not in str(error):
                raise
            time.sleep(_PAUSE)


def _done(store: Any) -> int:
    return len(store.measurements("done", "failed"))


def _until(condition: Any) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit("waited too long")
        time.sleep(_PAUSE)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    main()
