"""What is measured where it is more than one model file: a task opens it itself."""

import numpy as np
import pytest

from handheld.bench import BenchProtocol, ModelFacts, bench, write_report
from handheld.bench.metric import share
from handheld.bench.report import row_of, summary_lines
from handheld.errors import ModelError
from handheld.reports import NONE

SHORT = BenchProtocol(min_queries=20, min_seconds=0, budgets=(1.0,))
FACTS = ModelFacts("pack", "pack", "00" * 32, 9, 0, {}, (), 0, {}, "")


class Doubler:
    """Doubles numbers."""

    is_isolated = False

    def __init__(self):
        self.loads = []
        self.calls = 0
        self.is_closed = False

    def facts(self, name):
        return FACTS

    def load(self, number):
        self.loads.append(number)

    def call(self):
        self.calls += 1
        return 2 * self.loads[-1]

    def answer(self, result):
        return result

    def close(self):
        self.is_closed = True


class Doubling:
    """Whether numbers are doubled; the last one wants to be tripled."""

    name = "doubling"
    metric = "doubled"
    budget = 1.0
    digest = "d"
    unit = "number"

    def __init__(self, count=3):
        self.count = count
        self.system = Doubler()

    def __len__(self):
        return self.count

    def open(self, path, protocol):
        if path == "nothing":
            raise ModelError("nothing: no doubler")
        return self.system

    def judge(self, answers):
        truth = [2 * number for number in range(self.count - 1)] + [3 * (self.count - 1)]
        right = sum(answer == truth[number] for number, answer in enumerate(answers))
        return share(right, len(answers))

    def details(self, answers):
        return {"sum": float(sum(answers))}


def test_a_system_is_measured_as_a_file_is(quiet, tmp_path):
    task = Doubling()
    result = bench("pack", task, protocol=SHORT, tools=quiet(2.0).tools)
    assert (result.latency.p50.value, result.latency.calls) == (2.0, 22)
    assert result.verdict.valid
    assert (result.task, result.examples, result.unit) == ("doubling", 3, "number")
    assert result.accuracy.value == 2 / 3
    # three seconds for numbers of two, of which the first takes none
    assert (result.scores[0].reached, result.scores[0].score.value) == (2, 2 / 3)
    assert result.details == {"sum": 6.0}
    assert result.per_second == 0.5
    assert result.memory is None
    assert task.system.is_closed
    assert row_of(result)[-1] == NONE
    assert list(summary_lines([result])) == ["pack: 0.5 numbers a second; sum: 6"]
    page = write_report(tmp_path / "page.html", [result], note="Of <numbers>.").read_text("utf-8")
    assert "Of &lt;numbers&gt;." in page
    assert "0.5 numbers a second; sum: 6" in page


def test_examples_come_in_turn_and_four_times(quiet):
    task = Doubling(10)
    bench("pack", task, protocol=SHORT, tools=quiet(2.0).tools)
    counted = task.system.loads[-40:]
    assert counted == list(range(10)) * 4
    # the harness warms up with the first
    assert set(task.system.loads[:-40]) == {0}


def test_unlike_examples_are_no_spread(quiet):
    # six calls warm up; then each third number takes nine times as long
    times = [1.0] * 6 + [1.0, 1.0, 9.0] * 8
    result = bench("pack", Doubling(), protocol=SHORT, tools=quiet(*times).tools)
    assert result.verdict.valid, result.verdict.reasons
    assert any("unlike work" in note for note in result.verdict.notes)
    # the figures are of the times as they are
    assert result.latency.p99.value == 9.0


def test_one_example_that_takes_unlike_times_is(quiet):
    rng = np.random.default_rng(0)
    times = [1.0] * 6 + rng.uniform(1, 2, 24).tolist()
    result = bench("pack", Doubling(), protocol=SHORT, tools=quiet(*times).tools)
    assert any("times spread too far" in reason for reason in result.verdict.reasons)


def test_what_cannot_be_opened(quiet):
    with pytest.raises(ModelError, match="no doubler"):
        bench("nothing", Doubling(), protocol=SHORT, tools=quiet(2.0).tools)
