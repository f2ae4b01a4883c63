"""What this machine is doing.

Its processors, its battery, and, on Linux, who is there and what the network costs.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from handheld.errors import MissingDependencyError
from handheld.federated.device.conditions import DeviceSituation

try:
    import psutil
except ImportError as error:
    raise MissingDependencyError("psutil", "federated", "reading sensors") from error

_LOGIN = (
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
    "IdleHint",
)
_NETWORK = (
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
)
_METERED = {
    "1": False,
    "2": True,
    "3": False,
    "4": True,
}  # yes, no, and guesses of either (NetworkManager's NMMetered)
_SECONDS = 1.0


def bus_property(place: Sequence[str]) -> str | None:
    """Return a property of a service on the system's bus, None if it does not answer."""
    try:
        done = subprocess.run(
            ["busctl", "get-property", *place],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split()[-1] if done.returncode == 0 and done.stdout.split() else None


class MachineSensors:
    """Asks the system for its processors and battery, logind and NetworkManager for the rest.

    Logind knows whether people are there, NetworkManager what the network costs.

    A machine is idle while others than this process (and what it started) use less than ``busy`` of
    its processors, and nobody is logged in and awake. One without a battery is charging.

    Args:
        busy: share of all processors, 0 to 1.
        ask: for a property of a service on the system's bus.
    """

    def __init__(
        self, busy: float = 0.25, ask: Callable[[Sequence[str]], str | None] = bus_property
    ):
        self.busy, self._ask = busy, ask
        self._before = self._times()

    def read(self) -> DeviceSituation:
        """Return what the machine has been doing since the call before."""
        battery = psutil.sensors_battery()
        charging = True if battery is None else battery.power_plugged
        return DeviceSituation(self._idle(), charging, _METERED.get(self._ask(_NETWORK) or ""))

    def _idle(self) -> bool:
        (all_before, others_before), now = self._before, self._times()
        passed = now[0] - all_before
        if passed <= 0:
            return False
        self._before = now
        return (now[1] - others_before) / passed < self.busy and self._ask(_LOGIN) != "false"

    def _times(self) -> tuple[float, float]:
        """Return seconds of all processors, and those in which they worked for others."""
        times: Any = psutil.cpu_times()
        here = psutil.Process(os.getpid()).cpu_times()
        working = sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0)
        return sum(times), working - (
            here.user + here.system + here.children_user + here.children_system
        )


def resident_megabytes() -> float:
    """Return how much memory this process takes now, in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6
