"""The agent, as a client that is none of ours meets it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from handheld.bench.devices import agent
from handheld.bench.devices.messages import line_of, message_of

SOURCE = Path(agent.__file__).parents[3]
CONTENT = b"some bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PUT = line_of({"put": SHA256, "size": len(CONTENT)}) + CONTENT


@pytest.fixture
def start(tmp_path):
    """Start an agent in a process of its own."""
    there = tmp_path / "there"
    there.mkdir()
    processes = []

    def begin():
        environment = os.environ | {"TMPDIR": str(there), "PYTHONPATH": str(SOURCE)}
        process = subprocess.Popen(
            [sys.executable, "-m", "handheld.cli", "bench", "agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        processes.append(process)
        assert "hello" in message_of(process.stdout.readline())
        return process

    begin.folder = there
    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def ended(process, said):
    """What the agent answers to all that a client says."""
    output, errors = process.communicate(said, timeout=60)
    assert b"Traceback" not in errors
    return [message_of(line + b"\n") for line in output.splitlines()]


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "", ".", "..", "a\0b", "x" * 5000, 5, None, ["a"]],
)
def test_names_that_lead_elsewhere(start, name):
    (answer,) = ended(start(), PUT + line_of({"link": name, "sha256": SHA256}))
    assert "the client sent" in answer["failed"]
    assert answer["ended"] is True
    assert list(start.folder.iterdir()) == []


@pytest.mark.parametrize("sha256", ["", "../../x", "0" * 63, "G" * 64, 1, None])
def test_hashes_that_are_none(start, sha256):
    (answer,) = ended(start(), line_of({"put": sha256, "size": 0}))
    assert "a hash that is none" in answer["failed"]


def test_other_bytes_than_were_promised(start):
    (answer,) = ended(start(), line_of({"put": "0" * 64, "size": len(CONTENT)}) + CONTENT)
    assert "with other bytes" in answer["failed"]


@pytest.mark.parametrize("size", [-1, agent.MAX_BYTES + 1, "10", 1.5, None, 10**30])
def test_sizes_that_are_not_taken(start, size):
    (answer,) = ended(start(), line_of({"put": SHA256, "size": size}))
    assert "are not taken" in answer["failed"]


@pytest.mark.parametrize("words", [b"\n", b"what\n", line_of({}), line_of({"run": "ls"})])
def test_words_that_no_client_says(start, words):
    (answer,) = ended(start(), words)
    assert answer["ended"] is True
    assert list(start.folder.iterdir()) == []


def test_a_file_that_does_not_come(start):
    assert ended(start(), line_of({"link": "a", "sha256": SHA256}))[0]["failed"]


def test_it_ends_in_the_middle_of_a_file(start):
    assert ended(start(), PUT[:-3]) == []
    assert list(start.folder.iterdir()) == []


def test_a_run_of_what_is_no_model(start):
    said = PUT + line_of({"link": "models/a.tflite", "sha256": SHA256})
    process = start()
    process.stdin.write(said + line_of({"run": ["--", "models/a.tflite"]}))
    process.stdin.flush()
    answer = message_of(process.stdout.readline())
    while "alive" in answer:
        answer = message_of(process.stdout.readline())
    assert "models/a.tflite" in answer["failed"]
    # It goes on with the next one.
    assert ended(process, b"") == []
    assert list(start.folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_leaves_nothing(start, number):
    process = start()
    process.stdin.write(PUT)
    process.stdin.flush()
    process.send_signal(number)
    process.wait(60)
    assert list(start.folder.iterdir()) == []


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(agent._Agent, "_receive", full)
    source, client = os.pipe()
    heard, sink = os.pipe()
    os.write(client, PUT)
    os.close(client)
    agent.serve(source, sink)
    os.close(sink)
    with os.fdopen(heard, "rb") as file:
        _, last = file.read().splitlines()
    os.close(source)
    assert message_of(last + b"\n")["failed"] == "its disk is full"


def test_messages_are_lines():
    assert message_of(line_of({"a": "\n é"})) == {"a": "\n é"}
    assert line_of({"a": "\n"}).count(b"\n") == 1
    assert message_of(b"Welcome!\n") is None
    assert json.loads(line_of({"a": 1}).partition(b" ")[2]) == {"a": 1}
