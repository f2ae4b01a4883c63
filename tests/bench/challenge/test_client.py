"""A contestant's side, and the commands of host and contestants."""

import http.server
import json
import threading
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from handheld.bench.challenge.client import ChallengeClient
from handheld.cli.app import app
from handheld.errors import FetchError, InputError

RUNNER = CliRunner()


def call(*words, **options):
    return RUNNER.invoke(app, ["bench", *map(str, words)], **options)


@contextmanager
def answering(status, body, **headers):
    """Run a server that gives one answer to everything; yield its address and what it heard."""
    heard = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://host", "file:///etc/passwd", "http://"]
)
def test_an_address_that_is_none(url):
    with pytest.raises(InputError, match="--url: expected an address"):
        ChallengeClient(url)


@pytest.mark.parametrize("token", ["two words", "a\r\nX-Evil: 1", "tökën"])
def test_a_token_that_is_none(token):
    with pytest.raises(InputError, match="--token: expected letters"):
        ChallengeClient("http://127.0.0.1", token)


def test_a_token_goes_nowhere_else():
    with answering(200, b"{}") as (elsewhere, heard):
        with answering(302, b"", Location=f"{elsewhere}/teams") as (address, _):
            client = ChallengeClient(address, "a-secret-token")
            with pytest.raises(InputError, match="status 302"):
                client.register("Alpha")
        assert heard == []


def test_a_server_that_is_away():
    with pytest.raises(FetchError, match="does not answer"):
        ChallengeClient("http://127.0.0.1:9").register("Alpha")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>busy</html>", "status 503: <html>busy"),
        (b'{"error": "full"}', "full"),
        (b"", "503"),
    ],
)
def test_a_server_that_refuses(body, words):
    with answering(503, body) as (address, _), pytest.raises(InputError, match=words):
        ChallengeClient(address).register("Alpha")


def test_a_server_that_is_silent_for_a_moment_is_asked_again():
    waits = []
    client = ChallengeClient("http://127.0.0.1:9")
    with pytest.raises(FetchError):
        list(client.follow("/submissions/x", sleep=waits.append))
    assert len(waits) == 30


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_server_that_does_not_know_the_submission_is_not_asked_for_ever(status):
    with answering(status, b'{"error": "there is no such submission here"}') as (address, _):
        client = ChallengeClient(address)
        with pytest.raises(InputError, match="there is no such submission here"):
            list(client.follow("/submissions/x", sleep=lambda _seconds: None))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_in_trouble_is_asked_again_for_a_while(status):
    waits = []
    with answering(status, b"") as (address, _):
        client = ChallengeClient(address)
        with pytest.raises(FetchError, match=f"status {status}"):
            list(client.follow("/submissions/x", sleep=waits.append))
    assert len(waits) == 30


def test_http_beyond_this_machine_is_known_to_be_open():
    assert ChallengeClient("http://challenge.example").is_open
    assert not ChallengeClient("https://challenge.example").is_open
    assert not ChallengeClient("http://127.0.0.1:8080").is_open


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        ChallengeClient("http://127.0.0.1:9").submit(tmp_path / "none.tflite", "net")


def test_from_init_to_the_log(tmp_path, challenge, start):
    done = call("init", tmp_path / "mine", "--json", "-")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["samples"]) == 6
    again = call("init", tmp_path / "mine")
    assert isinstance(again.exception, InputError)

    address, _ = start(challenge)
    done = call("register", "Alpha", "--url", address)
    assert done.exit_code == 0, done.output
    token = done.stdout.strip()
    sample = challenge.root / "samples" / "linear.tflite"
    environment = {"HANDHELD_TOKEN": token}
    done = call("submit", sample, "--url", address, "--json", "-", env=environment)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["state"] == "done"

    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model")
    done = call("submit", bad, "--url", address, env=environment)
    assert done.exit_code == 1
    assert "not accepted: format: the model (8 bytes)" in done.stdout

    done = call("renew-token", challenge.root, "alpha")
    assert done.stdout.strip() not in ("", token)
    assert call("close", challenge.root).exit_code == 0
    done = call("submit", sample, "--url", address, "--no-wait", env=environment)
    assert isinstance(done.exception, InputError)
    done = call("log", challenge.root, "--json", "-")
    actions = [entry["action"] for entry in json.loads(done.stdout)]
    assert actions[:6] == ["register", "submit", "measure", "submit", "measure", "renew token"]
    assert "close" in actions


@pytest.mark.parametrize("command", ["serve", "close", "log"])
def test_a_folder_without_a_challenge(tmp_path, command):
    done = call(command, tmp_path)
    assert isinstance(done.exception, InputError)
    assert "challenge.toml" in str(done.exception)


def test_a_device_that_the_rules_do_not_know(challenge):
    done = call("work", challenge.root, "--device", "toaster")
    assert "expected one of reference" in str(done.exception)
