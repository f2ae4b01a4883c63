"""Pace steering, without clocks: devices are events on a heap."""

import heapq
import random

import pytest

from handheld.errors import InputError
from handheld.federated.server.pace import Pace, PaceRules

RULES = PaceRules(rate=20.0, shortest=5.0, longest=3600.0, meeting=60.0, few=50, window=10.0)


class Population:
    """Devices that do as they are told, mostly."""

    def __init__(self, devices, *, rules=RULES, shows=1.0, spread=30.0, processes=1, seed=3):
        self.rules = rules
        self.rng = random.Random(seed)
        self.shows = shows
        self.processes = processes
        self.paces = [Pace.at(0.0) for _ in range(processes)]
        self.coming = [self.rng.random() * spread for _ in range(devices)]
        heapq.heapify(self.coming)
        self.arrivals = []

    def until(self, end):
        """Let devices arrive up to a time; return the arrivals."""
        while self.coming and self.coming[0] < end:
            now = heapq.heappop(self.coming)
            self.arrivals.append(now)
            number = self.rng.randrange(self.processes)
            pace = self.paces[number].arrived(now, self.rules, processes=self.processes)
            seconds, pace = pace.come_back(
                now, self.rng.random(), self.rules, processes=self.processes
            )
            self.paces[number] = pace
            # Who does not show up now does so the time after.
            times = 1
            while self.rng.random() >= self.shows:
                times += 1
            heapq.heappush(self.coming, now + seconds * times)
        return self.arrivals

    def rates(self, start, end, width=30.0):
        """Return arrivals a second, over pieces of time."""
        counts = [0] * int((end - start) / width)
        for time in self.arrivals:
            if start <= time < start + width * len(counts):
                counts[int((time - start) / width)] += 1
        return [count / width for count in counts]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("spread", [5.0, 200.0])
def test_many_devices_arrive_at_the_wanted_rate(processes, spread):
    """10,000 devices that come at first all at once, or nearly so."""
    population = Population(10_000, spread=spread, processes=processes)
    population.until(3000.0)
    rates = population.rates(600.0, 3000.0)
    assert min(rates) >= 0.8 * RULES.rate
    assert max(rates) <= 1.2 * RULES.rate
    expected = sum(pace.population(3000.0, RULES) for pace in population.paces) / processes
    assert expected == pytest.approx(10_000, rel=0.1)


def test_devices_that_do_not_come_are_made_up_for():
    """Three of ten skip a turn: slots are given out faster, until the rate is the wanted one."""
    population = Population(10_000, shows=0.7)
    population.until(20_000.0)
    rates = population.rates(10_000.0, 20_000.0, 100.0)
    assert min(rates) >= 0.8 * RULES.rate
    assert max(rates) <= 1.2 * RULES.rate


def test_after_a_restart_nobody_is_told_to_come_twice():
    population = Population(10_000)
    population.until(1000.0)
    population.paces = [Pace.at(1000.0, free=population.paces[0].free)]
    population.until(3000.0)
    rates = population.rates(1000.0, 3000.0)
    assert min(rates) >= 0.8 * RULES.rate
    assert max(rates) <= 1.2 * RULES.rate


def test_few_devices_meet():
    """Twelve devices come within a few seconds of one another, once a minute."""
    population = Population(12, spread=50.0)
    population.until(600.0)
    late = [time for time in population.arrivals if time > 130.0]
    assert {int(time // 60) for time in late} == set(range(3, 10))
    assert max(time % 60 for time in late) < RULES.shortest
    assert len(late) == 12 * 7


def test_more_than_the_timetable_holds():
    rules = PaceRules(rate=10.0, shortest=1.0, longest=100.0, meeting=10.0, few=5)
    population = Population(5000, rules=rules, spread=100.0)
    population.until(2000.0)
    # 5,000 devices in 75 seconds on average: as seldom as the longest time away allows.
    rates = population.rates(500.0, 2000.0, 100.0)
    assert max(rates) < 100.0


def test_nobody_comes_sooner_or_later_than_the_operator_says():
    rules = PaceRules(rate=5.0, shortest=2.0, longest=30.0, meeting=10.0, few=20)
    pace = Pace.at(0.0)
    rng = random.Random(1)
    for number in range(500):
        seconds, pace = pace.come_back(number * 0.01, rng.random(), rules)
        assert 2.0 <= seconds <= 30.0


def test_a_meeting_that_nobody_may_reach():
    with pytest.raises(InputError, match=r"meeting: expected a number in \(0, 30"):
        PaceRules(meeting=60.0, longest=30.0)
