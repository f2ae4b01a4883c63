"""A time beside a calibration model's: by hand, and against what many draws say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from handheld.bench.calibration import (
    CalibrationProfile,
    CalibrationTime,
    normalised,
    normalised_times,
    read_profile,
    require_alike,
    write_profile,
)
from handheld.bench.metric import MetricEstimate, quantile
from handheld.errors import InputError

HASH = "ab" * 32
OTHER = "cd" * 32


def profile(median=0.004, **values):
    time = CalibrationTime(work="float", sha256=HASH, median=median, low=0.003, high=0.005, calls=9)
    usual = {"name": "laptop", "times": (time,), "machine": {"cpu": "x"}, "core": 1}
    return CalibrationProfile(**usual | values)


def test_a_ratio_by_hand():
    # Ends at e^0.3 and e^0.4 of the estimates: together at e^0.5.
    time = MetricEstimate(0.006, 0.006 * math.exp(-0.3), 0.006 * math.exp(0.3), 100)
    other = MetricEstimate(0.002, 0.002 * math.exp(-0.4), 0.002 * math.exp(0.4), 50)
    ratio = normalised(time, other)
    assert ratio.value == pytest.approx(3.0)
    assert ratio.low == pytest.approx(3.0 * math.exp(-0.5))
    assert ratio.high == pytest.approx(3.0 * math.exp(0.5))
    assert ratio.count == 50


def test_a_lopsided_interval_stays_lopsided():
    # What makes the calibration longer makes the ratio smaller.
    ratio = normalised(MetricEstimate(6.0, 6.0, 6.0, 9), MetricEstimate(2.0, 2.0, 4.0, 9))
    assert (ratio.low, ratio.high) == (1.5, 3.0)


def test_what_is_known_of_both_ends_alone_is_told():
    ratio = normalised(MetricEstimate(6.0, math.nan, 9.0, 9), MetricEstimate(2.0, 1.0, 4.0, 9))
    assert math.isnan(ratio.low)
    assert ratio.high > 3.0
    ratio = normalised(MetricEstimate(6.0, 0.0, 9.0, 9), MetricEstimate(2.0, 1.0, 4.0, 9))
    assert ratio.low == 0.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_times_that_are_none(seconds):
    one = MetricEstimate(1.0, 1.0, 1.0, 9)
    with pytest.raises(InputError, match="time: expected a"):
        normalised(replace(one, value=seconds), one)
    with pytest.raises(InputError, match="calibration: expected a"):
        normalised(one, replace(one, value=seconds))


def test_the_interval_holds_the_true_ratio_as_often_as_it_says():
    # Skewed times whose medians are known: 3 and 2.
    rng = np.random.default_rng(0)
    runs = 1000
    held = 0
    for _ in range(runs):
        time = quantile(3.0 * np.exp(rng.normal(0, 0.3, 100)), 0.5)
        other = quantile(2.0 * np.exp(rng.standard_exponential(60) - math.log(2)), 0.5)
        ratio = normalised(time, other)
        held += ratio.low <= 1.5 <= ratio.high
    # Intervals of order statistics are a little wider than 95 %; 3 deviations of 1000 runs are 2 %.
    assert 0.93 <= held / runs <= 0.99


def test_a_profile_is_read_back(tmp_path):
    path = tmp_path / "p.toml"
    name = 'my "laptop" \\ é \x7f \n [x] 😀'
    written = profile(name=name, taken="2026-11-27T12:00:00+00:00", machine={'a"b.c': "d\te"})
    bare = CalibrationTime(work="int8", sha256=OTHER, median=1e-5, calls=3)
    written = replace(written, times=(*written.times, bare), core=None, valid=False)
    write_profile(path, written)
    assert read_profile(path) == written


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"times": ()}, "times: expected 1 to 32"),
        ({"times": profile().times * 2}, "stands there twice"),
        ({"name": ""}, "name: expected 1 to 80"),
        ({"taken": "yesterday"}, "taken: expected a date"),
        ({"taken": "2026-11-27"}, "with its zone"),
        ({"machine": {"cpu": "x" * 300}}, r"machine\.cpu: expected 1 to 200"),
    ],
)
def test_what_no_profile_is(values, message):
    with pytest.raises(InputError, match=message):
        profile(**values)


@pytest.mark.parametrize("sha256", ["", "ab", "AB" * 32, "zz" * 32])
def test_hashes_that_are_none(sha256):
    with pytest.raises(InputError, match="sha256: expected 64"):
        CalibrationTime(work="x", sha256=sha256, median=1.0)


@pytest.mark.parametrize("ends", [(2.0, 3.0), (0.5, 0.9), (3.0, 0.5), (0.5, None), (None, 2.0)])
def test_an_interval_is_around_its_median(ends):
    with pytest.raises(InputError, match="low and high"):
        CalibrationTime(work="x", sha256=HASH, median=1.0, low=ends[0], high=ends[1])


def test_multiples_of_a_device():
    (time,) = normalised_times(MetricEstimate(0.008, 0.008, 0.008, 9), profile())
    assert (time.work, time.sha256, time.ratio.value) == ("float", HASH, 2.0)
    assert normalised_times(MetricEstimate(0.008, 0.008, 0.008, 9), None) == []
    assert normalised_times(MetricEstimate(math.nan, 1.0, 1.0, 9), profile()) == []


def test_the_same_device_and_another_one():
    require_alike(profile(0.004), profile(0.0043), tolerance=0.1)
    require_alike(profile(0.0043), profile(0.004), tolerance=0.1)
    with pytest.raises(InputError, match=r"float takes 1\.25 times as long, and 1\.1 times"):
        require_alike(profile(0.004), profile(0.005), tolerance=0.1)
    with pytest.raises(InputError, match=r"float takes 0\.75 times"):
        require_alike(profile(0.004), profile(0.003), tolerance=0.1)


def test_a_profile_of_other_calibration_models():
    other = replace(profile().times[0], sha256=OTHER)
    with pytest.raises(InputError, match="another calibration model of float"):
        require_alike(profile(), profile(times=(other,)), tolerance=0.1)
