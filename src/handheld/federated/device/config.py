"""A device of a federation from a TOML file.

Example::

    server = "https://federation.example:8443"
    authority = "ca.pem"                 # who vouches for the server; the system's if left out
    folder = "device"                    # who the device is, and what it has seen

    [demands]
    least_clients = 20

    [conditions]                         # when it may learn; always without this table
    idle = true

    [[tasks]]
    name = "digits"
    examples = "digits.sqlite"           # see ``ExampleStore``
    shape = [1, 32, 32]
    classes = 10
    model = { network = "small_convolutional" }
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from handheld.config import factory, from_table, read_toml
from handheld.errors import InputError
from handheld.federated.device.agent import FederationClient
from handheld.federated.device.conditions import DeviceConditions, LearningGate
from handheld.federated.device.demands import ClientDemands
from handheld.federated.device.device import ClientDevice, LearningBudget
from handheld.federated.device.folder import ClientFolder
from handheld.federated.device.machine import MachineSensors
from handheld.federated.device.personalisation import Personalisation
from handheld.federated.device.store import ExampleStore
from handheld.federated.learning.trainable import cross_entropy
from handheld.federated.population import NetworkConfig
from handheld.federated.wire.connection import FederationConnection
from handheld.ranges import whole_in_range

TOKEN = "HANDHELD_ENROLMENT_TOKEN"
"""The variable of the environment that holds what a device enrols with."""

_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class DeviceTask:
    """A task that a device does.

    Attributes:
        name: of the task, as the server has it.
        examples: file of the device's examples, see ``ExampleStore``.
        shape: of an input.
        classes: outputs of the network.
        model: the network that the task trains.
    """

    name: str
    examples: str
    shape: tuple[int, ...]
    classes: int
    model: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        for number, side in enumerate(self.shape):
            whole_in_range(f"shape[{number}]", side, low=1)
        whole_in_range("classes", self.classes, low=1)


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """What a file says.

    Attributes:
        server: its address.
        authority: file of the certificates that vouch for it; empty: those of the system.
        certificate: the device's own, where the server asks for one.
        key: of that certificate.
        folder: what the device keeps.
        peers: file with the identities of the devices that it trusts to be devices, a line each in
            hexadecimal; empty: whoever the server lets in.
        abilities: what it can beside, as tasks ask for it.
        demands: on rounds.
        conditions: when it may learn; None: always.
        budget: what learning may cost.
        personal: how the user's own model is fitted after a training; None: there is none.
        tasks: that it does.
    """

    server: str
    authority: str = ""
    certificate: str = ""
    key: str = ""
    folder: str = "device"
    peers: str = ""
    abilities: tuple[str, ...] = ()
    demands: Mapping[str, Any] = field(default_factory=dict)
    conditions: DeviceConditions | None = None
    budget: LearningBudget = field(default_factory=LearningBudget)
    personal: Personalisation | None = None
    tasks: tuple[DeviceTask, ...]


@dataclass(frozen=True)
class DeviceConfig:
    """A device to be run.

    Attributes:
        folder: what it keeps.
        settings: of the file.
        base: folder of the file, which paths in it are relative to.
    """

    folder: Path
    settings: DeviceSettings
    base: Path

    def client(self) -> FederationClient:
        """Return the device, with its identity, examples and networks.

        Raises:
            InputError: a file that is missing or damaged, or a network that cannot be made.
        """
        settings = self.settings
        return FederationClient(
            ClientFolder(self.folder),
            FederationConnection(
                settings.server,
                authority=self._path(settings.authority),
                certificate=self._path(settings.certificate),
                key=self._path(settings.key),
            ),
            {task.name: self._device(task) for task in settings.tasks},
            demands=self._demands(),
            token=os.environ.get(TOKEN, ""),
            abilities=settings.abilities,
            personalisation=settings.personal,
        )

    def _demands(self) -> ClientDemands:
        peers = self._path(self.settings.peers)
        if peers is None:
            return from_table(ClientDemands, self.settings.demands, "demands", is_known=None)
        known = _identities(peers)
        return from_table(
            ClientDemands, self.settings.demands, "demands", is_known=known.__contains__
        )

    def _device(self, task: DeviceTask) -> ClientDevice:
        gate = None
        if self.settings.conditions is not None:
            gate = LearningGate(MachineSensors(), self.settings.conditions)
        loss = cross_entropy
        if task.model.loss:
            loss = factory(task.model.loss, self.base)
        # Its weights are the server's: the seed of the first ones means nothing here.
        module = task.model.module(task.shape, task.classes, folder=self.base, seed=0)
        return ClientDevice(
            module,
            ExampleStore(self.base / task.examples),
            gate=gate,
            budget=self.settings.budget,
            loss=loss,
        )

    def _path(self, name: str) -> Path | None:
        if not name:
            return None
        return self.base / name


def read(path: str | os.PathLike[str]) -> DeviceConfig:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    known = [entry.name for entry in fields(DeviceSettings)]
    settings = from_table(DeviceSettings, read_toml(path, known=known), "")
    if not settings.tasks:
        raise InputError("tasks: expected one or more")
    base = Path(path).resolve().parent
    return DeviceConfig(base / settings.folder, settings, base)


def _identities(path: Path) -> frozenset[bytes]:
    identities = set()
    try:
        lines = path.read_text().split()
        for line in lines:
            identity = bytes.fromhex(line)
            if len(identity) != _KEY_BYTES:
                raise ValueError(f"expected {_KEY_BYTES} bytes, got {len(identity)}")
            identities.add(identity)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    return frozenset(identities)
