"""Servers that are killed at any moment: no committed round is lost, and none counts twice."""

import itertools
import json
import random
import threading
import time
from functools import partial

import pytest
from federations import QUICK, free_port

from handheld.errors import FetchError, InputError
from handheld.federated.wire.messages import RoundOutcome

PHASES = ("advertise", "share", "mask", "agree", "reveal")


class Stepper:
    """A device that takes its steps one by one."""

    def __init__(self, device):
        self.device = device
        self.phase = 0

    def offer(self):
        self.offered = self.device.session.offer(self.device.selected())
        self.client = self.device.client(self.offered)
        self.content = self.offered.terms

    def step(self):
        step = getattr(self.client, PHASES[self.phase])
        message = step(self.content)
        answer = self.device.session.exchange(self.offered.round, self.phase, message)
        self.phase += 1
        if isinstance(answer, RoundOutcome):
            return answer
        self.content = answer.content
        return None


@pytest.mark.parametrize("killed_in", range(5), ids=PHASES)
def test_a_server_that_is_killed_in_a_phase_goes_on(
    federation, start, device, together, book, database_url, killed_in
):
    """One device has sent its message of the phase, the others have not."""
    folder = federation(server={"database": database_url})
    server = start(folder, free_port())
    steppers = [Stepper(device(server, value=value)) for value in (1, 10, 100)]
    together(*[one.offer for one in steppers])
    for _ in range(killed_in):
        together(*[one.step for one in steppers])
    ours = book(folder, database_url)
    outcomes = []
    before = _received(ours)
    waiting = threading.Thread(target=lambda: outcomes.append(steppers[0].step()))
    waiting.start()
    ours.until(lambda: _received(ours) > before)
    server.kill()
    start(folder, server.port)
    together(*[one.step for one in steppers[1:]])
    waiting.join(60)
    for _ in range(killed_in + 1, 5):
        together(*[one.step for one in steppers])
    ours.until(lambda: ours.head()[0] == 1)
    assert ours.head()[1]["total"] == [111] * 5
    assert len(ours.ledger.history("sum")) == 2


def _received(ours):
    return sum(group.received for group in ours.store.snapshot().groups.values())


def test_a_server_that_is_killed_while_devices_are_selected(
    federation, start, device, together, book, database_url
):
    folder = federation(server={"database": database_url})
    server = start(folder, free_port())
    devices = [device(server, value=value) for value in (1, 10, 100)]
    selected = devices[0].selected()
    server.kill()
    start(folder, server.port)

    def goes_on():
        return devices[0].send(devices[0].session.offer(selected))

    together(goes_on, *[one.take_part for one in devices[1:]])
    ours = book(folder, database_url)
    ours.until(lambda: ours.head()[0] == 1)
    assert ours.head()[1]["total"] == [111] * 5


def test_a_server_that_is_killed_while_it_makes_the_next_state(
    federation, start, device, together, book, database_url
):
    tasks = [{"options": {"slow": 1.0}, "pause_seconds": 60}]
    folder = federation(server={"database": database_url}, tasks=tasks)
    server = start(folder, free_port())
    together(*[device(server, value=value).take_part for value in (1, 10, 100)])
    ours = book(folder, database_url)
    ours.until(lambda: {group.state for group in ours.store.snapshot().groups.values()} == {"done"})
    server.kill()
    assert ours.head()[0] == 0
    start(folder, server.port)
    ours.until(lambda: ours.head()[0] == 1)
    assert ours.head()[1]["total"] == [111] * 5


def test_tasks_that_take_long_keep_their_leases(
    federation, start, device, together, book, postgres
):
    """More tasks at once than threads to lead in, each longer than a lease: none is led twice."""
    url = postgres()
    options = {"plain": True, "slow": 1.5}
    names = [f"slow{number}" for number in range(6)]
    tasks = [
        {"options": options | {"name": name}, "goal": 1, "pause_seconds": 60} for name in names
    ]
    folder = federation(server={"database": url, "lease_seconds": 0.8}, tasks=tasks)
    servers = [start(folder), start(folder)]
    ours = book(folder, url)
    owners = {row.id: row.owner for row in ours.until(lambda: _open_rounds(ours, len(names)))}
    devices = [device(servers[0]) for _ in names]
    pairs = zip(devices, names, strict=True)
    together(*[partial(one.take_part, [name]) for one, name in pairs])
    ours.until(lambda: all(ours.head(name)[0] == 1 for name in names))
    ended = [ours.store.get(round_id) for round_id in owners]
    assert {row.id: row.owner for row in ended} == owners


def _open_rounds(ours, count):
    """Return the rounds that are under way, once there are so many."""
    rows = list(ours.store.snapshot().rounds.values())
    return rows if len(rows) == count else None


def test_two_processes_share_rounds_and_one_takes_over(
    federation, start, device, together, book, postgres
):
    url = postgres()
    folder = federation(server={"database": url})
    servers = [start(folder), start(folder)]
    ours = book(folder, url)
    devices = [device(servers[number % 2], value=10**number) for number in range(3)]
    together(*[one.take_part for one in devices])
    ours.until(lambda: ours.head()[0] == 1)
    assert ours.head()[1]["total"] == [111] * 5
    # The leader of the next one is killed; the devices of the other go on.
    ours.until(lambda: ours.store.snapshot().rounds)
    (row,) = ours.store.snapshot().rounds.values()
    leader = next(server for server in servers if f"-{server.process.pid}-" in row.owner)
    other = next(server for server in servers if server is not leader)
    leader.kill()
    devices = [device(other, value=10**number) for number in range(3)]
    together(*[one.take_part for one in devices])
    ours.until(lambda: ours.head()[0] == 2)
    assert ours.head()[1]["total"] == [222] * 5


def live(one, stopping):
    """Take part in rounds until told to stop, whatever happens to the server."""
    while not stopping.is_set():
        try:
            one.take_part(seconds=1.0)
        except (FetchError, InputError, AssertionError):
            time.sleep(0.05)


def test_many_rounds_with_kills_at_any_moment(federation, start, device, book, database_url):
    """Each model is the one before it and what its devices sent: nothing lost, nothing twice."""
    rounds = 8
    tasks = [{"goal": 4, "least": 3, "report_seconds": 2.0, "phase_seconds": 1.0}]
    tasks[0] |= {"selection_seconds": 2.0, "rounds": rounds, "most_failures": 100}
    folder = federation(server={"database": database_url, "lease_seconds": 0.5}, tasks=tasks)
    server = start(folder, free_port())
    stopping = threading.Event()
    devices = [device(server, patience=QUICK) for _ in range(5)]
    threads = [threading.Thread(target=live, args=(one, stopping)) for one in devices]
    for thread in threads:
        thread.start()
    ours = book(folder, database_url)
    rng = random.Random(5)
    for committed in (1, 3, 5):
        ours.until(lambda number=committed: ours.head()[0] >= number, 60)
        time.sleep(rng.random() * 0.3)
        server.kill()
        server = start(folder, server.port)
    ours.until(lambda: ours.head()[0] == rounds, 90)
    stopping.set()
    for thread in threads:
        thread.join(60)
    history = ours.ledger.history("sum")[::-1]
    assert [commit.number for commit in history] == list(range(rounds + 1))
    states = [(commit, json.loads(ours.blobs.get(commit.state_blob))) for commit in history]
    for (_, before), (commit, after) in itertools.pairwise(states):
        assert after["clients"] == before["clients"] + commit.clients
        assert after["total"] == [after["clients"]] * 5
