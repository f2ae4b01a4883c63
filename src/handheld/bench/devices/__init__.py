"""Devices on which the bench runs models: this machine, others by ssh, phones by adb
(experimental).

``Device`` is the seam; ``open_device`` makes one of what ``handheld bench --device`` says,
``BenchJob`` is what it does with each model. ``calibrate`` measures a device by our calibration
models, so that its results can be set beside those of another one.
"""

from handheld.bench.devices.adb import AdbDevice
from handheld.bench.devices.calibrate import calibrate, calibration_paths
from handheld.bench.devices.device import BenchJob, Device, DeviceAddress, TaskOption
from handheld.bench.devices.listing import ListedDevice, list_devices, open_device
from handheld.bench.devices.local import LocalDevice
from handheld.bench.devices.ssh import SshDevice, SshPatience

__all__ = [
    "AdbDevice",
    "BenchJob",
    "Device",
    "DeviceAddress",
    "ListedDevice",
    "LocalDevice",
    "SshDevice",
    "SshPatience",
    "TaskOption",
    "calibrate",
    "calibration_paths",
    "list_devices",
    "open_device",
]
