"""A device, measured by our calibration models.

Three small models ship with the package, one kind of work each, as one ratio misleads: processors
differ in how much faster int8 is than float, and depthwise layers wait for memory where others
compute. All come from ``tests/fixtures/make_calibration.py``, with weights of a fixed seed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from handheld.bench.calibration import CalibrationProfile, CalibrationTime
from handheld.bench.devices.device import BenchJob, Device, Say
from handheld.bench.metric import MetricEstimate
from handheld.bench.protocol import BenchProtocol
from handheld.bench.run import BenchResult
from handheld.errors import DeviceError

CALIBRATION_MODELS: Mapping[str, str] = {
    "float convolution": "float_convolution.tflite",
    "float depthwise": "float_depthwise.tflite",
    "int8 convolution": "int8_convolution.tflite",
}
"""Files of the calibration models, by the work that each does."""

_ASSETS = Path(__file__).parents[1] / "assets" / "calibration"
_LONGEST_NAME = 80
_LONGEST = 200  # characters of a fact of a machine


def calibration_paths() -> list[Path]:
    """Return the files of the calibration models."""
    return [_ASSETS / name for name in CALIBRATION_MODELS.values()]


def calibrate(
    device: Device,
    *,
    name: str = "",
    protocol: BenchProtocol | None = None,
    say: Say | None = None,
) -> tuple[CalibrationProfile, list[BenchResult]]:
    """Measure a device by the calibration models.

    Args:
        device: that runs them.
        name: of the profile; "" is the device's processor.
        protocol: the rules; None: the usual ones.
        say: takes lines of progress.

    Returns:
        The profile, and the results that it was made of.

    Raises:
        DeviceError: the device cannot be reached, or does not tell medians.
    """
    protocol = protocol or BenchProtocol()
    job = BenchJob(protocol=protocol, names=tuple(CALIBRATION_MODELS))
    results = list(device.run(calibration_paths(), job, say))
    machine = {key: str(value)[:_LONGEST] for key, value in results[0].machine.items() if value}
    # That of the profile stands beside it.
    machine.pop("time", None)
    profile = CalibrationProfile(
        name=name or machine.get("cpu", device.name)[:_LONGEST_NAME],
        times=tuple(_time_of(result) for result in results),
        core=results[0].core,
        threads=protocol.threads,
        taken=datetime.now(UTC).isoformat(timespec="seconds"),
        valid=all(result.verdict.valid for result in results),
        machine=machine,
    )
    return profile, results


def _time_of(result: BenchResult) -> CalibrationTime:
    median = result.latency.p50
    if not median.value > 0:
        raise DeviceError(f"{result.device} tells no median of {result.model.name}")
    low, high = _ends(median)
    return CalibrationTime(
        work=result.model.name,
        sha256=result.model.sha256,
        median=median.value,
        low=low,
        high=high,
        calls=median.count,
    )


def _ends(median: MetricEstimate) -> tuple[float | None, float | None]:
    """Return the ends of an interval; None where it has none."""
    # NaN is no order: either end missing leaves no interval.
    if not median.low <= median.high:
        return None, None
    return median.low, median.high
