"""Devices by name, and those that can be seen from here."""

from dataclasses import dataclass
from pathlib import Path

from handheld.bench.devices.adb import AdbDevice, adb_devices, adb_program
from handheld.bench.devices.device import Device, DeviceAddress
from handheld.bench.devices.local import LocalDevice
from handheld.bench.devices.ssh import REMOTE_COMMAND, SshDevice, SshPatience
from handheld.bench.record import describe_machine
from handheld.bench.run import THIS_MACHINE
from handheld.errors import DeviceError, InputError


@dataclass(frozen=True)
class ListedDevice:
    """A device that can be seen from here.

    Args:
        device: as ``handheld bench --device`` names it.
        state: whether it can be used.
        description: for people.
    """

    device: str
    state: str
    description: str


def open_device(
    address: DeviceAddress,
    *,
    remote_command: str = REMOTE_COMMAND,
    benchmark_binary: Path | None = None,
    patience: SshPatience | None = None,
) -> Device:
    """Return the device of an address; nothing is connected before it runs a model.

    Args:
        address: of the device.
        remote_command: of ssh: what starts this package there.
        benchmark_binary: of adb: ``benchmark_model``, built for the phone.
        patience: of ssh.

    Raises:
        DeviceError: the program that reaches it is missing here.
        InputError: a phone needs a binary that is not named, or is no file.
    """
    if address.transport == THIS_MACHINE:
        return LocalDevice()
    if address.transport == "ssh":
        return SshDevice(address, command=remote_command, patience=patience)
    if benchmark_binary is None:
        raise InputError(
            "--benchmark-binary: a phone needs LiteRT's benchmark_model, built for its processor; "
            "say where it is"
        )
    return AdbDevice(address, benchmark_binary)


def list_devices() -> list[ListedDevice]:
    """Return this machine and the phones that adb sees. Machines by ssh are not asked."""
    machine = describe_machine()
    listed = [ListedDevice(THIS_MACHINE, "ready", f"{machine['cpu']}, {machine['cores']} cores")]
    try:
        phones = adb_devices(adb_program())
    except DeviceError:
        return listed
    for serial, state in phones.items():
        word = "ready" if state == "device" else state
        listed.append(ListedDevice(f"adb:{serial}", word, "Android (experimental)"))
    return listed
