"""A device's connection: it tries again, and does not trust."""

import http.server
import threading

import pytest

from handheld.errors import FetchError, InputError
from handheld.federated.wire.connection import ConnectionPatience, FederationConnection


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the test says."""

    protocol_version = "HTTP/1.1"
    answers = ()

    def do_GET(self):
        status, content = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def serve():
    """Serve some answers; return the address."""
    servers = []

    def begin(*answers):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.answers = list(answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connect():
    connections = []

    def begin(url, **options):
        connections.append(FederationConnection(url, **options))
        return connections[-1]

    yield begin
    for connection in connections:
        connection.close()


def test_a_server_that_is_away_for_a_moment(serve, connect):
    pauses = []
    patience = ConnectionPatience(attempts=4, pause=1.0, longest_pause=3.0)
    url = serve((503, b""), (502, b""), (503, b""), (200, b"here"))
    connection = connect(url, patience=patience, sleep=pauses.append)
    assert connection.ask("GET", "/", most_bytes=10).content == b"here"
    # 1, 2 and 3 seconds, of which at least half.
    for pause, longest in zip(pauses, (1.0, 2.0, 3.0), strict=True):
        assert longest / 2 <= pause <= longest
    assert connection.received == 4


def test_a_server_that_stays_away(connect):
    pauses = []
    connection = connect(
        "http://127.0.0.1:9", patience=ConnectionPatience(attempts=3), sleep=pauses.append
    )
    with pytest.raises(FetchError, match="no answer after 3 tries"):
        connection.ask("GET", "/", most_bytes=10)
    assert len(pauses) == 2


def test_an_answer_is_as_long_as_it_may_be(serve, connect):
    connection = connect(serve((200, bytes(11)), (200, bytes(10))))
    with pytest.raises(FetchError, match="an answer of 10 bytes at most"):
        connection.ask("GET", "/", most_bytes=10)
    assert connection.ask("GET", "/", most_bytes=10).content == bytes(10)


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "example.com", "http://example.com", "https://", ""]
)
def test_addresses_that_are_not_spoken_to(url):
    with pytest.raises(InputError, match="expected an https:// address"):
        FederationConnection(url)


def test_files_that_are_no_certificates(tmp_path):
    path = tmp_path / "nothing.pem"
    with pytest.raises(InputError, match="no certificate"):
        FederationConnection("https://localhost", authority=path)
    path.write_text("nonsense")
    with pytest.raises(InputError, match="no certificate"):
        FederationConnection("https://localhost", authority=path)


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:99999",
        "https://localhost:abc",
        "https://[::1",
        "https://localhost/federation",
        "https://name:word@localhost",
        "https://localhost?a=b",
    ],
)
def test_addresses_that_cannot_be_asked(url):
    with pytest.raises(InputError, match="expected"):
        FederationConnection(url)
