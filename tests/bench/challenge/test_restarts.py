"""Servers and workers that are killed: nothing is lost, and nothing counts twice."""

import http.client
import json
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

import numpy as np
import pytest

from handheld.bench.challenge.client import ChallengeClient
from handheld.bench.challenge.hosting import opened_store
from handheld.bench.challenge.starter import linear_model
from handheld.errors import FetchError

REGISTRATION = b"POST /teams HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"


def models(count):
    """Return files that differ in one number each."""
    files = []
    for number in range(count):
        weights = np.zeros((4, 768), np.float32)
        files.append(linear_model(weights, np.array([number, 0, 0, 0], np.float32)))
    return files


def submit_all(address, token, paths):
    """Submit each file until the server says that it has it."""
    client = ChallengeClient(address, token)
    for path in paths:
        while True:
            try:
                client.submit(path, path.stem)
                break
            except FetchError:  # it is being started again
                threading.Event().wait(0.1)
            except Exception as error:
                # It had taken it in before it died.
                if "already" not in str(error):
                    raise
                break


@pytest.fixture
def paths(tmp_path):
    made = []
    for number, content in enumerate(models(12)):
        path = tmp_path / f"net{number}.tflite"
        path.write_bytes(content)
        made.append(path)
    return made


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def test_a_server_that_is_killed_five_times_measures_each_once(
    challenge, start, until, paths, database_url, with_rules
):
    challenge = with_rules(challenge, waiting=100, submissions_per_day=100)
    options = {"port": free_port(), "database": database_url, "lease": 1.0}
    address, process = start(challenge, **options)
    tokens = [ChallengeClient(address).register(f"team {n}")["token"] for n in range(3)]
    threads = []
    for number, token in enumerate(tokens):
        mine = paths[number::3]
        threads.append(threading.Thread(target=submit_all, args=(address, token, mine)))
    for thread in threads:
        thread.start()
    with opened_store(challenge, database_url) as store:
        for measured in (1, 2, 4, 6, 8):
            until(lambda count=measured: len(store.measurements("done")) >= count)
            process.kill()
            process.wait()
            address, process = start(challenge, **options)
        for thread in threads:
            thread.join()
        until(lambda: len(store.measurements("done")) == 12, seconds=120)
        assert {sent.state for sent in store.all_submissions()} == {"done"}
        numbers = {(sent.team, sent.number) for sent in store.all_submissions()}
        assert numbers == {(team, number) for team in (1, 2, 3) for number in (1, 2, 3, 4)}
        taken_in = [entry for entry in store.audit_log() if entry["action"] == "measure"]
    assert len(taken_in) == len({entry["subject"] for entry in taken_in}) == 12


def test_workers_on_two_devices_one_of_which_is_killed(
    challenge, start, until, paths, database_url, with_rules
):
    devices = '[[devices]]\nname = "phone"\n'
    path = challenge.root / "challenge.toml"
    path.write_text(path.read_text("utf-8") + devices, "utf-8")
    challenge = with_rules(challenge)
    address, _ = start(challenge, database=database_url, devices=[], lease=1.0)
    client = ChallengeClient(address, ChallengeClient(address).register("Alpha")["token"])
    for path in paths[:2]:
        client.submit(path, path.stem)
    start(challenge, worker="reference", database=database_url, lease=1.0)
    _, killed = start(challenge, worker="phone", database=database_url, lease=1.0)
    with opened_store(challenge, database_url) as store:
        until(lambda: store.measurements("done"))
        killed.kill()
        killed.wait()
        start(challenge, worker="phone", database=database_url, lease=1.0)
        until(lambda: len(store.measurements("done")) == 4)
        devices = sorted(row.key.device for row in store.measurements("done"))
        assert devices == ["phone", "phone", "reference", "reference"]
        assert {sent.state for sent in store.all_submissions()} == {"done"}
    with urllib.request.urlopen(f"{address}/board.json?device=phone") as answer:
        assert json.loads(answer.read())["entries"][0]["device"] == "phone"


def test_silent_connections_block_nobody(challenge, start, paths):
    address, _ = start(challenge, devices=[])
    token = ChallengeClient(address).register("Alpha")["token"]
    parts = urlsplit(address)
    head = (
        b"POST /submissions HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="model"'
    )
    silent = [socket.create_connection((parts.hostname, parts.port)) for _ in range(40)]
    try:
        for connection in silent[:30]:
            connection.sendall(head)
        for connection in silent[30:]:
            connection.sendall(
                b"POST /teams HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
            )
        answer = ChallengeClient(address, token).submit(paths[0], "net")
        assert answer["url"].startswith("/submissions/")
    finally:
        for connection in silent:
            connection.close()


def test_an_upload_that_falls_silent_is_ended(challenge, start):
    address, _ = start(challenge, devices=[], patience=0.5)
    token = ChallengeClient(address).register("Alpha")["token"]
    parts = urlsplit(address)
    head = (
        f"POST /submissions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="model"; filename="m.tflite"\r\n\r\nTFL3'
    ).encode()
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.settimeout(20)
        connection.sendall(head)
        assert b" 408 " in connection.recv(1000)
    assert list((challenge.state / "jobs").iterdir()) == []


def test_a_gigabyte_that_was_not_announced_is_ended(challenge, start, with_rules):
    challenge = with_rules(challenge, model_bytes=1_000_000)
    address, _ = start(challenge, devices=[])
    token = ChallengeClient(address).register("Alpha")["token"]

    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "multipart/form-data; boundary=b",
    }
    status = 413
    try:
        connection.request("POST", "/submissions", gigabyte(), headers, encode_chunked=True)
        status = connection.getresponse().status
    except ConnectionError:
        pass  # it closes while more is being sent
    finally:
        connection.close()
    assert status == 413
    assert list((challenge.state / "jobs").iterdir()) == []


def gigabyte():
    yield b'--b\r\nContent-Disposition: form-data; name="model"; filename="m.tflite"\r\n\r\n'
    for _ in range(1000):
        yield bytes(1_000_000)
