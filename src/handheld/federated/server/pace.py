"""Pace steering: each device is told when to come back, so that neither storms nor droughts arise.

After Bonawitz et al., "Towards Federated Learning at Scale" (MLSys 2019), section 2.3. There, as
here, nothing is remembered of single devices. **Many devices**: each gets the next free slot of a
timetable that has ``rate`` of them a second, so arrivals hold that rate, and a population makes the
timetable as long as it needs; who comes unasked, being new, makes it longer. Slots of those who do
not come are made up for by giving out more of them. **Few devices**: all are told to come to the
same meeting, so that a round fills.
"""

import math
from dataclasses import dataclass, replace

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

# The share is corrected over this many windows or more, and over as many lengths of the timetable:
# what is changed now shows in arrivals no sooner than that, and a faster correction would swing.
_LEAST_MEMORY = 8.0
_LENGTHS = 3.0
_LEAST_SHARE = 0.25  # below, slots are not given out faster: the devices are simply gone


@dataclass(frozen=True, kw_only=True)
class PaceRules:
    """What the operator wants.

    Args:
        rate: check-ins a second that are wanted, over 0.
        shortest: seconds that a device stays away at least, over 0.
        longest: seconds that it stays away at most.
        meeting: seconds between the times at which few devices meet, over 0.
        few: devices that are told to meet, where there are no more, 0 or more.
        window: seconds over which arrivals are counted, over 0.
    """

    rate: float = 10.0
    shortest: float = 5.0
    longest: float = 86400.0
    meeting: float = 60.0
    few: int = 100
    window: float = 10.0

    def __post_init__(self) -> None:
        in_range("rate", self.rate, low=0, low_open=True)
        in_range("shortest", self.shortest, low=0, low_open=True)
        in_range("longest", self.longest, low=self.shortest)
        in_range("meeting", self.meeting, low=0, low_open=True)
        whole_in_range("few", self.few, low=0)
        in_range("window", self.window, low=0, low_open=True)
        if self.meeting > self.longest:
            raise InputError(
                f"meeting: expected a number in (0, {self.longest}], got {self.meeting}"
            )


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The timetable at a moment, of one of some processes that share the devices.

    Args:
        free: time up to which slots are given out, in seconds of the caller's clock.
        window_start: when the window began in which arrivals are counted.
        free_at_start: ``free`` at that time.
        arrivals: in this window.
        share: of the slots to which somebody comes, averaged, in [0.25, 1].
        rate_seen: arrivals a second in the last whole window.
    """

    free: float
    window_start: float
    free_at_start: float
    arrivals: int = 0
    share: float = 1.0
    rate_seen: float = 0.0

    @classmethod
    def at(cls, now: float, *, free: float = 0.0) -> "Pace":
        """Return a timetable that begins now, or where another process left its own."""
        free = max(now, free)
        return cls(free=free, window_start=now, free_at_start=free)

    def arrived(self, now: float, rules: PaceRules, *, processes: int = 1) -> "Pace":
        """Count an arrival; return the timetable after it.

        Args:
            now: the time.
            rules: of the operator.
            processes: that share the devices, 1 or more.
        """
        pace = self
        elapsed = now - self.window_start
        if elapsed >= rules.window:
            pace = self._after_window(now, elapsed, rules.rate / processes)
        return replace(pace, arrivals=pace.arrivals + 1)

    def _after_window(self, now: float, elapsed: float, rate: float) -> "Pace":
        seen = self.arrivals / elapsed
        share = self.share
        # Only where slots were given out for the whole window does it tell who comes.
        if self.free_at_start >= now:
            length = (self.free_at_start - self.window_start) / elapsed
            memory = max(_LEAST_MEMORY, _LENGTHS * length)
            ratio = max(seen / rate, _LEAST_SHARE)
            share = min(max(share * ratio ** (1 / memory), _LEAST_SHARE), 1.0)
        return replace(
            self,
            window_start=now,
            free_at_start=self.free,
            arrivals=0,
            share=share,
            rate_seen=seen,
        )

    def come_back(
        self, now: float, draw: float, rules: PaceRules, *, processes: int = 1
    ) -> tuple[float, "Pace"]:
        """Return after how many seconds a device is to come, and the timetable with it in.

        Args:
            now: the time.
            draw: a number in [0, 1), drawn at random.
            rules: of the operator.
            processes: that share the devices, 1 or more.
        """
        step = processes * self.share / rules.rate
        rested = now + rules.shortest
        slot = max(self.free, rested) + step
        pace = replace(self, free=min(slot, now + rules.longest))
        if slot > now + rules.longest:
            # More than the timetable holds: its later half takes them, at a higher rate.
            return rules.longest * (0.5 + draw / 2), pace
        if (slot - rested) / step <= rules.few / processes:
            meeting = math.ceil(rested / rules.meeting) * rules.meeting
            # Not all in one moment, but within what the wanted rate takes them to arrive.
            return meeting - now + draw * min(slot - rested, rules.shortest), pace
        # Not just on the slot: devices whose clocks tick together would keep in step.
        return max(slot - now + (draw - 0.5) * step, rules.shortest), pace

    def population(self, now: float, rules: PaceRules) -> int:
        """Return how many devices are expected: as many as the timetable holds."""
        return round(max(self.free - now, 0.0) * rules.rate / self.share)
