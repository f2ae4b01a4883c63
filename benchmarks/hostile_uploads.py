"""Hostile uploads, connections and jobs against real servers: what became of each, on SQLite and on
PostgreSQL.

    python benchmarks/hostile_uploads.py [--only WORDS] [--without-postgresql]

Every attack is tried on a server process of its own database, over sockets. After each the server
must say that it is well; at the end it must work through a queue of honest jobs. The numbers in
front are the headings under which the faults were found. Exit status 1 if anything is not as it
should be.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests" / "service"
sys.path[:0] = [str(HERE), str(TESTS)]

import _hostile_files as files  # noqa: E402
from _report import show, write  # noqa: E402
from private_postgres import missing, private_postgres  # noqa: E402

from conftest import RunningServer, multipart  # noqa: E402

TOKEN = "a token of twenty-four characters"
VALUES = {
    "targets": "4x smaller, plain",
    "network": "residual",
    "width": "4",
    "epochs": "2",
    "quick": "on",
}
TEXTS = {"targets": "100KB", "network": "lstm"}
PATIENCE = 240.0  # seconds that a job may take to end
HONEST = 20
SILENT = 20
_LONGEST_TRACE = 10_000
SHOUT = (
    "POST /jobs?kind=shout HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
    "boundary=b\r\n"
)
AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Target:
    """A server under attack."""

    folder: Path
    database: str | None
    limits: dict[str, Any] = field(default_factory=dict)
    server: RunningServer | None = None
    starts: int = 0

    @property
    def log(self) -> Path:
        """What the servers wrote to standard error."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def start(self) -> None:
        """Start a server, or start it again."""
        settings = {
            "folder": str(self.folder),
            "database": self.database,
            "token": TOKEN,
            "limits": self.limits,
        }
        command = [sys.executable, str(HERE / "_hostile_server.py"), json.dumps(settings)]
        paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        variables = os.environ | {
            "PYTHONPATH": paths,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{self.bin}:{os.environ['PATH']}",
        }
        with self.log.open("a") as log:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=variables
            )
        assert process.stdout is not None
        self.server = RunningServer(process.stdout.readline().strip(), process)
        self.starts += 1
        if not self.server.url:
            raise SystemExit(f"the server did not start:\n{self.log.read_text()}")

    @property
    def bin(self) -> Path:
        """A folder in the server's PATH, with a stand-in for Ghostscript that leaves a mark."""
        folder = self.folder.with_name(f"{self.folder.name}-bin")
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "gs").write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
            (folder / "gs").chmod(0o755)
        return folder

    def end(self, how: str = "terminate") -> None:
        """End the server."""
        assert self.server is not None
        self.server.end(how)

    def kill(self) -> None:
        """End the server, if it still runs."""
        if self.server is not None and self.server.process.poll() is None:
            self.server.process.kill()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """One request; TimeoutError if nobody answers."""
        assert self.server is not None
        return self.server.ask(method, path, body, headers)

    def submit(
        self, kind: str, values: dict[str, str], uploads: dict[str, files.Archive] | None = None
    ) -> Any:
        """Submit a job as one who may."""
        assert self.server is not None
        return self.server.submit(kind, values, uploads or {}, **AUTHORISED)

    def outcome(self, url: str, seconds: float = PATIENCE) -> str:
        """How a job ended, in words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.ask("GET", url).json
            if job["state"] in ("done", "failed", "cancelled"):
                said = f": {job['error']}" if job["error"] else ""
                return f"{job['state']}{said}"
            time.sleep(0.1)
        return f"still {job['state']} after {seconds:.0f} s"

    def job(
        self, kind: str, values: dict[str, str], uploads: dict[str, files.Archive] | None = None
    ) -> str:
        """Submit a job and wait for its end."""
        answer = self.submit(kind, values, uploads)
        if answer.status != 201:
            return f"refused {answer.status}: {answer.json['error']}"
        return self.outcome(answer.json["url"])

    def compress(
        self, data: files.Archive, model: files.Archive | None = None, **values: str
    ) -> str:
        """Upload data, and perhaps a model, to be compressed."""
        return self.job(
            "compress", VALUES | values, {"data": data} | ({"model": model} if model else {})
        )

    def health(self) -> str:
        """What the server says of itself, and how soon."""
        start = time.monotonic()
        try:
            answer = self.ask("GET", "/healthz")
        except OSError as error:
            return f"no answer ({error})"
        seconds = time.monotonic() - start
        return (
            "ok"
            if answer.status == 200 and seconds < 5
            else f"{answer.status} after {seconds:.1f} s"
        )

    @contextmanager
    def connection(self, text: str | bytes = b"") -> Iterator[socket.socket]:
        """A connection on which something was sent."""
        assert self.server is not None
        address = urlsplit(self.server.url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(text.encode() if isinstance(text, str) else text)
            yield connection

    def folders(self) -> int:
        """How many jobs have a folder."""
        return len(list((self.folder / "jobs").iterdir()))

    def memory(self) -> int:
        """The most memory that the server has had, in MB."""
        assert self.server is not None
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1000


@dataclass(frozen=True)
class Attack:
    """What is tried, and what has to become of it.

    Attributes:
        heading: under which the fault was found.
        name: in words.
        run: does it; returns what happened.
        expected: pattern of that.
    """

    heading: str
    name: str
    run: Callable[[Target], str]
    expected: str


def silent_uploads(target: Target) -> str:
    """Many begin an upload without a token and say no more; one who has it comes."""
    with ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(target.connection(SHOUT + "Content-Length: 1000\r\n\r\n--b\r\n"))
        start = time.monotonic()
        outcome = target.job("shout", {"times": "1"}, {"text": ("a.txt", b"hello")})
        return (
            f"{outcome}, submitted beside {SILENT} silent ones in {time.monotonic() - start:.0f} s"
        )


def silent_heads(target: Target) -> str:
    """Many send half a request's head; they must be let go."""
    with ExitStack() as stack:
        open_ones = [stack.enter_context(target.connection(SHOUT)) for _ in range(SILENT)]
        start = time.monotonic()
        for connection in open_ones:
            connection.settimeout(60)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
        return f"all {SILENT} closed after {time.monotonic() - start:.0f} s"


def broken_uploads(target: Target) -> str:
    """Clients that break off leave neither files nor traces in the log."""
    before = len(target.log.read_text())
    folders = target.folders()
    token = f"Authorization: Bearer {TOKEN}\r\n"
    head = '--b\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\n'
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(
                target.connection(
                    f"{SHOUT}{token}Content-Length: 900000\r\n\r\n{head}{'x' * 50_000}"
                )
            )
        _until(lambda: target.folders() == folders + 8)
    _until(lambda: target.folders() == folders)
    left = target.folders() - folders
    return f"{left} folders left, {len(target.log.read_text()) - before} bytes in the log"


def endless_header(target: Target) -> str:
    """A part's header without an end."""
    before = target.memory()
    token = f"Authorization: Bearer {TOKEN}\r\n"
    with target.connection(
        f"{SHOUT}{token}Content-Length: 60000000\r\n\r\n--b\r\nX: "
    ) as connection:
        with contextlib.suppress(OSError):
            for _ in range(600):
                connection.sendall(b"a" * 100_000)
        status = _status(connection)
    return f"{status}, {target.memory() - before} MB"


def long_boundary(target: Target) -> str:
    """A boundary of 60,000 characters."""
    answer = target.ask(
        "POST",
        "/jobs?kind=shout",
        b"x",
        **{"Content-Type": f"multipart/form-data; boundary={'b' * 60_000}"},
    )
    return str(answer.status)


def late_token(target: Target) -> str:
    """The token behind the file."""
    body, kind = multipart({"times": "1"}, {"text": ("a.txt", b"hello")})
    late = multipart({"token": TOKEN}, {})[0]
    body = body.removesuffix(b"--=====--\r\n") + late
    answer = target.ask("POST", "/jobs?kind=shout", body, **{"Content-Type": kind})
    return f"{answer.status}: {answer.json['error']}"


def other_site(target: Target) -> str:
    """A page of another site sends a form; a stranger's name leads here."""
    body, kind = multipart({"times": "1"}, {"text": ("a.txt", b"hello")})
    posted = target.ask(
        "POST", "/jobs?kind=shout", body, **{"Content-Type": kind, "Origin": "http://evil.example"}
    )
    named = target.ask("GET", "/", Host="evil.example")
    return f"{posted.status} and {named.status}"


def followers(target: Target) -> str:
    """150 pages follow a job that waits."""
    url = target.submit("wait", {}).json["url"]
    with ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(
                target.connection(f"GET {url}/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            )
        start = time.monotonic()
        healthy = target.health()
        seconds = time.monotonic() - start
        target.ask("POST", f"{url}/cancel", b"")
        return (
            f"{healthy} within {'a second' if seconds < 1 else f'{seconds:.0f} s'}; "
            f"{target.outcome(url)}"
        )


def postscript(target: Target) -> str:
    """EPS as photo.jpg, with a Ghostscript that tells."""
    outcome = target.compress(files.postscript())
    return f"{outcome}; Ghostscript {'RAN' if (target.bin / 'ran').exists() else 'did not run'}"


def environment(target: Target) -> str:
    """What a job finds in its environment."""
    url = target.submit("fail", {"how": "environment"}).json["url"]
    outcome = target.outcome(url)
    name = target.ask("GET", f"{url}/files/environment.txt").body.decode()
    secrets = [line for line in name.splitlines() if "TOKEN" in line]
    return f"{outcome}; secrets: {', '.join(secrets) or 'none'}"


def leftovers(kind: str, **values: str) -> Callable[[Target], str]:
    """Run a job that leaves processes, and count these afterwards."""

    def attack(target: Target) -> str:
        outcome = target.job(kind, values or {"": ""})
        time.sleep(0.5)
        return f"{outcome}; processes left: {len(processes_of(target.folder))}"

    return attack


def cancelled(kind: str, message: str, **values: str) -> Callable[[Target], str]:
    """Cancel a job once it says something, and count the processes that it leaves."""

    def attack(target: Target) -> str:
        url = target.submit(kind, values or {"": ""}).json["url"]
        while target.ask("GET", url).json["message"] != message:
            time.sleep(0.05)
        target.ask("POST", f"{url}/cancel", b"")
        outcome = target.outcome(url)
        time.sleep(0.5)
        return f"{outcome}; processes left: {len(processes_of(target.folder))}"

    return attack


def processes_of(folder: Path) -> list[int]:
    """The processes that work below a folder or were started with its path, but for servers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            inside = (
                os.readlink(entry / "cwd").startswith(str(folder))
                or str(folder).encode() in command
            )
            if inside and b"_hostile_server" not in command and b"hostile_uploads" not in command:
                found.append(int(entry.name))
    return found


def crowd(target: Target) -> str:
    """Fifty submit at once, and try again where they are told to."""
    codes: list[int] = []

    def one() -> None:
        for _ in range(200):
            answer = target.submit("shout", {"times": "1"}, {"text": ("a.txt", b"hello")})
            if answer.status != 503:
                codes.append(answer.status)
                return
            time.sleep(0.1)

    threads = [Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return f"{codes.count(201)} of 50 accepted"


def killed(target: Target) -> str:
    """The server is killed in the middle of a job and of uploads, twice."""
    url = target.submit("count", {"go": str(target.folder / "go")}).json["url"]
    for _ in range(2):
        while target.ask("GET", url).json["message"] != "counted to 31":
            time.sleep(0.05)
        with target.connection(
            f"{SHOUT}Authorization: Bearer {TOKEN}\r\nContent-Length: 900000\r\n\r\n--b\r\n"
        ):
            target.end("kill")
        target.start()
    (target.folder / "go").touch()
    return target.outcome(url)


ODD_ARRAYS = {
    "strings": np.full((20, 8, 8), "a"),
    "complex": np.ones((20, 8, 8), np.complex64),
    "structs": np.zeros((20, 8, 8), [("a", "u1")]),
    "five axes": np.zeros((20, 8, 8, 3, 2), np.uint8),
    "no side": np.zeros((20, 0, 8), np.uint8),
}


def odd_arrays(target: Target) -> str:
    """Arrays that are no pictures."""
    outcomes = {
        name: target.compress(files.arrays(x=x, y=np.arange(20) % 2))
        for name, x in ODD_ARRAYS.items()
    }
    unlike = {
        name: text
        for name, text in outcomes.items()
        if not text.startswith("failed: ") or "does not explain" in text
    }
    return f"{len(outcomes) - len(unlike)} of {len(outcomes)} named" + (
        f"; {unlike}" if unlike else ""
    )


def model(kind: str) -> Callable[[Target], str]:
    """An ONNX model as the teacher."""
    return lambda target: target.compress(files.pictures(), ("model.onnx", files.onnx_model(kind)))


LONG_LABEL = files.table("A" * 2_000_000 + "\thello\nb\tx\nb\ty\nb\tz\n")
SHORT = r"^failed: .{1,4000}$"
NAMED = r"^(failed|refused \d+): (?!.*does not explain)"

ATTACKS = [
    Attack("1", "a label of 2,000,000 letters", lambda t: t.compress(LONG_LABEL, **TEXTS), SHORT),
    Attack(
        "1",
        "a tensor's name of 1,200,000 letters",
        lambda t: t.compress(
            files.pictures(), ("model.safetensors", files.weights("n" * 1_200_000))
        ),
        SHORT,
    ),
    Attack("1", "an ONNX input's name of 1,200,000 letters", model("long name"), SHORT),
    Attack(
        "1",
        "a job reports a line of 3 MB",
        lambda t: t.job("fail", {"how": "no report"}),
        "^failed: .*no job reports",
    ),
    Attack(
        "1",
        "a job reports what is none",
        lambda t: t.job("fail", {"how": "deep report"}),
        "^failed: .*no job reports",
    ),
    Attack(
        "2",
        "a .tflite file as the model",
        lambda t: t.compress(files.pictures(), ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(100))),
        "^refused 422: ",
    ),
    Attack(
        "3",
        "a NUL in a tensor's name",
        lambda t: t.compress(files.pictures(), ("model.safetensors", files.weights("a\0b"))),
        SHORT,
    ),
    Attack(
        "4", "half a letter in an error", lambda t: t.job("fail", {"how": "no text"}), "^failed: "
    ),
    Attack(
        "4",
        "half a letter in a report",
        lambda t: t.job("fail", {"how": "no text in a report"}),
        "^done",
    ),
    Attack("5", "silent uploads without a token", silent_uploads, r"^done, .* in [0-9] s$"),
    Attack("5", "half a head, and silence", silent_heads, r"closed after [0-4]?\d s$"),
    Attack("7", "EPS as photo.jpg", postscript, r"^failed: .*did not run$"),
    Attack("12", "ONNX tensors elsewhere", model("elsewhere"), "^refused 422: .*other files"),
    Attack(
        "12",
        "the same under a key of 33 bits",
        lambda t: t.compress(files.pictures(), ("model.onnx", files.hidden_tensor())),
        "^refused 422: .*no protobuf message",
    ),
    Attack("13", "a part's header without an end", endless_header, r"^(400|closed), [0-5] MB$"),
    Attack("13", "a boundary of 60,000 letters", long_boundary, "^400$"),
    Attack("13", "clients that break off", broken_uploads, "^0 folders left, 0 bytes in the log$"),
    Attack("13", "the job looks for secrets", environment, "secrets: none$"),
    Attack(
        "13",
        "300,000 rows ended by CR",
        lambda t: t.compress(files.table("a\thello\rb\tx\r" * 150_000), **TEXTS),
        NAMED,
    ),
    Attack("13", "arrays that are no pictures", odd_arrays, "^5 of 5 named$"),
    Attack(
        "13",
        "classes that are no UTF-8",
        lambda t: t.compress(
            files.arrays(
                x=np.zeros((20, 8, 8), np.uint8),
                y=np.arange(20) % 2,
                classes=np.array([b"\xff", b"\xfe"]),
            )
        ),
        NAMED,
    ),
    Attack(
        "13",
        "pictures of 13,300 x 13,300",
        lambda t: t.compress(files.huge_picture(), side="32"),
        NAMED,
    ),
    Attack("13", "the token behind the file", late_token, "^401: .*before its first file"),
    Attack("gap", "an ONNX loop without an end", model("endless"), "^failed: .*took longer than"),
    Attack("gap", "an ONNX memory bomb", model("bomb"), "^failed: "),
    Attack("gap", "an ONNX operator of others", model("foreign operator"), "^failed: .*com.evil"),
    Attack(
        "gap",
        "a daemon in its own session",
        cancelled("escape", "away"),
        "^cancelled; processes left: 0$",
    ),
    Attack(
        "gap",
        "a daemon, and the keeper killed",
        leftovers("orphan"),
        "^failed: .*processes left: 0$",
    ),
    Attack(
        "gap",
        "no environment, keeper killed, SIGTERM ignored",
        leftovers("ghost"),
        "^failed: .*processes left: 0$",
    ),
    Attack(
        "gap",
        "400 processes that replace each other",
        cancelled("swarm", "swarming", count="400"),
        "^cancelled; processes left: 0$",
    ),
    Attack(
        "gap",
        "600 processes",
        leftovers("swarm", count="600"),
        "^failed: .*more than the 512 processes.*left: 0$",
    ),
    Attack(
        "gap",
        "files beyond the job's disk",
        lambda t: t.job("fill", {"name": "on"}),
        "^failed: .*bytes allowed",
    ),
    Attack(
        "gap",
        "the same without a name",
        lambda t: t.job("fill", {"name": ""}),
        "^failed: .*bytes allowed",
    ),
    Attack(
        "gap",
        "8 GB of memory",
        lambda t: t.job("fail", {"how": "memory"}),
        "^failed: the job ran out of memory",
    ),
    Attack("good", "other sites, other names", other_site, "^403 and 421$"),
    Attack("good", "150 followers", followers, "^ok within a second; cancelled$"),
    Attack("good", "50 submit at once", crowd, "^50 of 50"),
    Attack("good", "killed twice in a job and an upload", killed, "^done$"),
]


def full_disk(database: str | None) -> tuple[str, bool]:
    """A job fills the disk that the server's own state lies on; honest jobs come after it."""
    if os.getuid() != 0:
        return "needs root, to mount a small disk", True
    disk = Path(tempfile.mkdtemp(prefix="handheld-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    target = Target(disk / "server", database)
    try:
        target.start()
        first = target.job("fill", {"name": "on"})
        upload = target.submit("shout", {"times": "1"}, {"text": ("a.txt", bytes(40_000_000))})
        after = target.job("shout", {"times": "1"}, {"text": ("a.txt", b"hello")})
        text = f"{first}; an upload of 40 MB: {upload.status}; then {after}, {target.health()}"
        target.end()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
        disk.rmdir()
    return text, bool(re.search(r"^failed: .*; an upload of 40 MB: 507; then done, ok$", text))


def attack_all(target: Target, attacks: list[Attack]) -> dict[str, tuple[str, bool]]:
    """Try everything on one server; returns what became of each, and whether it should."""
    results = {}
    for attack in attacks:
        start = time.monotonic()
        try:
            text = attack.run(target)
        except (OSError, KeyError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
        health = target.health()
        is_right = bool(re.search(attack.expected, text, re.DOTALL)) and health == "ok"
        results[attack.name] = (text if health == "ok" else f"{text}; health: {health}", is_right)
        print(
            f"{time.monotonic() - start:6.1f} s  "
            f"{'' if is_right else 'WRONG '}{attack.name}: {text[:300]}",
            flush=True,
        )
    return results


def afterwards(target: Target) -> dict[str, tuple[str, bool]]:
    """Whether the server answers and works through a queue."""
    start = time.monotonic()
    urls = [
        target.submit("shout", {"times": "2"}, {"text": ("a.txt", b"hello")}).json["url"]
        for _ in range(HONEST)
    ]
    done = [target.outcome(url) for url in urls].count("done")
    family = target.compress(files.pictures(40))
    seconds = time.monotonic() - start
    states = target.ask("GET", "/healthz").json
    memory = target.memory()
    modes = {
        path.name
        for path in target.folder.iterdir()
        if path.name != "go" and stat.S_IMODE(path.stat().st_mode) & 0o077
    }
    target.end()
    left = len(processes_of(target.folder))
    log = target.log.read_text()
    traces = log.count("Traceback")
    if traces:
        print(log[log.index("Traceback") :][:_LONGEST_TRACE])
    return {
        "honest jobs after it all": (
            f"{done} of {HONEST} done, a family {family}, {seconds:.0f} s",
            done == HONEST and family == "done",
        ),
        "what the server says": (json.dumps(states), states.get("status") == "ok"),
        "memory of the server, MB": (str(memory), memory < 300),
        "starts, all by this script": (str(target.starts), target.starts <= 3),
        "traces in its log": (str(traces), traces == 0),
        "processes left at its end": (str(left), left == 0),
        "readable by others": (", ".join(sorted(modes)) or "nothing", not modes),
    }


def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is so, but not for ever."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def _status(connection: socket.socket) -> str:
    """The status of an answer, or "closed"."""
    with contextlib.suppress(OSError):
        words = connection.recv(4096).split()
        return words[1].decode() if len(words) > 1 else "closed"
    return "closed"


def main() -> None:
    """Attack both, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="attacks whose names hold this")
    parser.add_argument("--without-postgresql", action="store_true")
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda _number, _frame: sys.exit(143)
    )  # servers and databases end with it
    attacks = [attack for attack in ATTACKS if options.only in attack.name]
    limits = {"running": 2, "memory_bytes": 6 << 30, "job_bytes": 100_000_000, "seconds": PATIENCE}
    columns: dict[str, dict[str, tuple[str, bool]]] = {}
    with ExitStack() as stack:
        databases: dict[str, Callable[[], str | None]] = {"SQLite": lambda: None}
        if problem := "" if options.without_postgresql else missing():
            print(problem)
        elif not options.without_postgresql:
            databases["PostgreSQL"] = stack.enter_context(private_postgres())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handheld-hostile-")))
        for name, new_database in databases.items():
            print(f"--- {name}")
            target = Target(scratch / name, new_database(), limits)
            target.start()
            stack.callback(target.kill)
            columns[name] = attack_all(target, attacks)
            if not options.only:
                columns[name]["a job fills the server's disk"] = full_disk(new_database())
            columns[name] |= afterwards(target)
    _report(columns, is_whole=not (options.only or options.without_postgresql))


def _report(columns: dict[str, dict[str, tuple[str, bool]]], *, is_whole: bool) -> None:
    headings = {attack.name: attack.heading for attack in ATTACKS} | {
        "a job fills the server's disk": "6"
    }
    rows = []
    for name in next(iter(columns.values())):
        outcomes = {database: _shown(results[name][0]) for database, results in columns.items()}
        is_right = all(results[name][1] for results in columns.values())
        rows.append(
            {"heading": headings.get(name, "after"), "attack": name}
            | outcomes
            | {"as it should": "yes" if is_right else "NO"}
        )
    show("hostile uploads", rows)
    if is_whole:
        write("hostile_uploads", rows)
    wrong = [row["attack"] for row in rows if row["as it should"] == "NO"]
    print(
        f"{len(rows) - len(wrong)} of {len(rows)} as they should be"
        + (f"; not: {', '.join(wrong)}" if wrong else "")
    )
    sys.exit(bool(wrong))


def _shown(text: str) -> str:
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) < 160 else f"{line[:150]} ... ({len(text):,} letters)"


if __name__ == "__main__":
    main()
