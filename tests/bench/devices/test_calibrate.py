"""Our calibration models, and a device measured by them."""

import importlib.util
from pathlib import Path

import pytest

from handheld.bench import BenchProtocol
from handheld.bench.devices import LocalDevice, calibrate, calibration_paths
from handheld.bench.devices.calibrate import CALIBRATION_MODELS
from handheld.engine import Model

MAKER = Path(__file__).parents[2] / "fixtures" / "make_calibration.py"
SHORT = BenchProtocol(min_queries=20, min_seconds=0)


def maker():
    spec = importlib.util.spec_from_file_location("make_calibration", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_those_that_the_script_makes():
    made = {f"{stem}.tflite": make() for stem, make in maker().MODELS.items()}
    assert made == {path.name: path.read_bytes() for path in calibration_paths()}


@pytest.mark.parametrize(
    ("work", "macs"),
    [
        # 56 x 56 x 64 outputs, of 3 x 3 x 64 products each
        ("float convolution", 56 * 56 * 64 * 9 * 64),
        ("int8 convolution", 56 * 56 * 64 * 9 * 64),
        ("float depthwise", 8 * 56 * 56 * 64 * 9),
    ],
)
def test_each_does_its_kind_of_work(work, macs):
    path = dict(zip(CALIBRATION_MODELS, calibration_paths(), strict=True))[work]
    with Model.open(path) as model:
        assert model.cost.macs == macs
        assert ("int8" in str(model.inputs[0])) == work.startswith("int8")


def test_a_profile_of_this_machine(quiet):
    profile, results = calibrate(LocalDevice(quiet(2.0).tools), name="mine", protocol=SHORT)
    assert profile.name == "mine"
    assert [time.work for time in profile.times] == list(CALIBRATION_MODELS)
    assert [(time.median, time.low, time.high) for time in profile.times] == [(2.0, 2.0, 2.0)] * 3
    assert [time.sha256 for time in profile.times] == [one.model.sha256 for one in results]
    assert profile.valid
    assert profile.machine["handheld"]
    assert "time" not in profile.machine


def test_a_run_that_cannot_be_trusted_makes_no_valid_profile(quiet):
    protocol = BenchProtocol(min_queries=20, min_seconds=0)
    times = [2.0, 3.0, 4.0, 5.0] * 400
    profile, _ = calibrate(LocalDevice(quiet(*times).tools), protocol=protocol)
    assert not profile.valid
