"""MLPerf's generator, and our rule beside its verdict."""

import math

import pytest

from handheld.bench import BenchProtocol
from handheld.bench.loadgen import early_stopping_rank, our_verdict, read_summary, run_loadgen
from handheld.errors import InputError


def test_early_stopping_by_the_binomial_tail():
    # With t slow ones, P(Binomial(n, 0.1) <= t) <= 1 %; the t-th slowest is the estimate.
    for queries in (64, 65, 100, 500):
        slow = queries - early_stopping_rank(queries) + 1

        def chance(most, queries=queries):
            terms = (math.comb(queries, k) * 0.1**k * 0.9 ** (queries - k) for k in range(most + 1))
            return sum(terms)

        assert chance(slow) <= 0.01
        assert chance(slow + 1) > 0.01
    assert (early_stopping_rank(63), early_stopping_rank(64)) == (None, 64)


@pytest.mark.parametrize("queries", [63, 64, 100, 500])
def test_early_stopping_is_loadgens(model_file, tmp_path, queries):
    pytest.importorskip("mlperf_loadgen")
    protocol = BenchProtocol(min_queries=queries, min_seconds=0.0)
    done = run_loadgen(model_file, tmp_path, protocol=protocol)
    assert (done.valid, done.ours) == (queries >= 64, queries >= 64)
    if done.valid:
        discarded = done.queries - early_stopping_rank(done.queries)
        assert f"Would discard {discarded} highest latency queries." in done.reasons


@pytest.mark.parametrize("scenario", ["SingleStream", "Offline"])
@pytest.mark.parametrize(
    "protocol",
    [
        BenchProtocol(min_queries=200, min_seconds=0.0),
        BenchProtocol(min_queries=70, min_seconds=0.05),
    ],
)
def test_our_rule_agrees_with_its_verdict(model_file, tmp_path, scenario, protocol):
    pytest.importorskip("mlperf_loadgen")
    done = run_loadgen(model_file, tmp_path / "logs", scenario=scenario, protocol=protocol)
    assert done.agrees, done
    assert done.valid, done
    assert (tmp_path / "logs" / "mlperf_log_summary.txt").exists()
    assert done.queries >= protocol.min_queries or scenario == "Offline"


def test_its_percentile_is_ours(model_file, tmp_path):
    pytest.importorskip("mlperf_loadgen")
    protocol = BenchProtocol(min_queries=500, min_seconds=0.0)
    done = run_loadgen(model_file, tmp_path, protocol=protocol)
    theirs = float(done.summary["90.00 percentile latency (ns)"]) * 1e-9
    # it times its own way to us too
    assert done.p90 <= theirs


def test_a_run_without_a_summary(tmp_path):
    with pytest.raises(InputError, match="left no summary"):
        read_summary(tmp_path / "mlperf_log_summary.txt")


def test_a_summary_of_an_invalid_run(tmp_path):
    path = tmp_path / "mlperf_log_summary.txt"
    path.write_text(
        "Scenario : SingleStream\nResult is : INVALID\n  Min queries satisfied : NO\n"
        "Recommendations:\n * Increase the target QPS\n"
    )
    figures, reasons = read_summary(path)
    assert figures["Result is"] == "INVALID"
    assert reasons == ("Increase the target QPS",)


def test_a_run_that_is_too_short_for_us():
    protocol = BenchProtocol(min_queries=100, min_seconds=1.0)
    assert our_verdict(100, 1.0, "SingleStream", protocol)
    assert not our_verdict(99, 1.0, "SingleStream", protocol)
    assert not our_verdict(100, 0.9, "Offline", protocol)


def test_a_scenario_that_is_none(model_file, tmp_path):
    pytest.importorskip("mlperf_loadgen")
    with pytest.raises(InputError, match="expected one of SingleStream, Offline"):
        run_loadgen(model_file, tmp_path, scenario="Server")
