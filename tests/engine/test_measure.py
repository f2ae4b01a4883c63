import os

import pytest

from handheld.engine.measure import StagedCall, Timing, measure, sample
from handheld.errors import InputError


class FakeClock:
    """Time that passes only while a candidate spends it."""

    def __init__(self):
        self.now, self.cpu, self.calls = 0.0, 0.0, []

    def spend(self, name, durations):
        steps = iter(durations)

        def call():
            step = next(steps)
            self.calls.append(name)
            self.now += step
            self.cpu += step / 4

        return call

    def options(self, **more):
        return {"clock": lambda: self.now, "cpu_clock": lambda: self.cpu, **more}


def test_figures_by_hand():
    fake = FakeClock()
    candidate = fake.spend("a", [100, 100, *range(1, 12)])  # two warm-ups, then 1 to 11 seconds
    timing = measure({"a": candidate}, rounds=11, warmup=2, **fake.options())["a"]
    assert timing == Timing(median=6, p90=10, p95=10.5, min=1, iqr=5, cpu_median=1.5, runs=11)


def test_candidates_take_turns_in_a_seeded_order():
    def order(seed):
        fake = FakeClock()
        candidates = {name: fake.spend(name, [1] * 99) for name in "abc"}
        assert list(measure(candidates, rounds=20, warmup=1, seed=seed, **fake.options())) == [
            "a",
            "b",
            "c",
        ]
        return fake.calls

    calls = order(0)
    assert calls[:3] == ["a", "b", "c"]
    rounds = ["".join(calls[i : i + 3]) for i in range(3, len(calls), 3)]
    assert len(rounds) == 20
    assert {"".join(sorted(r)) for r in rounds} == {"abc"}
    assert len(set(rounds)) > 2
    assert order(0) == calls
    assert order(1) != calls


def test_min_seconds_adds_rounds_until_the_quickest_has_had_enough():
    fake = FakeClock()
    candidates = {"quick": fake.spend("quick", [0.5] * 99), "slow": fake.spend("slow", [3] * 99)}
    timings = measure(candidates, rounds=2, warmup=0, min_seconds=4, **fake.options())
    assert (timings["quick"].runs, timings["slow"].runs) == (8, 8)


def test_a_clock_that_stands_still_does_not_hang():
    assert measure({"a": lambda: None}, rounds=1, min_seconds=1, clock=lambda: 0.0)["a"].runs == 100


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin threads")
def test_pinning_is_undone():
    before, during = os.sched_getaffinity(0), []
    core = min(before)

    def fail():
        during.append(os.sched_getaffinity(0))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measure({"a": fail}, pin=core)
    assert during == [{core}]
    assert os.sched_getaffinity(0) == before
    for missing in (4000, 2**40, 2**80):
        with pytest.raises(InputError, match=f"core {missing} cannot be used"):
            measure({"a": fail}, pin=missing)


@pytest.mark.parametrize(
    "wrong",
    [
        {"candidates": {}},
        {"rounds": 0},
        {"rounds": 1.5},
        {"warmup": -1},
        {"pin": "0"},
        {"seed": -1},
        {"min_seconds": float("inf")},
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(InputError, match="expected"):
        measure(**{"candidates": {"a": lambda: None}, **wrong})


def test_it_warms_up_until_calls_get_no_faster():
    fake = FakeClock()
    candidate = fake.spend("a", [90, 80, 70, 9, 9, 9, 5, 5, 5, 5, 5, 5, *range(1, 12)])
    timing = measure({"a": candidate}, rounds=11, **fake.options())["a"]
    assert (timing.min, timing.median) == (1, 6)


def test_the_time_of_each_call_can_be_had():
    fake = FakeClock()
    candidate = fake.spend("a", [7, 6, 1, 2, 3])
    samples = sample({"a": candidate}, rounds=3, warmup=2, **fake.options())["a"]
    assert samples.warmup.tolist() == [7, 6]
    assert samples.wall.tolist() == [1, 2, 3]
    assert samples.cpu.tolist() == [0.25, 0.5, 0.75]


def test_what_stands_before_and_after_a_call_is_not_timed():
    fake = FakeClock()
    results = []

    def before():
        fake.now += 100

    def after(result):
        fake.now += 1000
        results.append(result)

    def call():
        fake.now += 1
        return "answer"

    samples = sample({"a": StagedCall(call, before, after)}, rounds=2, warmup=1, **fake.options())
    assert samples["a"].wall.tolist() == [1, 1]
    assert samples["a"].warmup.tolist() == [1]
    assert results == ["answer", "answer"]
