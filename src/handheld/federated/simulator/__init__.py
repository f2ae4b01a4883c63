"""Federated learning with a whole population of devices in one place.

``simulate`` a ``Plan`` with a ``PopulationLearner``.
"""

from handheld.federated.simulator.devices import Devices
from handheld.federated.simulator.ending import SimulationRun, StoppedRunError
from handheld.federated.simulator.plan import Plan
from handheld.federated.simulator.rounds import simulate

__all__ = ["Devices", "Plan", "SimulationRun", "StoppedRunError", "simulate"]
