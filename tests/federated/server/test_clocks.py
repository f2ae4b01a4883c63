"""A server whose clock was wrong for a while: what it wrote then holds nobody up."""

from dataclasses import replace

import pytest

from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.enrolment import EnrolmentStore
from handheld.federated.server.leading import _seconds_left
from handheld.federated.server.ledger import Commit, FederationLedger
from handheld.federated.server.round_store import RoundRow, RoundStore

DAY = 86_400.0
MICRO = 1_000_000
DEVICE = bytes(32)


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now

    @property
    def nonce(self):
        return int(self.now * MICRO)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(database_url, tmp_path):
    url = database_url if "://" in database_url else tmp_path / database_url
    opened = FederationDatabase(url)
    yield opened
    opened.close()


def test_a_device_is_let_in_again_once_a_clock_that_was_ahead_is_right(database, clock):
    store = EnrolmentStore(database, clock=clock)
    clock.now += DAY
    assert store.enrol(DEVICE, clock.nonce)
    clock.now -= DAY
    used = clock.nonce
    assert store.seen(DEVICE, used)
    # From then on a nonce is good once, as ever.
    assert not store.seen(DEVICE, used)
    clock.now += 1
    assert store.seen(DEVICE, clock.nonce)


@pytest.fixture
def task(database, clock):
    ledger = FederationLedger(database)
    ledger.start(
        Commit(
            task="sum",
            number=0,
            state_blob="0" * 64,
            model_blob="0" * 64,
            model_bytes=1,
            figures={},
            committed=clock(),
        ),
        paused=False,
    )
    return ledger


def row(store, clock):
    return RoundRow(
        id="0" * 32,
        task="sum",
        base=0,
        state="selecting",
        reason="",
        goal=3,
        least=3,
        most=3,
        selected=0,
        state_blob="0" * 64,
        model_blob="0" * 64,
        model_bytes=1,
        plans=b"",
        count=5,
        bits=20,
        most_bytes=0,
        owner=store.owner,
        lease=clock() + 10,
        created=clock(),
        deadline=clock() + 600,
        configured=None,
        finished=None,
        clients=0,
        bytes_up=0,
        bytes_down=0,
    )


def test_a_round_whose_leader_died_with_a_clock_ahead_is_taken_over(database, clock, task):
    first, second = (
        RoundStore(database, owner=name, lease_seconds=10.0, clock=clock) for name in ("a", "b")
    )
    opened = row(first, clock)
    assert first.open(opened)
    assert not second.claim(opened.id)
    clock.now -= DAY
    assert second.is_silent(opened)
    assert second.claim(opened.id)
    claimed = second.get(opened.id)
    assert not second.is_silent(claimed)
    assert claimed.owner == "b"


def test_a_round_that_a_wrong_clock_put_off_begins(database, clock, task):
    store = RoundStore(database, owner="a", lease_seconds=10.0, clock=clock)
    clock.now += DAY
    opened = row(store, clock)
    assert store.open(opened)
    later = clock() + 30
    assert store.abandon(opened, "nobody came", next_at=later, most_failures=20)
    again = replace(row(store, clock), id="1" * 32)
    assert not store.open(again, pause_seconds=30)
    clock.now -= DAY
    assert store.open(again, pause_seconds=30)


def test_deadlines_further_away_than_they_were_ever_set_have_passed():
    assert _seconds_left(700.0, 100.0, 600.0) == 600.0
    assert _seconds_left(100.0, 130.0, 600.0) == 0.0
    # Clocks of processes may differ a little.
    assert _seconds_left(720.0, 100.0, 600.0) == 620.0
    assert _seconds_left(100.0 + DAY, 100.0, 600.0) == 0.0
