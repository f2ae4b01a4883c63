"""What runs on a user's device.

When it may learn, from what, and the model that serves its user at once.

``LearningGate`` asks ``DeviceSensors`` whether the device is idle, charging and on free wireless;
``ExampleStore`` keeps examples in SQLite within limits; ``ClientDevice`` learns what a server asks
while the gate is open; ``personalise`` fits the shared model to its user, and keeps the result only
where it is better on examples that it has not seen. ``FederationClient`` takes part in a
federation, as long as rounds are as ``ClientDemands`` say.
"""

from handheld.federated.device.agent import ClientTurn, FederationClient
from handheld.federated.device.conditions import (
    DeviceConditions,
    DeviceSensors,
    DeviceSituation,
    LearningGate,
)
from handheld.federated.device.demands import ClientDemands
from handheld.federated.device.device import ClientDevice, LearningBudget, LearningOutcome
from handheld.federated.device.folder import ClientFolder
from handheld.federated.device.personalisation import Personalisation, PersonalModel, personalise
from handheld.federated.device.store import ExampleStore

__all__ = [
    "ClientDemands",
    "ClientDevice",
    "ClientFolder",
    "ClientTurn",
    "DeviceConditions",
    "DeviceSensors",
    "DeviceSituation",
    "ExampleStore",
    "FederationClient",
    "LearningBudget",
    "LearningGate",
    "LearningOutcome",
    "PersonalModel",
    "Personalisation",
    "personalise",
]
