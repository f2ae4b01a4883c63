"""What moves a challenge on: any step may be cut off, and each counts once."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sql

from handheld.bench.challenge.files import ModelFiles
from handheld.bench.challenge.job import RESULT_FILE, measurement_kind
from handheld.bench.challenge.referee import Referee
from handheld.bench.challenge.rules import ChallengeFolder
from handheld.bench.challenge.store import CHALLENGE_SCHEMA, ChallengeStore
from handheld.service.database import Database
from handheld.service.jobs._table import jobs
from handheld.service.jobs.folders import Folders
from handheld.service.jobs.limits import Limits
from handheld.service.jobs.queue import JOBS_SCHEMA, JobQueue

FIGURES = {
    "score": 0.5,
    "accuracy": 0.6,
    "latency": 0.001,
    "latency_p90": 0.002,
    "reached": 5,
    "examples": 6,
    "valid": True,
    "result": "{}",
}
KIND = measurement_kind("reference").name


class Bench:
    """A challenge whose jobs are done by hand."""

    def __init__(self, url, root, rules, **limits):
        self.database = Database(url, JOBS_SCHEMA, CHALLENGE_SCHEMA)
        self.store = ChallengeStore(self.database, rules)
        self.queue = JobQueue(self.database, Limits(**limits))
        self.folders = Folders(root)
        self.team, _ = self.store.register("Alpha")
        self.referee = self.another()

    def another(self):
        return Referee(
            ChallengeFolder(self.folders.root, self.store.rules),
            store=self.store,
            queue=self.queue,
            folders=self.folders,
            files=ModelFiles(self.folders.root / "models"),
        )

    def submit(self, number=1):
        return self.store.submit(
            self.team, key=f"{number:064d}", name="net", sha256=f"{number:064x}", size=10
        )

    def claim(self):
        return self.queue.claim("worker", [KIND])

    def finish(self, job, figures=FIGURES):
        path = self.folders.of(job.key) / "result" / RESULT_FILE
        path.write_text(json.dumps(figures))
        assert self.queue.finish(job, "done")

    def states(self):
        return [row.state for row in self.store.measurements()]


@pytest.fixture
def make_bench(database_url, tmp_path, rules):
    made = []

    def make(changes=None, **limits):
        bench = Bench(database_url, tmp_path / "state", replace(rules, **(changes or {})), **limits)
        made.append(bench)
        return bench

    yield make
    for bench in made:
        bench.database.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def count(bench, table):
    with bench.database.read() as connection:
        return connection.execute(sql.select(sql.func.count()).select_from(table)).scalar_one()


def test_from_plan_to_result(bench):
    sent = bench.submit()
    bench.referee.tick()
    assert bench.states() == ["queued"]
    job = bench.claim()
    assert job.spec["sha256"] == sent.sha256
    bench.finish(job)
    bench.referee.tick()
    assert bench.states() == ["done"]
    assert bench.store.submission(sent.key).state == "done"
    key = bench.store.measurements()[0].key
    assert bench.store.result_of(key) == "{}"
    assert bench.queue.expired() == (job.key,), "its files are removed with the next cleaning"


def test_two_referees_make_one_job_of_a_plan(bench):
    bench.submit()
    planned = bench.store.measurements("planned")
    other = bench.another()
    bench.referee.tick()
    other._hand_out(planned)  # it had looked before the first one was done
    assert count(bench, jobs) == 1


def test_a_referee_that_died_between_folder_and_job(bench):
    bench.submit()
    key = bench.store.measurements()[0].key
    bench.folders.make(key.job)
    bench.referee.tick()
    assert bench.states() == ["queued"]


def test_a_worker_that_died_is_followed_by_another(bench, monkeypatch):
    bench.submit()
    bench.referee.tick()
    dead = bench.claim()
    late = JobQueue(bench.database, bench.queue.limits, clock=lambda: dead.started + 1000)
    late.reclaim()
    job = late.claim("another", [KIND])
    assert job.key == dead.key
    assert not bench.queue.finish(dead, "done"), "the dead one wakes up, and is fenced off"
    bench.finish(job)
    bench.referee.tick()
    bench.referee.tick()
    measured = [entry for entry in bench.store.audit_log() if entry["action"] == "measure"]
    assert len(measured) == 1


def text_with(**changes):
    return json.dumps(FIGURES | changes)


NO_RESULTS = {
    "empty": "",
    "cut": "{",
    "list": "[]",
    "incomplete": '{"score": 0.5}',
    "text": text_with(score="much"),
    "unknown": text_with(team=2),
    "nested": "[" * 10**5,
    "large": text_with(result="1" * 2**20),
    "half a letter": text_with(result="\ud83d"),
    "large number": text_with(reached=10**30),
    "more than all": text_with(score=5.0),
    "no number": text_with(accuracy=float("nan")),
    "negative": text_with(latency=-1),
    "no verdict": text_with(valid=None),
    "nul": text_with(result="\0"),
}


@pytest.mark.parametrize("content", NO_RESULTS.values(), ids=NO_RESULTS)
def test_a_result_that_is_none_fails_its_submission_alone(bench, content):
    bench.submit(1)
    bench.submit(2)
    bench.referee.tick()
    first = bench.claim()
    (bench.folders.of(first.key) / "result" / RESULT_FILE).write_text(content)
    bench.queue.finish(first, "done")
    bench.finish(bench.claim())
    bench.referee.tick()
    assert sorted(bench.states()) == ["done", "failed"]


def test_a_result_that_is_a_link_is_not_read(bench, tmp_path):
    bench.submit()
    bench.referee.tick()
    job = bench.claim()
    (tmp_path / "secret").write_text(json.dumps(FIGURES))
    (bench.folders.of(job.key) / "result" / RESULT_FILE).symlink_to(tmp_path / "secret")
    bench.queue.finish(job, "done")
    bench.referee.tick()
    assert bench.states() == ["failed"]


def test_a_full_queue_only_delays(make_bench):
    bench = make_bench(queued=1)
    bench.submit(1)
    bench.submit(2)
    bench.referee.tick()
    assert sorted(bench.states()) == ["planned", "queued"]
    bench.finish(bench.claim())
    bench.referee.tick()
    assert sorted(bench.states()) == ["done", "queued"]


def test_the_finals_wait_for_what_was_sent_before_the_end(bench):
    bench.submit(1)
    bench.submit(2)
    bench.referee.tick()
    bench.store.close()
    bench.finish(bench.claim())
    bench.referee.tick()
    assert not bench.store.has_finals()
    bench.finish(bench.claim())
    bench.referee.tick()
    hidden = [row for row in bench.store.measurements() if row.key.data == "hidden"]
    assert [row.state for row in hidden] == ["queued", "queued"]
    assert bench.claim().spec["data"] == "hidden"


def test_the_end_may_come_by_itself(make_bench):
    from datetime import UTC, datetime

    bench = make_bench()
    bench.submit()
    bench.referee.tick()
    bench.finish(bench.claim())
    bench.store.rules = replace(bench.store.rules, closes=datetime.fromtimestamp(1000, UTC))
    bench.referee.tick()
    assert bench.store.has_finals()


def test_a_wrong_closing_time_can_be_put_right_while_nobody_has_taken_part(make_bench):
    from datetime import UTC, datetime

    bench = make_bench({"closes": datetime.fromtimestamp(1000, UTC)})
    bench.referee.tick()
    assert bench.store.closed()
    bench.store.rules = replace(bench.store.rules, closes=None)
    assert not bench.store.closed()
    bench.submit()


def test_what_waits_is_not_looked_at_one_by_one(bench, monkeypatch):
    for number in range(1, 4):
        bench.submit(number)
    bench.referee.tick()
    asked = []
    get = bench.queue.get
    monkeypatch.setattr(bench.queue, "get", lambda key: asked.append(key) or get(key))
    bench.referee.tick()
    assert asked == []
    job = bench.claim()
    bench.finish(job)
    bench.referee.tick()
    assert asked == [job.key]
