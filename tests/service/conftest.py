import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from handheld.service import FormField, JobKind, Limits

HERE = Path(__file__).parent
sys.path.insert(
    0, str(HERE)
)  # for "private_postgres"; pytest's importlib mode leaves the path alone

from private_postgres import missing, private_postgres  # noqa: E402

TEXT = FormField(
    name="text", label="Text", type="file", accept=(".txt", ".md"), help="A plain text."
)
KINDS = {
    kind.name: kind
    for kind in (
        JobKind(
            name="shout",
            title="Shout",
            description="Makes a text louder.",
            entry="job_functions:shout",
            fields=(
                TEXT,
                FormField(
                    name="times",
                    label="How often",
                    type="number",
                    required=False,
                    minimum=1,
                    maximum=9,
                ),
            ),
        ),
        JobKind(
            name="count",
            title="Count",
            entry="job_functions:count",
            fields=(FormField(name="go", label="Go", required=False),),
        ),
        JobKind(name="wait", title="Wait", entry="job_functions:wait"),
        JobKind(
            name="fail",
            title="Fail",
            entry="job_functions:fail",
            fields=(FormField(name="how", label="How"),),
        ),
        JobKind(
            name="escape",
            title="Escape",
            entry="job_functions:escape",
            fields=(FormField(name="go", label="Go", required=False),),
        ),
        JobKind(name="orphan", title="Orphan", entry="job_functions:orphan"),
        JobKind(name="ghost", title="Ghost", entry="job_functions:ghost"),
        JobKind(
            name="swarm",
            title="Swarm",
            entry="job_functions:swarm",
            fields=(FormField(name="count", label="How many"),),
        ),
        JobKind(
            name="fill",
            title="Fill",
            entry="job_functions:fill",
            fields=(FormField(name="name", label="A name", required=False),),
        ),
        JobKind(name="imports", title="Imports", entry="job_functions:imports"),
        JobKind(
            name="archive",
            title="Archive",
            entry="job_functions:archive",
            fields=(FormField(name="data", label="Data", type="file", accept=(".zip", ".tar.gz")),),
        ),
    )
}
FAST = {"lease_seconds": 1.0}


@pytest.fixture
def kinds():
    return KINDS


@pytest.fixture(autouse=True)
def _jobs_find_their_functions(monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    )


@pytest.fixture
def fast_limits():
    def make(**values):
        return Limits(**(FAST | values))

    return make


@pytest.fixture(scope="session")
def postgres():
    """A private PostgreSQL on loopback; gives a function that makes an empty database and returns
    its URL.
    """
    if problem := missing():
        pytest.skip(problem)
    with private_postgres() as new_database:
        yield new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "state" / "jobs.sqlite")
    return request.getfixturevalue("postgres")()


SERVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from conftest import KINDS
from handheld.service import Limits, serve
given = json.loads(sys.argv[2])
if patience := given.pop("patience", None):
    from handheld.service import _upload, server
    _upload._SILENCE_SECONDS = server._HEADER_SECONDS = patience
if unread := given.pop("unread", None):
    from handheld.service import intake, server
    intake._DRAIN_SECONDS = server._UNREAD_SECONDS = unread
limits = Limits(**given.pop("limits"))
kinds = [KINDS[name] for name in given.pop("kinds")]
serve(kinds, limits=limits, on_start=lambda url: print(url, flush=True), **given)
"""


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class RunningServer:
    url: str
    process: subprocess.Popen

    def ask(self, method, path, body=None, headers=None):
        request = urllib.request.Request(
            self.url.rstrip("/") + path, data=body, method=method, headers=headers or {}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def submit(self, kind, values=None, files=None, **headers):
        body, content_type = multipart(values or {"": ""}, files or {})
        return self.ask(
            "POST", f"/jobs?kind={kind}", body, {"Content-Type": content_type} | headers
        )

    def end(self, signal_name="terminate"):
        getattr(self.process, signal_name)()
        self.process.communicate(timeout=30)


def multipart(values, files):
    """Return a body and its type; the values come first."""
    boundary, parts = "=====", []
    for name, value in values.items():
        if name:
            parts.append(
                f"--{boundary}\r\nContent-Disposition: form-data; "
                f'name="{name}"\r\n\r\n{value}\r\n'.encode()
            )
    for name, (sent, content) in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
            f'filename="{sent}"\r\n\r\n'
        )
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(
        parts
    ) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@pytest.fixture(name="multipart")
def _multipart():
    return multipart


@pytest.fixture
def start_server(tmp_path):
    """Start real servers on loopback ports, in processes of their own."""
    servers = []

    def start(*kinds, limits=None, folder=None, stderr=None, **given):
        given |= {
            "kinds": kinds or tuple(KINDS),
            "limits": FAST | (limits or {}),
            "folder": str(folder or tmp_path / "server"),
        }
        given.setdefault("port", 0)
        command = [sys.executable, "-c", SERVER, str(HERE), json.dumps(given)]
        with open(stderr or os.devnull, "w") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors if stderr else None, text=True
            )
        server = RunningServer(process.stdout.readline().strip(), process)
        servers.append(server)
        assert server.url, "the server did not start"
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.end()
        server.process.stdout.close()
