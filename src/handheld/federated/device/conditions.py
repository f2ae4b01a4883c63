"""Whether a device may learn now: idle, charging, and on a network that costs nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from handheld.ranges import in_range


@dataclass(frozen=True)
class DeviceSituation:
    """What a device is doing; None where nobody knows.

    Attributes:
        idle: nobody uses it.
        charging: it draws no current from its battery.
        unmetered: its network costs nothing by the byte.
    """

    idle: bool | None = None
    charging: bool | None = None
    unmetered: bool | None = None


class DeviceSensors(Protocol):
    """Tell what a device is doing; ``machine.MachineSensors`` asks the system."""

    def read(self) -> DeviceSituation:
        """Return what it is doing now; quick enough to be called several times a second."""


@dataclass(frozen=True)
class DeviceConditions:
    """What must be so for a device to learn. What is not known is not so.

    Attributes:
        idle: whether nobody may use it.
        charging: whether it must be charging.
        unmetered: whether its network must cost nothing.
    """

    idle: bool = True
    charging: bool = True
    unmetered: bool = True

    def unmet(self, situation: DeviceSituation) -> tuple[str, ...]:
        """Return what should be so and is not, in words."""
        unmet = []
        for name in ("idle", "charging", "unmetered"):
            is_so: bool | None = getattr(situation, name)
            if is_so is True or not getattr(self, name):
                continue
            reason = f"not {name}"
            # What is not known may be a phone in its user's hand.
            if is_so is None:
                reason = f"not known to be {name}"
            unmet.append(reason)
        return tuple(unmet)


@dataclass
class LearningGate:
    """Says whether a device may learn.

    Sensors are asked at most every so often; an open gate needs a fresh answer.

    Attributes:
        sensors: of the device.
        conditions: that must hold.
        every: seconds for which an answer is good, 0 or more.
        clock: seconds, rising.

    Raises:
        InputError: another number of seconds.
    """

    sensors: DeviceSensors
    conditions: DeviceConditions = field(default_factory=DeviceConditions)
    # Asking the system takes some milliseconds, and steps may be as short.
    every: float = 0.2
    clock: Callable[[], float] = time.monotonic
    _asked: float = field(default=float("-inf"), init=False)
    _unmet: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        in_range("every", self.every, low=0)

    def unmet(self) -> tuple[str, ...]:
        """Return why the device may not learn now; nothing if it may."""
        now = self.clock()
        # An answer is asked for again once it is too old, not each step.
        if now - self._asked >= self.every:
            self._unmet = self.conditions.unmet(self.sensors.read())
            self._asked = now
        return self._unmet
