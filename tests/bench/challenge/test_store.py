"""Teams, submissions and measurements, on both databases."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sql

from handheld.bench.challenge import _tables
from handheld.bench.challenge.rules import ChallengeLimits, DeviceProfile
from handheld.bench.challenge.store import CHALLENGE_SCHEMA, ChallengeStore, MeasurementKey, Outcome
from handheld.errors import BusyError, InputError
from handheld.service.database import Database
from handheld.service.jobs.queue import JOBS_SCHEMA

GOOD = Outcome(
    score=0.5, accuracy=0.6, accuracy_low=0.5, accuracy_high=0.7, latency=0.001, valid=True
)
DAY = 86400.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(database_url):
    opened = Database(database_url, JOBS_SCHEMA, CHALLENGE_SCHEMA)
    yield opened
    opened.close()


@pytest.fixture
def make_store(database, rules, clock):
    def make(**changes):
        limits = replace(rules.limits, **changes.pop("limits", {}))
        return ChallengeStore(database, replace(rules, limits=limits, **changes), clock=clock)

    return make


@pytest.fixture
def store(make_store):
    return make_store()


def submit(store, team, number=1, name="net"):
    return store.submit(team, key=f"{number:064d}", name=name, sha256=f"{number:064x}", size=10)


def queue(store, database):
    """Have each planned measurement become a job, without one."""
    for row in store.measurements("planned"):
        with database.write() as connection:
            store.mark_queued(row.key)(connection)


def test_a_team_is_known_by_its_token_alone(store, database):
    team, token = store.register("Alpha")
    assert store.team_of(token) == team
    assert store.team_of(token + "x") is None
    assert store.team_of("") is None
    assert store.team_of("\ud83d\0") is None
    with database.read() as connection:
        rows = connection.execute(sql.select(_tables.teams)).all()
    assert token not in str(rows)


def test_a_name_is_taken_once_whatever_its_dress(store):
    store.register("Alpha")
    with pytest.raises(InputError, match="is taken"):
        store.register("al-PHA")
    # Cyrillic a
    with pytest.raises(InputError, match="looks like it"):
        store.register("Alph\u0430")


def test_a_renewed_token_ends_the_one_before(store):
    team, token = store.register("Alpha")
    renewed = store.renew_token("alpha")
    assert store.team_of(token) is None
    assert store.team_of(renewed) == team
    with pytest.raises(InputError, match="no team 'Beta'"):
        store.renew_token("Beta")


def test_registrations_are_limited(make_store, clock):
    store = make_store(limits={"teams": 3, "registrations_per_hour": 2})
    store.register("a")
    store.register("b")
    with pytest.raises(BusyError, match="too many teams came within an hour"):
        store.register("c")
    clock.now += 3601
    store.register("c")
    with pytest.raises(BusyError, match="all places are taken"):
        store.register("d")


def test_a_submission_is_planned_on_each_device(make_store):
    devices = (DeviceProfile(name="a"), DeviceProfile(name="b"))
    store = make_store(devices=devices)
    team, _ = store.register("Alpha")
    sent = submit(store, team)
    assert (sent.number, sent.state, sent.team_name) == (1, "queued", "Alpha")
    keys = [row.key for row in store.measurements("planned")]
    assert keys == [MeasurementKey(sent.key, "public", name) for name in ("a", "b")]
    assert len({key.job for key in keys}) == 2


def test_the_same_file_counts_once_for_a_team(store, database):
    team, _ = store.register("Alpha")
    other, _ = store.register("Beta")
    submit(store, team)
    with pytest.raises(InputError, match="is the team's submission 1 already"):
        store.submit(team, key="b" * 64, name="again", sha256=f"{1:064x}", size=10)
    store.submit(other, key="c" * 64, name="theirs", sha256=f"{1:064x}", size=10)


def test_a_file_that_failed_may_be_sent_again(store, database):
    team, _ = store.register("Alpha")
    submit(store, team)
    queue(store, database)
    store.settle(store.measurements()[0].key, Outcome(error="the server stopped"))
    assert store.submission(f"{1:064d}").state == "failed"
    again = store.submit(team, key="b" * 64, name="again", sha256=f"{1:064x}", size=10)
    assert again.number == 2


def test_a_measurement_is_taken_in_once(store, database):
    team, _ = store.register("Alpha")
    sent = submit(store, team)
    key = store.measurements()[0].key
    assert not store.settle(key, GOOD), "it has no job yet"
    queue(store, database)
    assert store.settle(key, GOOD)
    assert not store.settle(key, replace(GOOD, score=0.9))
    (row,) = store.measurements("done")
    assert row.outcome.score == 0.5
    assert store.submission(sent.key).state == "done"
    measured = [entry for entry in store.audit_log() if entry["action"] == "measure"]
    assert len(measured) == 1


def test_a_measurement_becomes_a_job_once(store, database):
    team, _ = store.register("Alpha")
    submit(store, team)
    queue(store, database)
    key = store.measurements()[0].key
    with pytest.raises(InputError, match="has its job already"), database.write() as connection:
        store.mark_queued(key)(connection)


def test_one_device_that_fails_fails_the_submission(make_store, database):
    store = make_store(devices=(DeviceProfile(name="a"), DeviceProfile(name="b")))
    team, _ = store.register("Alpha")
    sent = submit(store, team)
    queue(store, database)
    first, second = (row.key for row in store.measurements())
    store.settle(first, Outcome(error="it crashed\0 \ud83d"))
    assert store.submission(sent.key).state == "queued"
    store.settle(second, GOOD)
    ended = store.submission(sent.key)
    assert (ended.state, ended.error) == ("failed", "it crashed\ufffd \ufffd")


def test_a_team_waits_for_its_models(make_store, database, clock):
    store = make_store(limits={"waiting": 1, "submissions_per_day": 2})
    team, _ = store.register("Alpha")
    submit(store, team, 1)
    with pytest.raises(BusyError, match="fewer than 1 models of a team waiting"):
        submit(store, team, 2)
    queue(store, database)
    store.settle(store.measurements()[0].key, GOOD)
    submit(store, team, 2)
    queue(store, database)
    store.settle(store.measurements("queued")[0].key, GOOD)
    assert store.why_not(team.id) == "a team may submit 2 models within 24 hours"
    clock.now += DAY + 1
    assert store.why_not(team.id) == ""


def test_the_queue_of_all_is_limited(make_store):
    store = make_store(limits={"queued": 1})
    alpha, _ = store.register("Alpha")
    beta, _ = store.register("Beta")
    submit(store, alpha)
    with pytest.raises(BusyError, match="the queue is full"):
        submit(store, beta, 2)


def test_before_it_opens_and_after_it_closes(make_store, clock):
    opens = datetime.fromtimestamp(2000, UTC)
    closes = datetime.fromtimestamp(3000, UTC)
    store = make_store(opens=opens, closes=closes)
    team, _ = store.register("Alpha")
    assert "not opened yet" in store.why_not(team.id)
    clock.now = 2000.0
    submit(store, team)
    clock.now = 3000.0
    with pytest.raises(BusyError, match="is closed"):
        submit(store, team, 2)
    assert store.closed()


def test_the_host_closes_it_once(store):
    team, _ = store.register("Alpha")
    store.close()
    store.close()
    assert store.closed()
    with pytest.raises(BusyError, match="is closed"):
        submit(store, team)
    assert [entry["action"] for entry in store.audit_log()] == ["register", "close"]


def test_finals_are_planned_once(store, database):
    team, _ = store.register("Alpha")
    sent = submit(store, team)
    assert not store.plan_finals([]), "a model came in after the best were chosen"
    queue(store, database)
    store.settle(store.measurements()[0].key, GOOD)
    assert store.plan_finals([sent.key])
    assert not store.plan_finals([sent.key])
    assert [row.key.data for row in store.measurements()] == ["public", "hidden"]


def test_after_the_finals_no_clock_opens_it_again(make_store, database, clock):
    closes = datetime.fromtimestamp(3000, UTC)
    store = make_store(closes=closes)
    team, _ = store.register("Alpha")
    sent = submit(store, team)
    queue(store, database)
    store.settle(store.measurements()[0].key, GOOD)
    clock.now = 3000.0
    assert store.plan_finals([sent.key])
    clock.now = 2000.0
    assert store.closed()
    with pytest.raises(BusyError, match="is closed"):
        submit(store, team, 2)


def test_bytes_of_all_files_each_once(store):
    alpha, _ = store.register("Alpha")
    beta, _ = store.register("Beta")
    assert store.stored_bytes() == 0
    submit(store, alpha, 1)
    submit(store, alpha, 2)
    store.submit(beta, key="c" * 64, name="theirs", sha256=f"{1:064x}", size=10)
    assert store.stored_bytes() == 20
    assert store.largest_bytes() == 10


def test_two_submissions_that_race_take_one_place(make_store):
    store = make_store(limits={"waiting": 1})
    team, _ = store.register("Alpha")
    answers = []

    def race(number):
        try:
            answers.append(submit(store, team, number).number)
        except BusyError:
            answers.append(None)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [1] + [None] * 7
    assert len(store.all_submissions()) == 1


def test_submissions_that_race_get_numbers_of_their_own(store):
    team, _ = store.register("Alpha")
    threads = [threading.Thread(target=submit, args=(store, team, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(sent.number for sent in store.submissions_of(team.id))
    assert numbers == list(range(1, 9))


def test_two_settle_at_once_and_one_counts(store, database):
    team, _ = store.register("Alpha")
    submit(store, team)
    queue(store, database)
    key = store.measurements()[0].key
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(store.settle(key, GOOD))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 5 + [True]


def test_default_limits_let_a_team_in():
    assert ChallengeLimits().teams >= 1
