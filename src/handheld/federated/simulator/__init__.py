"""Federated learning with a whole population of devices in one place: ``simulate`` a ``Plan`` with a ``Learner``."""

from handheld.federated.simulator.devices import Devices
from handheld.federated.simulator.ending import Run, StoppedRunError
from handheld.federated.simulator.plan import Plan
from handheld.federated.simulator.rounds import simulate

__all__ = ["Devices", "Plan", "Run", "StoppedRunError", "simulate"]
