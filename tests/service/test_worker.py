"""Jobs in processes of their own."""

import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

from handheld.service import JobKind
from handheld.service.database import Database
from handheld.service.folders import Folders, key_of, new_id
from handheld.service.queue import JobQueue, metadata
from handheld.service.worker import Worker


@pytest.fixture
def room(tmp_path, kinds, fast_limits, until):
    return Room(tmp_path, kinds, fast_limits, until)


class Room:
    """A queue, its folders, and workers whose rounds are made by hand."""

    def __init__(self, tmp_path, kinds, fast_limits, until):
        self.tmp_path, self.kinds, self.fast_limits, self.until = tmp_path, kinds, fast_limits, until

    def __call__(self, **limits):
        self.database = Database(self.tmp_path / "jobs.sqlite", metadata)
        self.queue = JobQueue(self.database, self.fast_limits(**limits))
        self.folders = Folders(self.tmp_path)
        self.worker = Worker(self.queue, self.folders, self.kinds.values())
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
        assert (house.folders.of(key) / "log.txt").read_text() == "a line that is no report\nanother\n"


def test_an_entry_that_is_not_there(room):
    with room() as house:
        house.worker = Worker(house.queue, house.folders, [JobKind(name="x", title="X", entry="nowhere:at_all")])
        assert "No module named 'nowhere'" in house.end(house.submit("x")).error


def test_uploads_are_not_imported(room):
    with room() as house:
        key = house.submit("imports")
        for part in ("work", "upload", "."):
            (house.folders.of(key) / part / "colorsys.py").write_text("raise SystemExit('hostile')")
        assert house.end(key).state == "done"
        assert str(house.tmp_path) not in (house.folders.of(key) / "result" / "where.txt").read_text()


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
        until(lambda: time.monotonic() > start + 1.1)  # longer than the lease, in which this server did nothing
        house.queue.reclaim()
        house.worker = Worker(house.queue, house.folders, house.kinds.values())
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
