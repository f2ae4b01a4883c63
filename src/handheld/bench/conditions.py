"""What went on around a run, as the machine tells: other load, preemption, clock rates, energy.

All comes from files of Linux; what a system does not tell is None, and nothing is concluded from
it. Files are read before and after a run, never within.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ReadFile = Callable[[str], str]
"""Returns the text of a file of the system; raises OSError where there is none."""

_TICKS = 100  # of /proc/stat in a second (USER_HZ), on every Linux that we know
_IDLE = (3, 4)  # columns of /proc/stat: idle, and idle while it waits for a disk
_STEAL = 7  # what the hypervisor gave to others
_COUNTED = 8  # columns before those of guests, which are in "user" already
_POWER = "/sys/class/powercap"


def read_system_file(path: str) -> str:
    """Return the text of a file of the system."""
    return Path(path).read_text("utf-8")


@dataclass(frozen=True)
class SystemSnapshot:
    """Counters of one moment; None: the system does not tell.

    Args:
        seconds: of a clock that only goes on.
        core_busy: seconds for which the measured core was busy.
        core_stolen: seconds of it that the hypervisor gave to others.
        all_busy: seconds for which all cores were busy, together.
        cores: number of all.
        own_cpu: seconds that this process has used.
        preempted: how often this process lost its core to another.
        pressure: seconds for which some task waited for a core.
        clock_mhz: of the measured core.
        throttled: how often it was slowed because it was hot.
        joules: energy of all packages, by RAPL.
    """

    seconds: float
    core_busy: float | None
    core_stolen: float | None
    all_busy: float | None
    cores: int | None
    own_cpu: float
    preempted: int | None
    pressure: float | None
    clock_mhz: float | None
    throttled: int | None
    joules: tuple[float, ...] | None


@dataclass(frozen=True)
class RunConditions:
    """What went on while a run was counted; None: the system does not tell.

    Args:
        seconds: that it took.
        core_others: share of the measured core that others used, in [0, 1].
        core_stolen: share of it that the hypervisor gave to other machines.
        all_others: share of all cores that others used, in [0, 1].
        preemptions: a second, of this process.
        pressure: share of the time in which some task waited for a core.
        clock_before, clock_after: MHz of the measured core.
        throttled: how often it was slowed because it was hot.
        joules: energy of all processor packages, with all that ran on them.
    """

    seconds: float
    core_others: float | None
    core_stolen: float | None
    all_others: float | None
    preemptions: float | None
    pressure: float | None
    clock_before: float | None
    clock_after: float | None
    throttled: int | None
    joules: float | None


def snapshot(core: int | None, *, read: ReadFile = read_system_file) -> SystemSnapshot:
    """Read the counters of now.

    Args:
        core: that a run keeps to; None where it keeps to none.
        read: returns the text of a file of the system.
    """
    rows = _busy_rows(read)
    core_row = rows.get(f"cpu{core}")
    whole_row = rows.get("cpu")
    device = f"/sys/devices/system/cpu/cpu{core}"
    return SystemSnapshot(
        seconds=time.monotonic(),
        core_busy=_busy(core_row),
        core_stolen=_column(core_row, _STEAL),
        all_busy=_busy(whole_row),
        # Without the row "cpu", which is the sum of the others.
        cores=len(rows) - 1 if rows else None,
        own_cpu=time.process_time(),
        preempted=_preempted(),
        pressure=_pressure(read),
        clock_mhz=_scaled(_number(read, f"{device}/cpufreq/scaling_cur_freq"), 1e-3),
        throttled=_whole(_number(read, f"{device}/thermal_throttle/core_throttle_count")),
        joules=_joules(read),
    )


def conditions_between(before: SystemSnapshot, after: SystemSnapshot) -> RunConditions:
    """Return what two snapshots say of the time between them."""
    seconds = after.seconds - before.seconds
    own_cpu = after.own_cpu - before.own_cpu
    core_others = _others(before.core_busy, after.core_busy, own_cpu, seconds)
    all_others = None
    if after.cores:
        all_others = _others(before.all_busy, after.all_busy, own_cpu, seconds * after.cores)
    throttled = _difference(before.throttled, after.throttled)
    return RunConditions(
        seconds=seconds,
        core_others=core_others,
        core_stolen=_rate(before.core_stolen, after.core_stolen, seconds),
        all_others=all_others,
        preemptions=_rate(before.preempted, after.preempted, seconds),
        pressure=_rate(before.pressure, after.pressure, seconds),
        clock_before=before.clock_mhz,
        clock_after=after.clock_mhz,
        throttled=_whole(throttled),
        joules=_energy(before.joules, after.joules),
    )


def _busy_rows(read: ReadFile) -> dict[str, list[int]]:
    """Return the rows of /proc/stat on processors, by name."""
    rows = {}
    try:
        lines = read("/proc/stat").splitlines()
    except OSError:
        return {}
    for line in lines:
        name, *columns = line.split()
        if name.startswith("cpu"):
            rows[name] = list(map(int, columns[:_COUNTED]))
    return rows


def _busy(row: Sequence[int] | None) -> float | None:
    if row is None:
        return None
    idle = sum(row[column] for column in _IDLE)
    # what is stolen is nobody's work here, and told apart
    stolen = row[_STEAL] if len(row) > _STEAL else 0
    return (sum(row) - idle - stolen) / _TICKS


def _column(row: Sequence[int] | None, column: int) -> float | None:
    if row is None or len(row) <= column:
        return None
    return row[column] / _TICKS


def _preempted() -> int | None:
    try:
        import resource
    except ImportError:  # Windows does not count them
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _pressure(read: ReadFile) -> float | None:
    try:
        first = read("/proc/pressure/cpu").splitlines()[0]
    except (OSError, IndexError):
        return None
    # The first line, "some": time in which one task or more waited, in microseconds.
    total = first.rpartition("total=")[2]
    return int(total) / 1e6


def _number(read: ReadFile, path: str) -> float | None:
    try:
        return float(read(path))
    except (OSError, ValueError):
        return None


def _scaled(value: float | None, unit: float) -> float | None:
    if value is None:
        return None
    return value * unit


def _whole(value: float | None) -> int | None:
    if value is None:
        return None
    return int(value)


def _joules(read: ReadFile) -> tuple[float, ...] | None:
    """Return the counters of all processor packages; None where one cannot be read."""
    counters: list[float] = []
    # numbered from 0 without a gap; cores and memory of a package are in its own folder
    while True:
        counter = _number(read, f"{_POWER}/intel-rapl:{len(counters)}/energy_uj")
        if counter is None:
            break
        counters.append(counter / 1e6)
    return tuple(counters) or None


def _energy(before: tuple[float, ...] | None, after: tuple[float, ...] | None) -> float | None:
    if before is None or after is None or len(before) != len(after):
        return None
    used = [late - early for early, late in zip(before, after, strict=True)]
    # A counter that began anew in between says nothing.
    if min(used) < 0:
        return None
    return sum(used)


def _difference(before: float | None, after: float | None) -> float | None:
    if before is None or after is None:
        return None
    return after - before


def _rate(before: float | None, after: float | None, seconds: float) -> float | None:
    difference = _difference(before, after)
    if difference is None or seconds <= 0:
        return None
    return max(0.0, difference / seconds)


def _others(
    before: float | None, after: float | None, own_cpu: float, seconds: float
) -> float | None:
    """Return the share of some cores that others used; their counters go in steps of 10 ms."""
    busy = _difference(before, after)
    if busy is None or seconds <= 0:
        return None
    return max(0.0, (busy - own_cpu) / seconds)


def threads_now() -> int | None:
    """Return how many threads this process has; None where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return None
