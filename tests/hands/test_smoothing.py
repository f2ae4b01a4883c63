import numpy as np
import pytest

from handheld.errors import InputError, TimestampError
from handheld.hands.smoothing import OneEuroFilter, OneEuroOptions

STEP = 33_333


def run(values, options=None, scale=1.0):
    low_pass = OneEuroFilter(options)
    return np.array(
        [
            low_pass(np.array([v], np.float32), i * STEP, scale=scale)[0]
            for i, v in enumerate(values)
        ]
    )


def test_a_still_value_passes():
    assert run([3.0] * 10) == pytest.approx(3.0)


def test_noise_at_rest_shrinks_and_motion_does_not_lag():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 300)
    assert run(noise)[50:].std() < 0.6 * noise[50:].std()
    fast = np.arange(60) * 0.3  # nine hand sizes a second
    assert np.abs(run(fast) - fast)[20:].max() < 0.15  # less than half a frame behind


def test_scale_makes_size_irrelevant():
    values = np.cumsum(np.random.default_rng(1).normal(0, 1, 50))
    assert run(values * 100, scale=100.0) == pytest.approx(run(values) * 100, rel=1e-4)


def test_without_speed_it_is_a_first_order_low_pass():
    tau, dt = 1 / (2 * np.pi * 2.0), STEP / 1e6
    weight = 1 / (1 + tau / dt)
    assert run([0.0, 1.0], OneEuroOptions(min_cutoff=2.0, beta=0.0))[1] == pytest.approx(
        weight, rel=1e-5
    )


def test_time_must_increase():
    low_pass = OneEuroFilter()
    low_pass(np.zeros(1, np.float32), 10)
    with pytest.raises(TimestampError, match="does not follow"):
        low_pass(np.zeros(1, np.float32), 10)


WRONG = [("min_cutoff", 0.0), ("min_cutoff", "1.5"), ("min_cutoff", float("inf"))]
WRONG += [("beta", -1.0), ("beta", None), ("speed_cutoff", float("nan")), ("speed_cutoff", True)]


@pytest.mark.parametrize(("option", "value"), WRONG)
def test_settings_are_checked(option, value):
    with pytest.raises(InputError, match=f"{option}: expected a number"):
        OneEuroOptions(**{option: value})


def test_a_filter_shares_no_memory_with_its_callers():
    low_pass = OneEuroFilter(OneEuroOptions(min_cutoff=1.0, beta=0.0))
    plain = OneEuroFilter(OneEuroOptions(min_cutoff=1.0, beta=0.0))
    for step in range(4):
        value = np.array([float(step)], np.float32)
        expected = plain(value.copy(), 100_000 * step)
        filtered = low_pass(value, 100_000 * step)
        assert filtered == expected
        filtered[:] = 99  # as one who normalises landmarks in place does
        value[:] = -99
