"""A server's half of a round: its state as one value, and what a round makes of it."""

from handheld.federated.rounds.closing import RoundRules, RoundSums, largest_weight, robust_mean
from handheld.federated.rounds.state import FederationState

__all__ = ["FederationState", "RoundRules", "RoundSums", "largest_weight", "robust_mean"]
