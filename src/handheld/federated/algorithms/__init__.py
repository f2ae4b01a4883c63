"""Algorithms of federated learning.

What the server does with a round, and what devices do differently.

Each has ``init`` and ``apply`` for the server, and ``adjust`` and ``keep`` for devices, over plain
arrays.
"""

from handheld.federated.algorithms.algorithm import Algorithm, ServerState
from handheld.federated.algorithms.fedavg import FedAvg
from handheld.federated.algorithms.fedprox import FedProx
from handheld.federated.algorithms.fedsgd import FedSGD
from handheld.federated.algorithms.robust_means import Krum, Median, RobustMean, TrimmedMean
from handheld.federated.algorithms.scaffold import Scaffold
from handheld.federated.algorithms.server_optimisers import FedAdam, FedAvgM, FedYogi
from handheld.federated.algorithms.total import Adder, Total

__all__ = [
    "Adder",
    "Algorithm",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedProx",
    "FedSGD",
    "FedYogi",
    "Krum",
    "Median",
    "RobustMean",
    "Scaffold",
    "ServerState",
    "Total",
    "TrimmedMean",
]
