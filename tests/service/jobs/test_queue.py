"""The queue on both databases; its clock is a number here."""

import threading

import pytest

from handheld.errors import BusyError, ServiceError
from handheld.service import Limits
from handheld.service.database import Database
from handheld.service.jobs.folders import key_of, new_id
from handheld.service.jobs.limits import DAY
from handheld.service.jobs.queue import JOBS_SCHEMA, JobQueue


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue_with(database_url, clock):
    opened = []

    def make(**limits):
        opened.append(Database(database_url, JOBS_SCHEMA))
        return JobQueue(opened[-1], Limits(**limits), clock=clock)

    yield make
    for database in opened:
        database.close()


def submit(queue, kind="k", size=10):
    key = key_of(new_id())
    queue.submit(key, kind, {"n": 1, "text": "déjà"}, size=size)
    return key


def test_a_job_from_start_to_end(queue_with, clock):
    queue = queue_with(retention_days=2)
    first = submit(queue)
    clock.now += 1
    second = submit(queue)
    assert (queue.get(first).ahead, queue.get(second).ahead) == (0, 1)
    job = queue.claim("me", ["k"])
    assert (job.key, job.state, job.attempts, job.spec) == (
        first,
        "running",
        1,
        {"n": 1, "text": "déjà"},
    )
    assert queue.beat(job, fraction=0.5, message="half", size=20).fraction == 0.5
    assert queue.finish(job, "done", message="all", size=30)
    ended = queue.get(first)
    assert (ended.state, ended.fraction, ended.message, ended.bytes, ended.ended) == (
        "done",
        1.0,
        "all",
        30,
        True,
    )
    assert ended.expires == clock.now + 2 * DAY
    assert not queue.finish(job, "failed", error="again")
    assert queue.claim("me", ["k"]).key == second
    assert queue.claim("me", ["k"]) is None


def test_which_have_ended(queue_with, clock):
    queue = queue_with(retention_days=2)
    first, second, third = submit(queue), submit(queue), submit(queue)
    assert queue.ended() == set()
    queue.cancel(first)
    queue.cancel(second)
    assert queue.ended() == {first, second}
    queue.cancel(second, remove=True)
    assert queue.ended() == {first}
    clock.now += 3 * DAY
    assert queue.ended() == set()
    assert queue.get(third).state == "queued"


def test_only_own_kinds_are_claimed(queue_with):
    queue = queue_with()
    submit(queue, "other")
    assert queue.claim("me", ["k"]) is None
    assert queue.claim("me", ["k", "other"]).kind == "other"


def test_no_job_is_claimed_twice(queue_with):
    queues = [queue_with() for _ in range(4)]
    keys = {submit(queues[0]) for _ in range(40)}
    claimed: list[str] = []

    def work(queue, owner):
        while job := queue.claim(owner, ["k"]):
            claimed.append(job.key)

    threads = [
        threading.Thread(target=work, args=(queue, str(number)))
        for number, queue in enumerate(queues)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 40
    assert set(claimed) == keys


def test_the_job_of_a_silent_server_is_taken_over(queue_with, clock):
    queue = queue_with(lease_seconds=10, attempts=2)
    key = submit(queue)
    job = queue.claim("one", ["k"])
    clock.now += 9
    queue.reclaim()
    assert queue.beat(job, fraction=0.3, message="", size=1)
    clock.now += 11
    queue.reclaim()
    assert (queue.get(key).state, queue.get(key).fraction) == ("queued", 0.3)
    again = queue.claim("two", ["k"])
    assert again.attempts == 2
    assert queue.beat(job, fraction=0.9, message="late", size=1) is None
    assert not queue.finish(job, "done")
    queue.release(job)
    assert queue.get(key).owner == "two"
    clock.now += 11
    queue.reclaim()
    assert queue.get(key).state == "failed"
    assert "stopped 2 times" in queue.get(key).error


def test_an_orderly_stop_is_no_attempt(queue_with):
    queue = queue_with(attempts=1)
    key = submit(queue)
    for _ in range(3):
        job = queue.claim("me", ["k"])
        assert job.attempts == 1
        queue.release(job)
    assert queue.get(key).state == "queued"


def test_cancelling(queue_with, clock):
    queue = queue_with(lease_seconds=10)
    waiting, running = submit(queue), submit(queue)
    jobs = {job.key: job for job in (queue.claim("me", ["k"]), queue.claim("me", ["k"]))}
    queue.release(jobs[waiting])
    queue.cancel(waiting)
    assert queue.get(waiting).state == "cancelled"
    queue.cancel(running)
    assert queue.get(running).state == "running"
    assert queue.beat(jobs[running], fraction=0.1, message="", size=1).cancelling
    clock.now += 11
    queue.reclaim()
    assert queue.get(running).state == "cancelled"
    queue.cancel(running)
    assert queue.claim("me", ["k"]) is None


def test_what_is_kept_long_enough_is_removed(queue_with, clock):
    queue = queue_with(retention_days=1)
    old = submit(queue)
    queue.finish(queue.claim("me", ["k"]), "done")
    running = submit(queue)
    queue.claim("me", ["k"])
    removed = submit(queue)
    queue.cancel(removed, remove=True)
    queue.cancel(running, remove=True)
    assert queue.get(removed) is None
    assert queue.get(running) is None
    assert queue.get(old) is not None
    assert queue.expired() == (removed,), "what runs keeps its files until it has ended"
    clock.now += 2 * DAY
    queue.reclaim()
    assert set(queue.expired()) == {old, removed, running}
    queue.forget(queue.expired())
    assert queue.keys() == set()


def test_limits(queue_with):
    queue = queue_with(queued=2, total_bytes=100)
    submit(queue, size=60)
    assert queue.room() == 40
    with pytest.raises(BusyError, match="room on the disk"):
        submit(queue, size=41)
    submit(queue, size=39)
    with pytest.raises(BusyError, match="fewer than 2 jobs waiting"):
        submit(queue, size=1)
    job = queue.claim("me", ["k"])
    queue.beat(job, fraction=0, message="", size=100)
    with pytest.raises(BusyError, match="take all of it"):
        queue.room()


def test_many_servers_keep_the_limit_together(queue_with):
    queues = [queue_with(queued=5) for _ in range(4)]
    refused: list[BusyError] = []

    def work(queue):
        for _ in range(3):
            try:
                submit(queue)
            except BusyError as error:
                refused.append(error)

    threads = [threading.Thread(target=work, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert len(queues[0].keys()) == 5


def test_servers_that_start_together_make_the_tables_once(database_url):
    errors: list[Exception] = []

    def start():
        try:
            Database(database_url, JOBS_SCHEMA).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://user@host/name", "a path or a postgresql:// URL, got one of 'mysql'"),
        ("postgresql://user:hush@127.0.0.1:1/name", "cannot be opened"),
        ("://", "expected a path, or a URL"),
        ("/dev/null/jobs.sqlite", "cannot be made"),
    ],
)
def test_databases_that_cannot_be_opened(url, message):
    with pytest.raises(ServiceError, match=message) as caught:
        Database(url, JOBS_SCHEMA)
    assert "hush" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "jobs.sqlite").write_text("a letter, and a long one at that\n" * 100)
    with pytest.raises(
        ServiceError, match=r"jobs\.sqlite: the database cannot be opened: file is not a database"
    ):
        Database(tmp_path / "jobs.sqlite", JOBS_SCHEMA)
