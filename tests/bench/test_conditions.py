"""Counters of a made machine, read from files that say what Linux's say."""

import pytest

from handheld.bench.conditions import conditions_between, snapshot

# user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second
STAT = "cpu  {0} 0 {1} 5000 100 0 0 {2} {0} 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n"
STAT += "cpu1 {0} 0 {1} 2500 50 0 0 {2} {0} 0\nintr 1 2 3\n"


class Files:
    def __init__(self, **files):
        self.files = {name.replace("__", "/"): text for name, text in files.items()}

    def __call__(self, path):
        for end, text in self.files.items():
            if path.endswith(end):
                return text
        raise FileNotFoundError(path)


def taken(moment, *, user, system, steal, pressure=0, **more):
    files = Files(
        stat=STAT.format(user, system, steal), pressure__cpu=f"some avg10=0.00 total={pressure}\n"
    )
    files.files |= more
    made = snapshot(1, read=files)
    return type(made)(**{**made.__dict__, "seconds": moment[0], "own_cpu": moment[1]})


def test_shares_by_hand():
    before = taken((10.0, 1.0), user=100, system=20, steal=0, pressure=1_000_000)
    # two seconds in which the core was busy for 1.5, of which 1.2 are ours, and 0.1 were stolen
    after = taken((12.0, 2.2), user=240, system=30, steal=10, pressure=1_400_000)
    conditions = conditions_between(before, after)
    assert conditions.seconds == 2.0
    assert conditions.core_others == pytest.approx(0.15)
    assert conditions.core_stolen == pytest.approx(0.05)
    # of two cores
    assert conditions.all_others == pytest.approx(0.075)
    assert conditions.pressure == pytest.approx(0.2)


def test_energy_of_all_packages():
    def energy(first, second):
        return {
            "intel-rapl:0/energy_uj": str(first),
            "intel-rapl:1/energy_uj": str(second),
        }

    before = taken((0.0, 0.0), user=0, system=0, steal=0, **energy(1_000_000, 5_000_000))
    after = taken((1.0, 0.0), user=0, system=0, steal=0, **energy(3_500_000, 6_000_000))
    assert conditions_between(before, after).joules == pytest.approx(3.5)
    # a counter that began anew says nothing
    assert conditions_between(after, before).joules is None


def test_clock_rates():
    made = taken((0.0, 0.0), user=0, system=0, steal=0, scaling_cur_freq="2400000\n")
    assert made.clock_mhz == 2400.0


def test_a_system_that_tells_nothing():
    made = snapshot(None, read=Files())
    conditions = conditions_between(made, made)
    assert conditions.core_others is None
    assert conditions.pressure is None
    assert conditions.clock_before is None
    assert conditions.joules is None


def test_this_machine_can_be_read():
    made = snapshot(0)
    assert made.own_cpu >= 0
