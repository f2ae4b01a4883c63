"""Real servers on loopback ports, one of which is killed."""

import http.client
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from handheld.errors import InputError
from handheld.service.server import _listen, run_app


def job_of(server, url):
    return server.ask("GET", url).json


def test_a_job_survives_the_death_of_its_server(start_server, until, tmp_path, database_url):
    given = {"folder": tmp_path / "server", "database": database_url, "limits": {"attempts": 2}}
    first = start_server("count", **given)
    url = first.submit("count").json["url"]
    until(lambda: job_of(first, url)["message"] == "counted to 31")
    first.end("kill")
    second = start_server("count", **given)
    assert job_of(second, url)["state"] in ("running", "queued")
    until(lambda: len(starts(tmp_path)) == 2)
    work(tmp_path, "go").touch()
    job = until(lambda: (job := job_of(second, url))["state"] == "done" and job)
    counted = second.ask("GET", job["files"][0]["url"]).body.split()
    assert starts(tmp_path) == ["0", "31"], "it went on where it was"
    assert counted == [str(number).encode() for number in range(100)]


def work(tmp_path, name):
    (folder,) = (tmp_path / "server" / "jobs").iterdir()
    return folder / "work" / name


def starts(tmp_path):
    return work(tmp_path, "starts").read_text().split()


def test_an_orderly_stop_puts_its_job_back_and_lets_followers_go(start_server, until, tmp_path):
    first = start_server("count")
    url = first.submit("count").json["url"]
    until(lambda: job_of(first, url)["message"] == "counted to 31")
    address = urlsplit(first.url)
    with socket.create_connection((address.hostname, address.port)) as follower:
        follower.sendall(f"GET {url}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        follower.settimeout(20)
        received = b""
        while b"counted to 31" not in received:
            received += follower.recv(4096)
        first.end()
        assert first.process.returncode in (0, -15)
        while part := follower.recv(4096):
            received += part
    assert received.count(b"data: ") == 1
    second = start_server("count")
    work(tmp_path, "go").touch()
    until(lambda: job_of(second, url)["state"] == "done")
    assert starts(tmp_path) == ["0", "31"]


def test_a_job_without_mark_and_keeper_leaves_nothing(start_server, until, tmp_path):
    """It throws its environment away and kills what watches over it: the server has adopted what it
    left.
    """
    server = start_server("ghost", "count", limits={"running": 2})
    other = server.submit("count").json["url"]
    until(lambda: job_of(server, other)["message"] == "counted to 31")
    url = server.submit("ghost").json["url"]
    job = until(lambda: (job := job_of(server, url))["state"] == "failed" and job)
    assert "ended by SIGKILL" in job["error"]
    (escaped,) = (tmp_path / "server" / "jobs").glob("*/work/escaped")
    until(lambda: not Path("/proc", escaped.read_text()).exists())
    assert job_of(server, other)["state"] == "running", "another job's keeper is no stray"
    work_of = next(
        folder
        for folder in (tmp_path / "server" / "jobs").iterdir()
        if (folder / "work" / "steps").exists()
    )
    (work_of / "work" / "go").touch()
    until(lambda: job_of(server, other)["state"] == "done")


def test_two_servers_share_the_jobs_of_a_database(start_server, until, tmp_path, postgres):
    given = {
        "folder": tmp_path / "server",
        "database": postgres(),
        "limits": {"running": 2, "lease_seconds": 30},
    }
    servers = [start_server("count", **given) for _ in range(2)]
    go = str(tmp_path / "go")
    urls = [servers[number % 2].submit("count", {"go": go}).json["url"] for number in range(6)]
    until(lambda: [job_of(servers[0], url)["state"] for url in urls].count("running") == 4)
    (tmp_path / "go").touch()
    until(lambda: all(job_of(servers[1], url)["state"] == "done" for url in urls))
    begun = [
        (folder / "work" / "starts").read_text()
        for folder in (tmp_path / "server" / "jobs").iterdir()
    ]
    assert begun == ["0\n"] * 6, "each was run once, from the start"


def test_an_upload_is_not_kept_in_memory_nor_beyond_its_limit(start_server, tmp_path):
    server = start_server("shout", limits={"upload_bytes": 50_000_000})
    peak = memory(server)
    answer = server.submit("shout", files={"text": ("a.txt", bytes(40_000_000))})
    assert answer.status == 201
    assert memory(server) - peak < 20_000_000
    for headers in ({}, {"Transfer-Encoding": "chunked"}):
        assert send_too_much(server, headers) == 413
    assert len(list((tmp_path / "server" / "jobs").iterdir())) == 1


HEAD = (
    "POST /jobs?kind=shout HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
    "boundary=b\r\n"
)
SILENT = {
    "an upload": HEAD + "Content-Length: 1000\r\n\r\n--b\r\n",
    "half a head": HEAD,
    "nothing at all": "",
    "half a second head": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT",
}


@pytest.mark.parametrize("sent", SILENT.values(), ids=SILENT)
def test_whoever_is_silent_is_let_go(tmp_path, sent, start_server):
    server = start_server("shout", patience=0.5)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(sent.encode())
        connection.settimeout(30)
        answer = connection.recv(4096)
        while part := connection.recv(4096):
            answer += part
    assert answer == b"" or answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 200 "))
    assert server.ask("GET", "/healthz").status == 200
    assert list((tmp_path / "server" / "jobs").iterdir()) == []


def send_for(connection, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection.sendall(bytes(1 << 16))


ENDLESS = {
    "an upload that is too large": HEAD,
    "to an address that is none": "POST /nowhere HTTP/1.1\r\nHost: localhost\r\n",
    "of another site": "POST /jobs HTTP/1.1\r\nHost: example.org\r\n",
}


@pytest.mark.parametrize("head", ENDLESS.values(), ids=ENDLESS)
def test_whoever_goes_on_sending_after_the_answer_is_let_go(head, start_server):
    """It took a terabyte at a gigabyte a second, for a minute."""
    server = start_server("shout", unread=0.2)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), 30) as connection:
        connection.sendall(f"{head}Content-Length: {10**12}\r\n\r\n".encode())
        answer = connection.recv(4096)
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            send_for(connection, 30)  # seconds, before the minute
    assert answer.startswith(b"HTTP/1.1 4")
    assert server.ask("GET", "/healthz").status == 200


def test_a_client_that_hangs_up_leaves_no_trace(tmp_path, until, start_server):
    server = start_server("shout", stderr=tmp_path / "errors")
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(SILENT["an upload"].encode())
        until(lambda: list((tmp_path / "server" / "jobs").iterdir()))
    until(lambda: not list((tmp_path / "server" / "jobs").iterdir()))
    assert server.ask("GET", "/healthz").status == 200
    assert (tmp_path / "errors").read_text() == ""


def test_what_the_server_keeps_is_its_owners_alone(tmp_path, start_server):
    start_server("count").submit("count")
    kept = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "server").iterdir()}
    assert {"jobs", "jobs.sqlite"} <= kept.keys()
    assert set(kept.values()) == {0}


def memory(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def send_too_much(server, headers):
    """Send 60 MB in pieces, with its length said before or not."""
    head = b'--b\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\n'
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    sent = {"Content-Type": "multipart/form-data; boundary=b"} | headers
    if not headers:
        sent["Content-Length"] = str(len(head) + 60_000_000)
    try:
        parts = (head, *(bytes(1_000_000) for _ in range(60)))
        connection.request(
            "POST", "/jobs?kind=shout", body=iter(parts), headers=sent, encode_chunked=bool(headers)
        )
        with connection.getresponse() as answer:
            assert "at most 50000000 bytes" in json.loads(answer.read())["error"]
            return answer.status
    finally:
        connection.close()


def test_an_upload_that_breaks_off_is_removed(start_server, until, tmp_path):
    server = start_server("shout")
    address, folder = urlsplit(server.url), tmp_path / "server" / "jobs"
    with socket.create_connection((address.hostname, address.port)) as sender:
        head = (
            b'--b\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\n'
            + bytes(100_000)
        )
        sender.sendall(
            b"POST /jobs?kind=shout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + head
        )
        until(lambda: any(folder.glob("*/upload/text.txt")))
    until(lambda: not any(folder.iterdir()))


@pytest.mark.parametrize(("content", "state"), [("good", "done"), ("hostile", "failed")])
def test_archives_reach_the_job(start_server, until, content, state):
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("a.txt" if content == "good" else "../../../../result/a.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    server = start_server("archive")
    url = server.submit("archive", files={"data": ("d.tar.gz", buffer.getvalue())}).json["url"]
    job = until(lambda: (job := job_of(server, url))["state"] in ("done", "failed") and job)
    assert job["state"] == state
    assert (job["error"] is None) == (state == "done")
    assert state == "done" or "leads out of it ('..'); nothing was unpacked" in job["error"]


@pytest.mark.parametrize("port", [-1, 65536, 8080.0])
def test_a_port_that_cannot_be_is_named(port):
    with pytest.raises(InputError) as caught:
        run_app(None, port=port)
    assert str(caught.value) == f"port: expected a whole number in [0, 65535], got {port!r}"


def test_answers_wait_for_no_acknowledgement():
    """Else each answer on a kept connection takes 40 ms: its body waits until its head is
    acknowledged.
    """
    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
