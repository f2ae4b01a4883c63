"""Hosting a challenge: the server, a worker beside it, and what the host does by hand."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from handheld.bench.calibration import read_profile, require_alike
from handheld.bench.challenge.app import create_challenge_app, open_state
from handheld.bench.challenge.job import measurement_kind
from handheld.bench.challenge.referee import Referee
from handheld.bench.challenge.rules import ChallengeFolder
from handheld.bench.challenge.store import ChallengeStore
from handheld.bench.devices import Device, LocalDevice, calibrate
from handheld.bench.protocol import BenchProtocol
from handheld.errors import InputError
from handheld.service.jobs.worker import JobWorker, adopting_orphans
from handheld.service.server import run_with_jobs


def serve_challenge(  # noqa: PLR0913  # options by keyword, each by itself
    challenge: ChallengeFolder,
    *,
    database: str | None = None,
    files: str | None = None,
    devices: Iterable[str] | None = None,
    invitation: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    hosts: Iterable[str] = (),
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Host a challenge until the process is told to end (SIGINT, SIGTERM).

    Args:
        challenge: the folder.
        database: SQLite file or ``postgresql://`` URL; None: a file in the folder.
        files: folder or URL of submitted files; None: in the folder.
        devices: that this process measures on; None: the first one; (): none.
        invitation: what a team must know to register; None: nothing.
        host, port: to listen on; port 0 takes a free one.
        hosts: names under which the server is reached.
        on_start: called with the address.

    Raises:
        InputError: the challenge's data is missing or wrong, there is no such device, or this
            machine is not the one of its profile.
        ServiceError: folder, database or port cannot be used.
    """
    if devices is None:
        devices = [challenge.rules.devices[0].name]
    devices = list(devices)
    for name in devices:
        require_device(challenge, name)
    run_with_jobs(
        lambda: create_challenge_app(
            challenge,
            database=database,
            files=files,
            devices=devices,
            invitation=invitation,
            hosts=(*hosts, host),
        ),
        host=host,
        port=port,
        on_start=on_start,
    )


def require_device(
    challenge: ChallengeFolder, name: str, *, measuring: Device | None = None
) -> None:
    """Refuse this machine where a device has a profile, and calibration models take another time
    here.

    Args:
        challenge: the folder.
        name: of the device in the rules.
        measuring: runs the calibration models; None: this machine.

    Raises:
        InputError: there is no such device, its profile cannot be read, or this is another machine.
    """
    device = challenge.rules.device(name)
    if not device.profile:
        return
    profile = read_profile(challenge.root / device.profile)
    if not profile.valid:
        raise InputError(
            f"device {name!r}: its profile {device.profile} was taken while the device was busy: "
            "take it again with 'handheld bench calibrate' when it does nothing else"
        )
    core = device.core
    if core is None:
        core = profile.core
    protocol = BenchProtocol(threads=profile.threads, core=core)
    now, _ = calibrate(measuring or LocalDevice(), protocol=protocol)
    try:
        require_alike(profile, now, tolerance=device.tolerance)
    except InputError as error:
        raise InputError(f"device {name!r}: {error}") from error


def work(
    challenge: ChallengeFolder,
    device: str,
    *,
    database: str | None = None,
    files: str | None = None,
    until: threading.Event | None = None,
) -> None:
    """Measure on a device until the process is told to end.

    Servers and workers of a challenge share its folder, its database and its files; clocks must
    agree within 15 seconds.

    Args:
        challenge: the folder.
        device: by its name in the rules.
        database, files: as the server has them.
        until: ends it; None: Ctrl-C or SIGTERM do, as KeyboardInterrupt.

    Raises:
        InputError: there is no such device, or this machine is not the one of its profile.
        ServiceError: folder or database cannot be used.
    """
    require_device(challenge, device)
    job_kind = measurement_kind(challenge.rules.device(device).name)
    with adopting_orphans():
        opened, store, queue, folders, model_files = open_state(
            challenge, database=database, files=files
        )
        worker = JobWorker(queue, folders, [job_kind])
        referee = Referee(
            challenge,
            store=store,
            queue=queue,
            folders=folders,
            files=model_files,
            on_queued=worker.wake,
        )
        worker.start()
        referee.start()
        try:
            (until or threading.Event()).wait()
        finally:
            worker.stop()
            referee.stop()
            opened.close()


@contextmanager
def opened_store(
    challenge: ChallengeFolder, database: str | None = None
) -> Iterator[ChallengeStore]:
    """Give the state of a challenge, beside a server that runs or without one."""
    opened, store, *_ = open_state(challenge, database=database, files=None)
    try:
        yield store
    finally:
        opened.close()
