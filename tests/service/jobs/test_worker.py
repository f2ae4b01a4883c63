"""Jobs in processes of their own."""

import os
import re
import signal
import threading
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from handheld.service import JobKind
from handheld.service.database import Database
from handheld.service.jobs.folders import Folders, key_of, new_id
from handheld.service.jobs.queue import JOBS_SCHEMA, JobQueue
from handheld.service.jobs.worker import JobWorker, end_process


@pytest.fixture
def room(tmp_path, kinds, fast_limits, until):
    return Room(tmp_path, kinds, fast_limits, until)


class Room:
    """A queue, its folders, and workers whose rounds are made by hand."""

    def __init__(self, tmp_path, kinds, fast_limits, until):
        self.tmp_path, self.kinds, self.fast_limits, self.until = (
            tmp_path,
            kinds,
            fast_limits,
            until,
        )

    def __call__(self, **limits):
        self.database = Database(self.tmp_path / "jobs.sqlite", JOBS_SCHEMA)
        self.queue = JobQueue(self.database, self.fast_limits(**limits))
        self.folders = Folders(self.tmp_path)
        self.worker = JobWorker(self.queue, self.folders, self.kinds.values())
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.release_all()
        self.database.close()

    def submit(self, kind, **spec):
        key = key_of(new_id())
        self.folders.make(key)
        self.queue.submit(key, kind, spec, size=0)
        return key

    def end(self, key, seconds=30.0):
        def round_():
            self.worker.tick()
            job = self.queue.get(key)
            return job if job.ended else None

        return self.until(round_, seconds)

    def began(self, key, name):
        def round_():
            self.worker.tick()
            return (self.folders.of(key) / "work" / name).exists()

        self.until(round_)


def test_a_job_is_done(room):
    with room() as house:
        key = house.submit("count", go="/")
        job = house.end(key)
        assert (job.state, job.error, job.message) == ("done", None, "counted to 100")
        assert len((house.folders.of(key) / "result" / "count.txt").read_text().splitlines()) == 100


FAILURES = {
    "input": "labels.csv: expected 10 labels, got 9",
    "bug": "an error that it does not explain: KeyError: 'weights'",
    "exit": "ended with status 3 before the job was done",
    "quiet exit": "ended with status 0 before the job was done",
    "killed": "ended by SIGKILL; it may have used more memory than there is",
    "memory": r"ran out of memory \(it may use 4096 MiB\)",
    "disk": "take more than the 100000 bytes allowed",
    "disk without a name": "take more than the 100000 bytes allowed",
}


@pytest.mark.parametrize(("how", "message"), FAILURES.items(), ids=FAILURES)
def test_a_job_that_fails_says_why(room, how, message):
    with room(job_bytes=100_000, memory_bytes=4 << 30) as house:
        key = house.submit("fail", how=how)
        job = house.end(key)
        assert job.state == "failed"
        assert re.search(message, job.error), job.error
        assert [file.name for file in house.folders.results(key)] == ["partial.txt"]
        after = house.submit("fail", how="noise")
        assert house.end(after).state == "done", "the next job is not touched"


def test_what_a_job_prints_goes_to_its_log(room):
    with room() as house:
        key = house.submit("fail", how="noise")
        assert house.end(key).fraction == 1.0
        assert (
            house.folders.of(key) / "log.txt"
        ).read_text() == "a line that is no report\nanother\n"


def test_an_entry_that_is_not_there(room):
    with room() as house:
        house.worker = JobWorker(
            house.queue, house.folders, [JobKind(name="x", title="X", entry="nowhere:at_all")]
        )
        assert "No module named 'nowhere'" in house.end(house.submit("x")).error


def test_uploads_are_not_imported(room):
    with room() as house:
        key = house.submit("imports")
        for part in ("work", "upload", "."):
            (house.folders.of(key) / part / "colorsys.py").write_text("raise SystemExit('hostile')")
        assert house.end(key).state == "done"
        assert (
            str(house.tmp_path) not in (house.folders.of(key) / "result" / "where.txt").read_text()
        )


def gone(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_time_is_limited_and_all_its_processes_end(room, until):
    with room(seconds=2) as house:
        key = house.submit("wait")
        house.began(key, "pids")
        pids = (house.folders.of(key) / "work" / "pids").read_text().split()
        assert "longer than the 2 seconds allowed" in house.end(key).error
        until(lambda: all(gone(pid) for pid in pids))


def test_cancelling_ends_all_its_processes(room, until):
    with room() as house:
        key = house.submit("wait")
        house.began(key, "pids")
        pids = (house.folders.of(key) / "work" / "pids").read_text().split()
        house.queue.cancel(key)
        job = house.end(key)
        assert (job.state, job.error, job.message) == ("cancelled", None, "waiting")
        until(lambda: all(gone(pid) for pid in pids))


def test_no_more_jobs_run_at_once_than_allowed(room):
    with room(running=2) as house:
        keys = [house.submit("wait") for _ in range(3)]
        for key in keys[:2]:
            house.began(key, "pids")
        assert [house.queue.get(key).state for key in keys] == ["running", "running", "queued"]
        house.queue.cancel(keys[0])
        house.began(keys[2], "pids")


def test_a_job_that_another_server_took_is_let_go(room, until):
    with room() as house:
        key = house.submit("wait")
        house.began(key, "pids")
        slow = house.worker
        start = time.monotonic()
        until(
            lambda: time.monotonic() > start + 1.1
        )  # longer than the lease, in which this server did nothing
        house.queue.reclaim()
        house.worker = JobWorker(house.queue, house.folders, house.kinds.values())
        house.worker.tick()
        assert house.queue.get(key).attempts == 2
        pid = (house.folders.of(key) / "work" / "pids").read_text().split()[0]
        until(lambda: slow.tick() or gone(pid))
        assert house.queue.get(key).state == "running"


def test_finished_jobs_are_removed(room, until):
    with room(retention_days=1e-9) as house:
        key = house.submit("fail", how="noise")
        until(lambda: house.worker.tick() or house.queue.keys() == set())
        assert not house.folders.of(key).exists()


def test_a_thread_runs_and_stops(room, until):
    with room() as house:
        house.worker.start()
        key = house.submit("wait")
        house.worker.wake()
        until(lambda: (house.folders.of(key) / "work" / "pids").exists())
        house.worker.stop()
        assert not house.worker.alive
        assert (house.queue.get(key).state, house.queue.get(key).attempts) == ("queued", 0)
        assert house.folders.of(key).is_dir()


WORDS = {
    "long words": r"^A{3999}…$",
    "no text": "^a\ufffdb \ufffd c$",
    "no report": "reports what no job reports",
    "strange report": "reports what no job reports",
    "deep report": "reports what no job reports",
}


def texts_of(room, database_url, how):
    """Run a job that says something odd, then one that does not; return how the first ended."""
    with room() as house:
        house.database = Database(database_url, JOBS_SCHEMA)
        house.queue = JobQueue(house.database, house.fast_limits())
        house.worker = JobWorker(house.queue, house.folders, house.kinds.values())
        key = house.submit("fail", how=how)
        job = house.end(key)
        assert house.end(house.submit("fail", how="noise")).state == "done", (
            "the next job is not touched"
        )
        return job


@pytest.mark.parametrize(("how", "message"), WORDS.items(), ids=WORDS)
def test_whatever_a_job_says_it_fails_alone(room, database_url, how, message):
    job = texts_of(room, database_url, how)
    assert job.state == "failed"
    assert re.search(message, job.error), job.error[:200]


@pytest.mark.parametrize("how", ["no text in a report", "long report"])
def test_whatever_a_job_reports_it_goes_on(room, database_url, how):
    job = texts_of(room, database_url, how)
    assert job.state == "done"
    assert len(job.message) <= 4000


def test_a_job_does_not_know_the_servers_secrets(room, monkeypatch):
    for name in ("HANDHELD_TOKEN", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hush")
    with room() as house:
        key = house.submit("fail", how="environment")
        assert house.end(key).state == "done"
        names = (house.folders.of(key) / "result" / "environment.txt").read_text().split()
        assert "PATH" in names
        assert not {"HANDHELD_TOKEN", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"} & set(names)


@pytest.mark.parametrize("go", [None, "yes"], ids=["cancelled", "done"])
def test_a_process_that_left_its_session_ends_with_its_job(room, until, go):
    with room() as house:
        key = house.submit("escape", **({"go": go} if go else {}))
        until(
            lambda: (
                house.worker.tick() or (job := house.queue.get(key)).message == "away" or job.ended
            )
        )
        pid = (house.folders.of(key) / "work" / "escaped").read_text()
        if not go:
            assert not gone(pid)
            house.queue.cancel(key)
        assert house.end(key).state == ("done" if go else "cancelled")
        until(lambda: gone(pid))


def test_a_job_that_ends_its_keeper_leaves_nothing_and_holds_nobody_up(room, until):
    with room() as house:
        key = house.submit("orphan")
        job = house.end(key)
        assert (job.state, job.error) == (
            "failed",
            "the job's process was ended by SIGKILL; it may have used more memory than there is",
        )
        pid = (house.folders.of(key) / "work" / "escaped").read_text()
        until(lambda: gone(pid))
        assert house.end(house.submit("imports")).state == "done"


def test_a_job_may_have_so_many_processes(room, until):
    with room(processes=20) as house:
        job = house.end(house.submit("swarm", count="30"))
        assert (job.state, job.error) == (
            "failed",
            "the job started more than the 20 processes allowed",
        )
        assert house.end(house.submit("imports")).state == "done"


def test_processes_that_replace_each_other_end_with_their_job(room, until):
    with room() as house:
        key = house.submit("swarm", count="30")
        until(
            lambda: (
                house.worker.tick()
                or (house.queue.get(key).message == "swarming" and len(swarm()) > 25)
            )
        )
        house.queue.cancel(key)
        assert house.end(key).state == "cancelled"
        assert swarm() == []


def test_orphans_that_ended_give_their_numbers_back(room, until):
    """A job that starts and forgets processes for hours would else leave none for the machine."""
    with room() as house:
        key = house.submit("swarm", count="30")
        until(lambda: house.worker.tick() or house.queue.get(key).message == "swarming")
        keeper = house.worker._running[0].process.keeper
        seen = set()
        until(lambda: house.worker.tick() or seen.update(swarm()) or len(seen) > 150)
        assert len(waiting(keeper)) < 60


def waiting(keeper):
    """The ids of processes that ended and were not waited for by a job's keeper."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == keeper:
                found.add(folder.name)
    return found


def swarm():
    """The processes of the job of that name."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"for _ in range(int(sys.argv[1]))" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found


def test_a_verdict_that_cannot_be_stored_makes_room_and_comes_later(room, monkeypatch):
    with room() as house:
        key = house.submit("fail", how="input")
        finish = house.queue.finish
        monkeypatch.setattr(
            type(house.folders), "is_nearly_full", lambda _: bool(house.worker._running[0].verdict)
        )
        refusals = iter([OperationalError("UPDATE", {}, Exception("database or disk is full"))])

        def full_once(*args, **kwargs):
            if error := next(refusals, None):
                raise error
            return finish(*args, **kwargs)

        monkeypatch.setattr(house.queue, "finish", full_once)
        (house.folders.of(key) / "work" / "large").write_bytes(bytes(100_000))
        assert house.end(key).state == "failed"
        assert not (house.folders.of(key) / "work").exists()
        assert (house.folders.of(key) / "result" / "partial.txt").exists()


def test_a_job_is_ended_before_it_fills_the_disk(room, monkeypatch):
    with room() as house:
        key = house.submit("wait")
        house.began(key, "pids")
        monkeypatch.setattr(type(house.folders), "is_nearly_full", lambda _: True)
        assert "the server's disk is nearly full" in house.end(key).error


def test_a_job_that_failed_on_a_full_disk_makes_room(room, monkeypatch):
    with room() as house:
        key = house.submit("fail", how="input")
        monkeypatch.setattr(
            type(house.folders), "is_nearly_full", lambda _: bool(house.worker._running[0].verdict)
        )
        (house.folders.of(key) / "work" / "large").write_bytes(bytes(100_000))
        assert (
            house.end(key).error
            == "labels.csv: expected 10 labels, got 9; the server's disk was nearly full"
        )
        assert not (house.folders.of(key) / "work").exists()
        assert (house.folders.of(key) / "result" / "partial.txt").exists()


def test_the_reserve_of_a_disk_is_a_share_of_a_small_one(tmp_path, monkeypatch):
    folders = Folders(tmp_path)
    usage = namedtuple("usage", "total used free")
    for total, free, expected in [
        (24e6, 1e6, False),
        (24e6, 4e5, True),
        (1e12, 2e8, False),
        (1e12, 9e7, True),
    ]:
        monkeypatch.setattr(
            "shutil.disk_usage", lambda _, total=total, free=free: usage(total, total - free, free)
        )
        assert folders.is_nearly_full() is expected


def test_one_job_that_cannot_be_watched_fails_alone(room, monkeypatch):
    with room(running=2) as house:
        bad, good = house.submit("wait"), house.submit("wait")
        for key in (bad, good):
            house.began(key, "pids")
        running = next(running for running in house.worker._running if running.job.key == bad)
        monkeypatch.setattr(running, "measure", lambda *_: 1 / 0)
        job = house.end(bad)
        assert (job.state, job.error) == ("failed", "the job cannot be watched: ZeroDivisionError")
        assert house.queue.get(good).state == "running"


def test_a_worker_that_dies_ends_the_process(room, monkeypatch):
    with room() as house:
        died = threading.Event()
        worker = JobWorker(house.queue, house.folders, house.kinds.values(), on_death=died.set)
        monkeypatch.setattr(worker, "tick", lambda: 1 / 0)
        worker.start()
        assert died.wait(30)
        worker.stop()
    assert not worker.alive


def test_what_ends_the_process_is_a_signal_that_servers_know(monkeypatch):
    sent = []
    monkeypatch.setattr("os.kill", lambda pid, number: sent.append((pid, number)))
    end_process()
    assert sent == [(os.getpid(), signal.SIGTERM)]
