"""Devices that learn in a federation: real examples, real networks, a real server over TLS."""

import re
import socket
import threading

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from handheld.errors import FetchError, InputError
from handheld.federated.device import ExampleStore, Personalisation
from handheld.federated.device.config import read
from handheld.federated.rounds import FederationState
from handheld.federated.tasks import training

TOKEN = "a token to enrol"
CENTRES = np.random.default_rng(5).normal(size=(3, 6)) * 2
OPTIONS = """
shape = [6]
classes = 3
model = { network = "linear" }
work = { epochs = 3, batch = 5, rate = 0.2 }
seed = 2
"""
SECURE = 'stages = [{ name = "clip", length = 2.0 }, { name = "whole_numbers", clients = 16 }]\n'
TASK = """
[[tasks]]
task = "handheld.federated.tasks:{kind}"
goal = 3
over_selection = 1.0
selection_seconds = 3.0
report_seconds = 20.0
{more}
[tasks.options]
name = "{name}"
{options}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def examples(seed, count=20):
    rng = np.random.default_rng(seed)
    targets = rng.integers(3, size=count)
    return (CENTRES[targets] + rng.normal(size=(count, 6))).astype(np.float32), targets


@pytest.fixture
def learning(federation, tmp_path):
    """Write a federation that trains, secure or plain, and evaluates."""

    def write(port, stages=SECURE, more=""):
        folder = federation(server={"port": port})
        text = (folder / "federation.toml").read_text()
        text = text[: text.index("[[tasks]]")]
        options = OPTIONS + stages
        text += TASK.format(kind="training", name="points", options=options, more=more)
        text += TASK.format(
            kind="evaluation", name="points-eval", options=options, more='model_of = "points"'
        )
        (folder / "federation.toml").write_text(text)
        return folder

    return write


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """Make devices with examples of their own."""
    monkeypatch.setenv("HANDHELD_ENROLMENT_TOKEN", TOKEN)

    everyone = []

    def make(server, count=3, *, tasks=("points", "points-eval"), demands=""):
        made = []
        for number in range(count):
            folder = tmp_path / f"device{number}"
            store = ExampleStore(folder / "examples.sqlite")
            for value, target in zip(*examples(number), strict=True):
                store.add(value, int(target))
            authority = server.folder / "certificates" / "authority.pem"
            text = f'server = "{server.url}"\nauthority = "{authority}"\n'
            text += f"[demands]\n{demands}\n"
            for name in tasks:
                text += f'[[tasks]]\nname = "{name}"\nexamples = "examples.sqlite"\n'
                text += 'shape = [6]\nclasses = 3\nmodel = { network = "linear" }\n'
            (folder / "device.toml").write_text(text)
            made.append(read(folder / "device.toml").client())
        everyone.extend(made)
        return made

    yield make
    for client in everyone:
        client.close()


def run(clients, until, seconds=60):
    """Let devices take turns in threads until a condition holds."""
    stop = threading.Event()
    turns = []
    threads = [
        threading.Thread(target=client.run, args=(stop,), kwargs={"progress": turns.append})
        for client in clients
    ]
    for thread in threads:
        thread.start()
    try:
        return until(), turns
    finally:
        stop.set()
        for thread in threads:
            thread.join(seconds)


def head_state(ours, task="points"):
    commit = ours.ledger.head(task)
    return FederationState.from_bytes(ours.blobs.get(commit.state_blob), 1 << 20)


def accuracy(weights):
    inputs, targets = examples(99, 300)
    matrix, bias = weights[:18].reshape(3, 6), weights[18:]
    return float((np.argmax(inputs @ matrix.T + bias, axis=1) == targets).mean())


def test_devices_learn_and_the_server_sees_sums_alone(learning, start, devices, book):
    server = start(learning(free_port()))
    ours = book(server.folder)

    def learned():
        evaluated = ours.ledger.head("points-eval")
        return head_state(ours).server.round >= 4 and evaluated and evaluated.number >= 1

    _, turns = run(devices(server), lambda: ours.until(learned, 60))
    assert accuracy(head_state(ours).server.weights) > 0.9
    assert any(turn.counted for turn in turns)
    committed = [line for line in server.log() if line["event"] == "round committed"]
    figures = [line["figure_test_accuracy"] for line in committed if "figure_test_accuracy" in line]
    assert 0 <= min(figures) <= max(figures) <= 1
    # Whatever the server keeps and says, no update is in it.
    kept = [path for path in (server.folder / "blobs").rglob("*") if path.is_file()]
    assert not any("upload" in path.name for path in kept)


def test_a_killed_server_loses_no_committed_round(learning, start, devices, book):
    port = free_port()
    folder = learning(port)
    server = start(folder, port)
    ours = book(folder)
    clients = devices(server)

    def three_times():
        nonlocal server
        rounds = []
        for _ in range(3):
            before = head_state(ours).server.round
            ours.until(lambda before=before: head_state(ours).server.round > before, 60)
            server.kill()
            rounds.append(head_state(ours).server.round)
            server = start(folder, port)
        last = rounds[-1]
        ours.until(lambda: head_state(ours).server.round > last, 90)
        return rounds

    rounds, _ = run(clients, three_times)
    assert rounds == sorted(rounds)
    assert head_state(ours).server.round > rounds[-1]
    assert accuracy(head_state(ours).server.weights) > 0.8


def test_a_plain_task_is_refused_by_devices_that_demand_sums(learning, start, devices, book):
    server = start(learning(free_port(), stages=""))
    client = devices(server, 1)[0]
    others = devices(server, 3, demands="secure = false")
    ours = book(server.folder)

    def refused():
        problems = []
        while not problems:
            try:
                client.take_turn()
            except InputError as error:
                problems.append(str(error))
        return problems

    (problems, _) = run(others[1:], refused)
    assert re.search("expected secure aggregation", problems[0])
    assert ours.ledger.head("points") is not None


def test_a_plain_federation_learns_where_devices_allow_it(learning, start, devices, book):
    stages = 'stages = [{ name = "compressed", encoder = { name = "eden", bits = 4 } }]\n'
    server = start(learning(free_port(), stages=stages))
    ours = book(server.folder)
    clients = devices(server, demands="secure = false", tasks=("points",))
    run(clients, lambda: ours.until(lambda: head_state(ours).server.round >= 4, 60))
    assert accuracy(head_state(ours).server.weights) > 0.9


def test_a_device_demands_more_clients_than_there_are(learning, start, devices, book):
    server = start(learning(free_port()))
    ours = book(server.folder)
    clients = devices(server, demands="least_clients = 4", tasks=("points",))
    _, turns = run(clients, lambda: ours.until(lambda: _abandoned(server), 60))
    assert ours.ledger.head("points").number == 0
    assert not any(turn.counted for turn in turns)


def _abandoned(server):
    return any(line["event"] == "round abandoned" for line in server.log())


def test_a_device_keeps_to_the_server_that_it_knows(learning, start, devices):
    port = free_port()
    folder = learning(port)
    server = start(folder, port)
    client = devices(server, 1)[0]
    client.take_turn()
    server.end()
    # Somebody else, with a certificate that is vouched for.
    (folder / "signing.key").unlink()
    (folder / "federation.sqlite").unlink()
    other = start(folder, port)
    again = read(folder.parent / "device0" / "device.toml").client()
    with pytest.raises(FetchError, match="expected the server"):
        again.take_turn()
    again.close()
    assert other.process.poll() is None


def test_a_users_own_model_is_fitted_after_a_training(learning, start, devices, book):
    server = start(learning(free_port()))
    ours = book(server.folder)
    clients = devices(server, tasks=("points",))
    fitted = []
    for client in clients:
        # Kept only where it is better for the user, which is another matter.
        client._personalisation = Personalisation(folds=2)
        client._devices["points"].personalise = lambda weights, *rest, **more: fitted.append(
            weights
        )
    run(clients, lambda: ours.until(lambda: head_state(ours).server.round >= 2, 60))
    assert len(fitted) >= 3
    assert fitted[0].shape == (21,)


def test_a_device_in_use_is_left_alone(learning, start, devices):
    from handheld.federated.device import DeviceSituation, LearningGate

    class InUse:
        def read(self):
            return DeviceSituation(idle=False, charging=True, unmetered=True)

    server = start(learning(free_port()))
    client = devices(server, 1)[0]
    for device in client._devices.values():
        device.gate = LearningGate(InUse())
    turn = client.take_turn()
    assert turn.reason == "not idle"
    assert not turn.task


def test_the_first_model_is_the_same_in_each_process_of_the_server():
    options = {"name": "a", "shape": [6], "classes": 3, "model": {"network": "linear"}}
    assert training(**options).start() == training(**options).start()
