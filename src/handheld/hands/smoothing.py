"""The One-Euro filter: still hands stay still, fast hands do not lag.

Casiez, Roussel and Vogel, "1 EUR Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012. A first-order low-pass filter whose cut-off rises with speed. Here
speed is in hand sizes per second, so that one setting fits near and far hands.
"""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import TimestampError
from handheld.ranges import in_range

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class OneEuroOptions:
    """Settings of the filter.

    Attributes:
        min_cutoff: hertz, of a value at rest; lower is steadier.
        beta: hertz of cut-off for each hand size per second; higher follows fast motion more
            closely.
        speed_cutoff: hertz, of the low-pass on the speed itself.

    Raises:
        InputError: one of them is no finite number above 0 (``beta``: of 0 or more).
    """

    min_cutoff: float = 1.5
    beta: float = 12.0
    speed_cutoff: float = 1.0

    def __post_init__(self) -> None:
        in_range("min_cutoff", self.min_cutoff, low=0, low_open=True)
        in_range("beta", self.beta, low=0)
        in_range("speed_cutoff", self.speed_cutoff, low=0, low_open=True)


class OneEuroFilter:
    """Filters one array of values over time.

    >>> low_pass = OneEuroFilter(OneEuroOptions(min_cutoff=1.0, beta=0.0))
    >>> for tenth, x in enumerate([0.0, 1.0, 1.0]):
    ...     value = low_pass(np.array([x], np.float32), 100_000 * tenth)
    ...     print(f"{value[0]:.3f}")
    0.000
    0.386
    0.623
    """

    def __init__(self, options: OneEuroOptions | None = None) -> None:
        self.options = options or OneEuroOptions()
        # None before the first value, whose shape decides theirs.
        self._value: NDArray[Any] | None = None
        self._speed: NDArray[Any] | None = None
        self._t_us = 0

    def __call__(self, value: Floats, t_us: int, *, scale: Floats | float = 1.0) -> Floats:
        """Return the filtered value: a copy, so that who changes it changes no later value.

        Args:
            value: of the same shape each time.
            t_us: microseconds, larger than the one before.
            scale: what counts as one unit of distance for the speed, such as the size of the hand;
                broadcast against value.

        Raises:
            TimestampError: time does not go on.
        """
        if self._value is None or self._speed is None:
            self._value = value.copy()
            self._speed = np.zeros_like(value)
        else:
            self._follow(self._value, self._speed, value, t_us, scale)
        self._t_us = t_us
        return self._value.copy()

    def _follow(
        self,
        before: NDArray[Any],
        speed: NDArray[Any],
        value: Floats,
        t_us: int,
        scale: Floats | float,
    ) -> None:
        """Move the value and its speed, as they were before, towards a new value."""
        if t_us <= self._t_us:
            raise TimestampError(f"a value at {t_us} us does not follow the one at {self._t_us} us")
        seconds = (t_us - self._t_us) / 1e6
        # From the filtered value, as the authors' own code does: from the raw one it would jitter.
        new_speed = (value - before) / np.asarray(seconds * scale, dtype=np.float32)
        speed_weight = np.float32(_weight(self.options.speed_cutoff, seconds))
        self._speed = speed + speed_weight * (new_speed - speed)
        cutoff = self.options.min_cutoff + self.options.beta * np.abs(self._speed)
        self._value = before + _weight(cutoff, seconds) * (value - before)


def _weight(cutoff: NDArray[Any] | float, seconds: float) -> Floats:
    """Return the share of the new value in a first-order low-pass.

    It is 1 / (1 + tau / dt), with tau = 1 / (2 pi cutoff).
    """
    # The same, multiplied out, with dt / tau as the turn.
    turn = 2 * pi * seconds * np.asarray(cutoff, dtype=np.float32)
    weight: Floats = turn / (turn + 1)
    return weight
