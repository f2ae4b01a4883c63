"""What this machine is doing.

Its processors, its battery, and, on Linux, who is there and what the network costs.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from handheld.errors import MissingDependencyError
from handheld.federated.device.conditions import DeviceSituation

try:
    import psutil
except ImportError as error:
    raise MissingDependencyError("psutil", "federated", "reading sensors") from error

# Service, object, interface and property, as busctl takes them.
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
# Whether it costs nothing: NetworkManager's NMMetered says yes, no, or guesses either.
_METERED = {"1": False, "2": True, "3": False, "4": True}
_SECONDS = 1.0  # a bus that has not answered by then would hold up steps


def bus_property(path: Sequence[str]) -> str | None:
    """Return a property of a service on the system's bus, None if it does not answer."""
    try:
        done = subprocess.run(
            ["busctl", "get-property", *path],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # busctl prints a type and a value, such as "u 4".
    words = done.stdout.split()
    if done.returncode == 0 and words:
        return words[-1]
    return None


@dataclass(frozen=True)
class _ProcessorTimes:
    """Seconds of all processors since the machine started, and those of work for others."""

    total: float
    others: float


class MachineSensors:
    """Asks the system for its processors and battery, logind and NetworkManager for the rest.

    Logind knows whether people are there, NetworkManager what the network costs.

    A machine is idle while others than this process (and what it started) use less than ``busy`` of
    its processors, and nobody is logged in and awake. One without a battery is charging.

    Args:
        busy: share of all processors, in [0, 1].
        ask: for a property of a service on the system's bus.
    """

    def __init__(
        self, busy: float = 0.25, ask: Callable[[Sequence[str]], str | None] = bus_property
    ):
        self.busy = busy
        self._ask = ask
        self._before = self._times()

    def read(self) -> DeviceSituation:
        """Return what the machine has been doing since the call before."""
        battery = psutil.sensors_battery()
        # What has no battery is a machine on a desk, which is plugged in.
        charging = True
        if battery is not None:
            charging = battery.power_plugged
        metered = self._ask(_NETWORK) or ""
        return DeviceSituation(self._idle(), charging, _METERED.get(metered))

    def _idle(self) -> bool:
        before = self._before
        now = self._times()
        passed = now.total - before.total
        # The system counts in hundredths of a second: of less nothing can be told.
        if passed <= 0:
            return False
        self._before = now
        is_busy = (now.others - before.others) / passed >= self.busy
        return not is_busy and self._ask(_LOGIN) != "false"

    def _times(self) -> _ProcessorTimes:
        times: Any = psutil.cpu_times()
        here = psutil.Process(os.getpid()).cpu_times()
        # Waiting for a disk is no work; time of virtual machines is in the user's already.
        unused = times.idle + getattr(times, "iowait", 0) + getattr(times, "guest", 0)
        ours = here.user + here.system + here.children_user + here.children_system
        total = sum(times)
        return _ProcessorTimes(total, total - unused - ours)


def resident_megabytes() -> float:
    """Return how much memory this process takes now, in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6
