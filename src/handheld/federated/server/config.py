"""What a federation's server is told: a TOML file that becomes values.

Example::

    [server]
    host = "0.0.0.0"
    port = 8443
    names = ["federation.example"]
    certificate = "certificates/server.pem"
    key = "certificates/server.key"
    enrolment = "token"       # or "open", "listed", "certificate"

    [pace]
    rate = 20                 # check-ins a second that are wanted

    [[tasks]]
    task = "my_tasks:keyboard"    # a function that returns a ServedTask, in a module beside this
    goal = 100
    over_selection = 1.3
    least = 60
    group = 50
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from handheld.config import factory, read_config
from handheld.errors import InputError
from handheld.federated.secagg.graph import GraphRisks
from handheld.federated.server.pace import PaceRules
from handheld.federated.server.task import ServedTask, require_name
from handheld.ranges import in_range, whole_in_range

MOST_DEVICES = 10_000
"""Of a round."""

LONGEST_LEASE = 600.0
"""Seconds."""

CLOCK_SECONDS = 60.0
"""By which clocks may differ. What was to happen later than the settings and this allow was written
when the clock was wrong, and is waited for no longer.
"""

Enrolments = Literal["open", "token", "listed", "certificate"]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where the server stands, and who may enrol.

    Args:
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        names: under which the server is reached, beside localhost and addresses.
        certificate, key: files of TLS, relative to the configuration; both empty: http, for use
            behind a proxy that speaks TLS, and only on this machine's own address.
        client_authority: file of the certificates that vouch for devices; with it, devices show a
            certificate of their own (mTLS).
        signing_key: file of the key that signs offers; it is made where there is none, and all
            processes need the same.
        database: path of an SQLite file, or a ``postgresql://`` URL.
        blobs: folder or URL of models and uploads.
        enrolment: who becomes a device of the federation: "open": all; "token": who knows the token
            of ``HANDHELD_ENROLMENT_TOKEN``; "listed": whom the operator enrols; "certificate": who
            shows one made out to its identity.
        session_seconds: for which a device's session is good.
        poll_seconds: for which a question is held until there is an answer.
        lease_seconds: after which another process leads the rounds of one that is silent.
        connections: that are open at once.
        free_bytes: of the disk; with less nothing is taken in.
        inflight_bytes: of uploads that are being received, at once.
    """

    host: str = "127.0.0.1"
    port: int = 8443
    names: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    client_authority: str = ""
    signing_key: str = "signing.key"
    database: str = "federation.sqlite"
    blobs: str = "blobs"
    enrolment: Enrolments = "token"
    session_seconds: float = 3600.0
    poll_seconds: float = 20.0
    lease_seconds: float = 10.0
    connections: int = 4096
    free_bytes: int = 200_000_000
    inflight_bytes: int = 512_000_000

    def __post_init__(self) -> None:
        whole_in_range("port", self.port, low=0, high=65535)
        in_range("session_seconds", self.session_seconds, low=1, high=86400)
        in_range("poll_seconds", self.poll_seconds, low=0, high=60)
        in_range("lease_seconds", self.lease_seconds, low=0, low_open=True, high=LONGEST_LEASE)
        whole_in_range("connections", self.connections, low=1)
        whole_in_range("free_bytes", self.free_bytes, low=0)
        whole_in_range("inflight_bytes", self.inflight_bytes, low=1)
        if bool(self.certificate) != bool(self.key):
            raise InputError("certificate: expected a certificate and a key, got one of them")
        if self.enrolment == "certificate" and not self.client_authority:
            raise InputError("client_authority: expected one, as devices enrol by certificate")
        if self.client_authority and not self.certificate:
            raise InputError("certificate: expected one, as devices show theirs")


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """How the rounds of a task are made.

    Args:
        task: ``package.module:function`` that returns a :class:`ServedTask`; modules beside the
            configuration are found.
        options: arguments of the function.
        model_of: name of another task whose newest state is used, as an evaluation does; empty: its
            own.
        goal: devices whose values are wanted in a round.
        over_selection: how many times as many are selected, 1 or more.
        least: devices with fewer than which a round is abandoned; None: two thirds of the goal.
        group: devices of a secure group at most, 5 or more.
        selection_seconds: for which devices are selected.
        report_seconds: that a device has for its work.
        phase_seconds: for each phase of secure aggregation after that.
        rounds: after which the task is done; None: never.
        pause_seconds: between two rounds.
        rest: rounds of the task that a device sits out after one, 0 or more.
        keep: states that are kept, to roll back to, 1 or more.
        is_active: whether devices check that all were told the same, as they must where they do not
            trust the server.
        few_peers: what is assumed of devices that agree on masks with few others each, in groups
            of hundreds; None: all are peers. Devices must demand the same, and trust the server to
            follow the protocol: ``is_active`` is false.
        needs: abilities that a device must have.
        paused: whether it waits for the operator to start it.
        most_failures: rounds that are abandoned one after the other, though enough devices came,
            before the task is paused.
    """

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    model_of: str = ""
    goal: int = 10
    over_selection: float = 1.3
    least: int | None = None
    group: int = 50
    selection_seconds: float = 600.0
    report_seconds: float = 600.0
    phase_seconds: float = 60.0
    rounds: int | None = None
    pause_seconds: float = 0.0
    rest: int = 0
    keep: int = 10
    is_active: bool = True
    few_peers: GraphRisks | None = None
    needs: tuple[str, ...] = ()
    paused: bool = False
    most_failures: int = 20

    def __post_init__(self) -> None:
        whole_in_range("goal", self.goal, low=1, high=MOST_DEVICES)
        in_range("over_selection", self.over_selection, low=1, high=10)
        if self.least is not None:
            whole_in_range("least", self.least, low=1, high=self.goal)
        whole_in_range("group", self.group, low=5, high=1000)
        if self.few_peers is not None and self.is_active:
            raise InputError("few_peers: expected is_active to be false, where not all are peers")
        in_range("selection_seconds", self.selection_seconds, low=0, low_open=True)
        in_range("report_seconds", self.report_seconds, low=0, low_open=True)
        in_range("phase_seconds", self.phase_seconds, low=0, low_open=True)
        if self.rounds is not None:
            whole_in_range("rounds", self.rounds, low=1)
        in_range("pause_seconds", self.pause_seconds, low=0)
        whole_in_range("rest", self.rest, low=0)
        whole_in_range("keep", self.keep, low=1)
        whole_in_range("most_failures", self.most_failures, low=1)

    @property
    def least_clients(self) -> int:
        """Devices with fewer than which a round is abandoned."""
        if self.least is not None:
            return self.least
        return math.ceil(2 * self.goal / 3)

    @property
    def most_selected(self) -> int:
        """Devices that are selected."""
        return math.ceil(self.goal * self.over_selection)


@dataclass(frozen=True)
class FederationSettings:
    """All of a file."""

    tasks: tuple[TaskSettings, ...]
    server: ServerSettings = field(default_factory=ServerSettings)
    pace: PaceRules = field(default_factory=PaceRules)

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("tasks: expected one task or more, got none")


@dataclass(frozen=True)
class FederationTask:
    """A task with how its rounds are made.

    Args:
        served: what is learned.
        settings: of the file.
    """

    served: ServedTask
    settings: TaskSettings

    @property
    def name(self) -> str:
        """Of the task."""
        return self.served.name

    @property
    def model_task(self) -> str:
        """Name of the task whose states it uses."""
        return self.settings.model_of or self.served.name


def read_settings(path: str | os.PathLike[str]) -> FederationSettings:
    """Read a configuration.

    Raises:
        InputError: names the file, and the entry in it that is wrong.
    """
    return read_config(FederationSettings, path)


def open_tasks(settings: FederationSettings, folder: Path) -> dict[str, FederationTask]:
    """Return the tasks by their names.

    Args:
        settings: of the federation.
        folder: of the configuration, in which modules are found.

    Raises:
        InputError: a task cannot be made, or two have one name.
    """
    tasks: dict[str, FederationTask] = {}
    for number, entry in enumerate(settings.tasks):
        served = factory(entry.task, folder)(**entry.options)
        require_name(served.name)
        if served.name in tasks:
            raise InputError(f"tasks[{number}]: there is a task {served.name!r} already")
        tasks[served.name] = FederationTask(served, entry)
    # After all: a task may use the model of one that stands below it in the file.
    for number, task in enumerate(tasks.values()):
        if task.model_task not in tasks:
            raise InputError(f"tasks[{number}].model_of: there is no task {task.model_task!r}")
    return tasks
