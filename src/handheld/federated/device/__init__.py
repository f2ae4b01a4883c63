"""What runs on a user's device: when it may learn, from what, and the model that serves its user at once.

``Gate`` asks ``Sensors`` whether the device is idle, charging and on free wireless; ``Store`` keeps examples in SQLite within
limits; ``Device`` learns what a server asks while the gate is open; ``personalise`` fits the shared model to its user, and
keeps the result only where it is better on examples that it has not seen.
"""

from handheld.federated.device.conditions import Conditions, Gate, Sensors, Situation
from handheld.federated.device.device import Budget, Device, Outcome
from handheld.federated.device.personal import Personal, Personalisation, personalise
from handheld.federated.device.store import Store

__all__ = [
    "Budget", "Conditions", "Device", "Gate", "Outcome", "Personal", "Personalisation", "Sensors", "Situation", "Store",
    "personalise",
]  # fmt: skip
