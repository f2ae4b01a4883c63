"""What a server lets others use."""

from dataclasses import dataclass, fields

from handheld.ranges import in_range, whole_in_range

GIGABYTE = 10**9
DAY = 86400.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a server: seconds and days in (0, inf), all others whole numbers of 1 or more;
    ``memory_bytes`` may be None, for none.

    ``running`` and ``uploads`` count for each server process, the others for all that share a
    database. ``processes`` are those of one job; it may have eight times as many threads (not
    counted for root, who may have any number). A job is started again at most ``attempts`` times
    after its server died under it; each start has ``seconds`` of its own. ``lease_seconds`` is how
    long a server may be silent before others take its jobs, so clocks of servers must agree within
    it.

    Examples:
        ``Limits()``
            one job at a time, uploads of 2 GB, a day for each job.
        ``Limits(running=4, memory_bytes=8 * 1024**3)``
            four jobs, each of at most 8 GiB of address space.
    """

    running: int = 1
    queued: int = 100
    uploads: int = 8
    upload_bytes: int = 2 * GIGABYTE
    upload_seconds: float = 3600.0
    job_bytes: int = 16 * GIGABYTE
    total_bytes: int = 100 * GIGABYTE
    memory_bytes: int | None = None
    processes: int = 512
    seconds: float = DAY
    attempts: int = 3
    lease_seconds: float = 15.0
    retention_days: float = 7.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # By what is declared: a whole number of seconds is fine, half a job is not.
            if field.type is float:
                in_range(field.name, value, low=0, low_open=True)
            elif value is not None or field.default is not None:
                whole_in_range(field.name, value, low=1)
