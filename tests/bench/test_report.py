from dataclasses import replace

import numpy as np
import pytest

from handheld.bench import BenchProtocol, ClassificationTask, bench, write_report
from handheld.bench.report import (
    budget_text,
    chart_name,
    equal_work,
    head_of,
    pareto_of,
    row_of,
    summary_lines,
)
from handheld.bench.trust import TrustVerdict
from handheld.data import Dataset

PROTOCOL = BenchProtocol(min_queries=20, min_seconds=0, budgets=(2.5, 100.0))


def colours():
    labels = np.arange(12) % 3
    pictures = np.zeros((12, 2, 2, 3), np.uint8)
    pictures[np.arange(12), 0, 0, labels] = 255
    return ClassificationTask.of(Dataset(pictures, labels, ("red", "green", "blue")))


@pytest.fixture
def results(model_file, quiet):
    """The same file as two models, of which the second is slow and knows all."""
    made = []
    for seconds, right in ((2.0, 0.5), (3.0, 1.0)):
        result = bench(model_file, colours(), protocol=PROTOCOL, tools=quiet(seconds).tools)
        accuracy = replace(result.accuracy, value=right)
        made.append(replace(result, accuracy=accuracy))
    return made


def test_equal_work_in_unlike_time_is_told(results):
    (pair,) = equal_work(results)
    assert (pair.macs, pair.ratio) == (36, 1.5)
    assert "do the same work" in next(summary_lines(results))


def test_but_not_of_runs_that_cannot_be_trusted(results):
    doubtful = replace(results[1], verdict=TrustVerdict(False, ("others ran",)))
    assert equal_work([results[0], doubtful]) == []
    assert pareto_of([results[0], doubtful]) is None


def test_the_curve_goes_through_both(results):
    curve = pareto_of(results)
    assert curve.at(2.0) == pytest.approx(0.5)
    assert curve.at(3.0) == pytest.approx(1.0)


def test_the_page_says_it_all(results, tmp_path):
    doubtful = replace(results[0], verdict=TrustVerdict(False, ("others <used> it",)))
    unjudged = replace(results[0], accuracy=None, scores=(), refusal="no pictures")
    page = write_report(tmp_path / "p.html", [*results, doubtful, unjudged]).read_text("utf-8")
    assert "within 2.5 s" in page
    assert "others &lt;used&gt; it" in page
    assert "not judged: no pictures" in page
    assert 'class="curve c0 d1"' in page
    assert "50.0 %" in page
    assert "None" not in page


def test_a_page_of_one_model_without_data(model_file, quiet, tmp_path):
    result = bench(model_file, protocol=PROTOCOL, tools=quiet(2.0).tools)
    page = write_report(tmp_path / "p.html", [result]).read_text("utf-8")
    assert "1 model on" in page
    assert "None" not in page


def test_a_table_has_a_cell_for_each_column(results):
    unjudged = replace(results[0], accuracy=None, scores=())
    for result in (*results, unjudged):
        assert len(row_of(result)) == len(head_of(results))
    assert "8 of 12 reached" not in row_of(results[0])[6]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.033, "33 ms"), (0.0005, "500 µs"), (0.0025, "2.5 ms"), (1.0, "1 s")]
)
def test_budgets_as_people_say_them(seconds, text):
    assert budget_text(seconds) == text


def test_long_names_keep_both_ends():
    assert chart_name("short", 16) == "short"
    assert chart_name("resnet_large_int8", 12) == "resne…e_int8"


def test_times_of_several_devices_are_not_mixed(results, tmp_path):
    elsewhere = replace(results[1], device="ssh:lab", machine={"cpu": "other"})
    assert pareto_of([results[0], elsewhere]) is None
    assert equal_work([results[0], elsewhere]) == []
    timed = replace(elsewhere, operator_seconds={"CONV_2D": 0.001})
    page = write_report(tmp_path / "p.html", [results[0], timed]).read_text("utf-8")
    assert "on this, ssh:lab, one example" in page
    assert "tiny on ssh:lab" in page
    assert "CONV_2D 1.00 ms" in page
    assert "side by side" not in page


def test_results_with_other_budgets_stand_under_their_own(results, tmp_path):
    protocol = replace(PROTOCOL, budgets=(7.0,))
    score = replace(results[1].scores[0], budget=7.0, reached=5)
    other = replace(results[1], protocol=protocol, scores=(score,))
    page = write_report(tmp_path / "p.html", [results[0], other]).read_text("utf-8")
    for words in ("within 2.5 s", "within 2 min", "within 7 s"):
        assert words in page
    assert page.count("5 of 12 reached") == 1


def test_a_device_that_tells_no_median(results, tmp_path):
    unknown = replace(results[0].latency.p50, value=float("nan"))
    silent = replace(results[0], latency=replace(results[0].latency, p50=unknown), accuracy=None)
    page = write_report(tmp_path / "p.html", [silent]).read_text("utf-8")
    assert "nan" not in page


def test_a_machine_that_says_nothing_of_itself(results, tmp_path):
    """It was a traceback of the page's template."""
    unknown = [replace(result, machine={}) for result in results]
    page = write_report(tmp_path / "p.html", unknown).read_text("utf-8")
    assert "on an unknown processor, one example" in page
