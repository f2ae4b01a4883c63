"""A device that is known again by its profile, and one that is another."""

from dataclasses import replace

import pytest

from handheld.bench import BenchProtocol
from handheld.bench.calibration import write_profile
from handheld.bench.challenge.hosting import require_device, serve_challenge, work
from handheld.bench.devices import LocalDevice, calibrate
from handheld.errors import InputError


@pytest.fixture
def with_profile(challenge, quiet):
    """Return a challenge whose device has a profile of two seconds a call."""

    def make(valid=True, **values):
        protocol = BenchProtocol(min_queries=20, min_seconds=0)
        profile, _ = calibrate(LocalDevice(quiet(2.0).tools), name="laptop", protocol=protocol)
        write_profile(challenge.root / "laptop.toml", replace(profile, core=None, valid=valid))
        device = replace(challenge.rules.devices[0], profile="laptop.toml", **values)
        return replace(challenge, rules=replace(challenge.rules, devices=(device,)))

    return make


@pytest.mark.parametrize("seconds", [2.0, 2.19, 1.83])
def test_a_device_is_known_again(with_profile, quiet, seconds):
    require_device(with_profile(), "reference", measuring=LocalDevice(quiet(seconds).tools))


@pytest.mark.parametrize(("seconds", "times"), [(2.3, "1.15"), (1.7, "0.85")])
def test_another_device_is_refused(with_profile, quiet, seconds, times):
    other = LocalDevice(quiet(seconds).tools)
    with pytest.raises(InputError, match=rf"device 'reference': .*'laptop'.* {times} times"):
        require_device(with_profile(), "reference", measuring=other)
    require_device(with_profile(tolerance=0.2), "reference", measuring=other)


def test_neither_worker_nor_server_begins_on_another_device(with_profile):
    # No machine of anybody takes two seconds for these.
    challenge = with_profile()
    with pytest.raises(InputError, match="this is not the device of profile 'laptop'"):
        work(challenge, "reference")
    with pytest.raises(InputError, match="this is not the device of profile 'laptop'"):
        serve_challenge(challenge, port=0)
    assert not (challenge.root / "state").exists()


def test_a_profile_of_a_busy_device(with_profile):
    with pytest.raises(InputError, match=r"laptop\.toml was taken while the device was busy"):
        require_device(with_profile(valid=False), "reference")


def test_a_profile_that_is_missing(with_profile):
    challenge = with_profile()
    (challenge.root / "laptop.toml").unlink()
    with pytest.raises(InputError, match=r"laptop\.toml"):
        require_device(challenge, "reference")


def test_without_a_profile_nothing_is_measured(challenge):
    require_device(challenge, "reference")
    with pytest.raises(InputError, match="expected one of reference"):
        require_device(challenge, "other")
