"""How devices differ: when they are ready, how fast they learn and send, and how often they go."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.ranges import in_range

_DAY = 24 * 3600.0
# Use of the run's seed for what devices are like, apart from those of rounds.
_TRAITS_SEED = 7
# The golden ratio's fraction: its multiples lie more evenly on a circle than those of any other.
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Payload:
    """What travels between a server and a device in a round.

    Attributes:
        down: bytes that the device gets.
        up: bytes that it sends.
    """

    down: float
    up: float


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
        dropout_rate: chance that a device that was asked leaves before it answers, in [0, 1].
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
        in_range("ready", self.ready, low=0, high=1, low_open=True)
        for name in ("night", "dropout_rate", "min_report_fraction"):
            in_range(name, getattr(self, name), low=0, high=1)
        for name in ("examples_per_second", "download_bytes_per_second", "upload_bytes_per_second"):
            in_range(name, getattr(self, name), low=0, low_open=True)
        in_range("spread", self.spread, low=0)
        in_range("deadline", self.deadline, low=0, high=math.inf, low_open=True)
        in_range("over_selection", self.over_selection, low=1)

    @property
    def own_hours(self) -> bool:
        """Whether who is ready depends on the clock."""
        return self.ready < 1 and self.night > 0

    def are_ready(
        self, users: NDArray[np.int64], seconds: float, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Return which devices are ready at a time of the simulated clock."""
        # No numbers are drawn then: plans without hours keep their bits.
        if self.ready >= 1:
            return np.ones(len(users), np.bool_)
        angle = 2 * np.pi * (seconds / _DAY + _longitudes(users))
        # Over a day the cosine's mean is 0: a device is ready for its share of the day in all.
        chance = self.ready * (1 + self.night * np.cos(angle))
        return rng.random(len(users)) < np.minimum(1, chance)

    def seconds(self, user: int, examples: float, payload: Payload, seed: int) -> float:
        """Return how long a device takes for a round.

        Args:
            user: its number.
            examples: that it goes through, each as often as it does.
            payload: what it gets and sends.
            seed: of the run.
        """
        learning = examples / self.examples_per_second
        downloading = payload.down / self.download_bytes_per_second
        uploading = payload.up / self.upload_bytes_per_second
        if self.spread == 0:
            return learning + downloading + uploading
        traits = np.random.default_rng((seed, user, _TRAITS_SEED)).standard_normal(3)
        slowness = np.exp(self.spread * traits)
        return float(slowness @ (learning, downloading, uploading))


def _longitudes(users: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return where on Earth devices are, as shares of the day.

    They are spread evenly, the same in every run.
    """
    return np.asarray(users * _GOLDEN % 1, np.float64)
