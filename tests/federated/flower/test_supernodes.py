"""A SuperLink and SuperNodes as processes on this machine, one of which leaves in the middle."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="Flower is not installed: docs/use-with-flower.md says how")

APP = Path(__file__).parent / "supernodes_app"
SOURCE = Path(__file__).parents[3] / "src"
BIN = Path(sys.executable).parent
CLIENTS = 4
LIMIT = 280.0  # seconds of the whole run
STEP = 8.0 / (1 << 16)

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="its processes are ended by their group"),
    pytest.mark.timeout(400),
]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def settings(path):
    """Return an environment in which Flower keeps to a folder, and asks nobody outside."""
    more = {
        "FLWR_HOME": str(path / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]),
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
    }
    return {**os.environ, **more}


@contextmanager
def process(path, name, *arguments):
    """Run a program of Flower's in a group of its own, which ends with the test."""
    with (path / f"{name}.log").open("w") as log:
        running = subprocess.Popen(
            [str(BIN / arguments[0]), *arguments[1:]],
            env=settings(path),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def until(condition, what, path):
    """Wait for something, or fail with what the programs said."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.2)
    logs = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in path.glob("*.log"))
    pytest.fail(f"{what} did not come\n{logs}")


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_secure_round_among_supernodes(tmp_path):
    link, *ports = free_ports(1 + CLIENTS)
    out = tmp_path / "out.json"
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(APP, tmp_path / "app")
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{link}"\n'
        "insecure = true\n"
    )
    with ExitStack() as stack:
        superlink = (
            "flower-superlink",
            "--insecure",
            "--disable-runtime-dependency-installation",
            "--port",
            str(link),
        )
        stack.enter_context(process(tmp_path, "superlink", *superlink))
        until(lambda: is_open(link), "the SuperLink", tmp_path)
        for number, port in enumerate(ports):
            folder = tmp_path / f"client{number}"
            config = f'partition-id={number} folder="{folder}"'
            supernode = (
                "flower-supernode",
                "--insecure",
                "--superlink",
                f"127.0.0.1:{link}",
                "--port",
                str(port),
                "--node-config",
                config,
            )
            stack.enter_context(process(tmp_path, f"supernode{number}", *supernode))
        started = subprocess.run(
            [str(BIN / "flwr"), "run", "app", "--run-config", f'out="{out}"'],
            cwd=tmp_path,
            env=settings(tmp_path),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert started.returncode == 0, started.stdout + started.stderr
        until(lambda: out.exists() and out.read_text(), "the model", tmp_path)
    told = json.loads(out.read_text())
    assert told["rounds"]["1"]["answered"] == 3
    # The clients go by 0.1, 0.2 and 0.3; the one that would go by 0.4 died.
    assert told["weight"] == pytest.approx([0.2] * 5, abs=3 * STEP)
    identities = {
        (tmp_path / f"client{number}" / "identity.key").read_text() for number in range(CLIENTS)
    }
    assert len(identities) == CLIENTS
