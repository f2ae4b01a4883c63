"""An app for SuperNodes: four clients add up what they learned, and one leaves in the middle."""

from handheld.federated.flower import UpdatePlan
from handheld.federated.stages import Clip, WholeNumbers

CLIENTS = 4
LENGTH = 4.0
PLAN = UpdatePlan((Clip(LENGTH), WholeNumbers(CLIENTS, 16)), uniform=True)
