import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handheld.compress.serving import CompressLimits, job_kind

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for "uploads"; pytest's importlib mode leaves the path alone

from uploads import VALUES  # noqa: E402

_spec = importlib.util.spec_from_file_location(
    "service_helpers", HERE.parents[1] / "service" / "conftest.py"
)
helpers = importlib.util.module_from_spec(_spec)
sys.modules["service_helpers"] = helpers  # dataclasses look their module up
_spec.loader.exec_module(helpers)

SERVER = """
import json, sys
from handheld.compress.serving import CompressLimits, job_kind
from handheld.service import Limits, serve
given = json.loads(sys.argv[1])
kind = job_kind(CompressLimits(**given.pop("kind")))
limits = Limits(lease_seconds=1.0)
serve([kind], limits=limits, on_start=lambda url: print(url, flush=True), **given)
"""


@pytest.fixture
def prepare(tmp_path):
    """Make the folder of a job as a server does, and its spec as the form's check returns it."""

    def make(data, *, model=None, limits=None, name="data.zip", **values):
        folder, kind = tmp_path / "job", job_kind(CompressLimits(**(limits or {})))
        for part in ("upload", "work", "result"):
            (folder / part).mkdir(parents=True)
        (folder / "upload" / name).write_bytes(data)
        files = {"data": name}
        if model is not None:
            files["model"] = model[0]
            (folder / "upload" / model[0]).write_bytes(model[1])
        return folder, kind.check(folder / "upload", kind.parse(VALUES | values, files))

    return make


@pytest.fixture
def start_server(tmp_path):
    """Start real servers on loopback ports, in processes of their own."""
    servers = []

    def start(limits=None, **given):
        given = {"port": 0, "folder": str(tmp_path / "server"), "kind": limits or {}} | given
        return _started(servers, [sys.executable, "-c", SERVER, json.dumps(given)])

    start.command = lambda *options: _started(
        servers, [sys.executable, "-m", "handheld.cli", "compress", "serve", *options]
    )
    yield start
    for server in servers:
        if server.process.poll() is None:
            server.end()
        server.process.stdout.close()


def _started(servers, command):
    one_thread = os.environ | {
        "OMP_NUM_THREADS": "1"
    }  # tiny networks are slower on several, much so on a busy machine
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_thread)
    server = helpers.RunningServer(
        process.stdout.readline().strip().removeprefix("listening on "), process
    )
    servers.append(server)
    assert server.url, "the server did not start"
    return server
