"""How devices differ: when they are ready, how fast they learn and send, and how often they go."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

_DAY = 24 * 3600.0
_TRAITS = 7  # of a device's random numbers, apart from those of rounds


@dataclass(frozen=True)
class Devices:
    """A made-up population of devices.

    What a device is like comes from the run's seed and its number.

    Speeds are medians; they spread by a log-normal distribution, each apart from the others. The
    defaults of sending are those of mobile networks, of learning those of a small network on a
    phone.

    Attributes:
        ready: share of the day that a device is idle, charging and on free wireless, above 0, at
            most 1.
        night: how much of that falls into its night: 0 (any hour alike) to 1.
        dropout_rate: chance that a device that was asked leaves before it answers, 0 to 1.
        examples_per_second: examples a second.
        download_bytes_per_second: bytes a second.
        upload_bytes_per_second: bytes a second.
        spread: standard deviation of the logarithms of these speeds, 0 or more; 0: all alike.
        deadline: seconds after which a round ends; needed where noise is promised and devices are
            ready at hours of their own: each round lasts until then, so that the clock, and by it
            who is ready next, does not depend on how much data devices have.
        over_selection: devices asked for each that is wanted, 1 or more; a round ends when as many
            as wanted have answered.
        min_report_fraction: share of the devices wanted that must answer by the deadline, or the
            round is given up.

    Raises:
        InputError: values outside of these.
    """

    ready: float = 1.0
    night: float = 0.0
    dropout_rate: float = 0.0
    examples_per_second: float = 500.0
    download_bytes_per_second: float = 2e6
    upload_bytes_per_second: float = 5e5
    spread: float = 0.0
    deadline: float = math.inf
    over_selection: float = 1.0
    min_report_fraction: float = 0.0

    def __post_init__(self) -> None:
        for name in ("ready", "night", "dropout_rate", "min_report_fraction"):
            self._require(name, 0 <= getattr(self, name) <= 1, "a share of 0 to 1")
        self._require("ready", self.ready > 0, "a share above 0, at most 1")
        for name in ("examples_per_second", "download_bytes_per_second", "upload_bytes_per_second"):
            self._require(name, 0 < getattr(self, name) < math.inf, "a speed above 0")
        self._require("spread", 0 <= self.spread < math.inf, "a number of 0 or more")
        self._require("deadline", self.deadline > 0, "seconds above 0")
        self._require(
            "over_selection", 1 <= self.over_selection < math.inf, "a number of 1 or more"
        )

    def _require(self, name: str, fits: bool, expected: str) -> None:
        if not fits:
            raise InputError(f"devices.{name}: expected {expected}, got {getattr(self, name)}")

    @property
    def own_hours(self) -> bool:
        """Whether who is ready depends on the clock."""
        return self.ready < 1 and self.night > 0

    def are_ready(
        self, users: NDArray[np.int64], seconds: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Return which devices are ready at a time of the simulated clock."""
        if self.ready >= 1:
            return np.ones(len(users), np.bool_)
        hour = 2 * np.pi * (seconds / _DAY + _fractions(users))
        chance = self.ready * (1 + self.night * np.cos(hour))
        return rng.random(len(users)) < np.minimum(1, chance)

    def seconds(self, user: int, examples: float, down: float, up: float, seed: int) -> float:
        """Return how long a device takes for a round.

        To get ``down`` bytes, learn from examples, and send ``up`` bytes.
        """
        if self.spread == 0:
            return (
                examples / self.examples_per_second
                + down / self.download_bytes_per_second
                + up / self.upload_bytes_per_second
            )
        slow = np.exp(self.spread * np.random.default_rng((seed, user, _TRAITS)).standard_normal(3))
        return float(
            slow
            @ (
                examples / self.examples_per_second,
                down / self.download_bytes_per_second,
                up / self.upload_bytes_per_second,
            )
        )


def _fractions(users: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return where on Earth a device is, as a share of the day.

    Spread evenly, the same in every run.
    """
    return np.asarray(users * 0.6180339887498949 % 1, np.float64)
