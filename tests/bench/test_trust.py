"""Each reason against a run, alone: a quiet run with one thing changed."""

from dataclasses import replace

import numpy as np
import pytest

from handheld.bench import BenchProtocol
from handheld.bench.conditions import RunConditions
from handheld.bench.trust import RunEvidence, verdict

PROTOCOL = BenchProtocol(min_queries=90, min_seconds=0.5)
STEADY = np.full(100, 0.01)
QUIET = RunConditions(
    seconds=1.0,
    core_others=0.0,
    core_stolen=0.0,
    all_others=0.0,
    preemptions=2.0,
    pressure=0.0,
    clock_before=3000.0,
    clock_after=2990.0,
    throttled=0,
    joules=None,
)
GOOD = RunEvidence(wall=STEADY, cpu=STEADY, settled=True, conditions=QUIET)


def under(**changes):
    return replace(GOOD, conditions=replace(QUIET, **changes))


def timed(wall):
    wall = np.asarray(wall, float)
    return replace(GOOD, wall=wall, cpu=wall)


def test_a_quiet_run_is_valid():
    judged = verdict(GOOD, PROTOCOL)
    assert (judged.valid, judged.reasons, judged.word) == (True, (), "VALID")


def test_what_a_system_does_not_tell_speaks_for_nothing():
    nothing = RunConditions(1.0, None, None, None, None, None, None, None, None, None)
    judged = verdict(replace(GOOD, conditions=nothing), PROTOCOL)
    assert judged.valid
    assert any("does not tell clock rates" in note for note in judged.notes)


REASONS = {
    "queries": (timed(np.full(89, 0.01)), "89 queries were counted, 90 are needed"),
    "seconds": (timed(np.full(100, 0.001)), "the queries took 0.1 s, 0.5 s are needed"),
    "not settled": (replace(GOOD, settled=False), "still getting faster"),
    "spread": (timed([0.01, 0.012] * 50), "quartiles"),
    "drift": (timed([0.01] * 30 + [0.0104] * 40 + [0.0106] * 30), "became slower"),
    "speeds up": (timed([0.0106] * 30 + [0.0104] * 40 + [0.01] * 30), "became faster"),
    "others ran": (replace(GOOD, cpu=STEADY * 0.9), "running for 90% of its own time"),
    "more threads": (replace(GOOD, cpu=STEADY * 2), "2 cores were busy"),
    "others on the core": (under(core_others=0.06), "others used 6% of its core"),
    "others on all": (under(all_others=0.5), "others used 50% of all cores"),
    "stolen": (under(core_stolen=0.1), "other virtual machines took 10%"),
    "pressure": (under(pressure=0.3), "waited for a core for 30%"),
    "preempted": (under(preemptions=200.0), "lost its core 200 times a second"),
    "clock": (under(clock_after=2500.0), "from 3000 to 2500 MHz"),
    "hot": (under(throttled=3), "slowed 3 times because it was hot"),
    "no clock": (timed(np.zeros(100)), "too coarse"),
}


@pytest.mark.parametrize(("evidence", "words"), REASONS.values(), ids=REASONS)
def test_what_speaks_against_a_run_is_told(evidence, words):
    judged = verdict(evidence, PROTOCOL)
    assert not judged.valid
    assert any(words in reason for reason in judged.reasons), judged.reasons
    # a clock that stands still is too short as well
    assert len(judged.reasons) == 1 or words == "too coarse"


def test_a_short_run_says_what_an_official_one_is():
    assert any("--official" in note for note in verdict(GOOD, PROTOCOL).notes)
    official = BenchProtocol(min_queries=1024, min_seconds=60)
    long = timed(np.full(1100, 0.06))
    assert not any("--official" in note for note in verdict(long, official).notes)


def test_a_model_in_a_process_of_its_own_is_not_blamed_for_its_cpu_time():
    judged = verdict(replace(GOOD, cpu=STEADY * 0, apart=True), PROTOCOL)
    assert judged.valid
    assert any("process of its own" in note for note in judged.notes)


def test_reading_the_clock_is_no_second_thread():
    # of calls of 2 us, 3 us of CPU time are those of the clocks
    wall = np.full(1_000_000, 2e-6)
    judged = verdict(replace(GOOD, wall=wall, cpu=wall + 3e-6), PROTOCOL)
    assert judged.valid
    assert any("from Python" in note for note in judged.notes)


def test_noise_is_no_drift():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wall = 0.01 * (1 + 0.02 * rng.standard_normal(120))
        assert verdict(timed(wall), PROTOCOL).valid
