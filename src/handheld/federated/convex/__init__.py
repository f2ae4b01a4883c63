"""Sparse convex models on very many uneven devices.

Logistic regression over few of very many features.

``Logistic`` is the population, ``FSVRG`` and ``SparseFedAvg`` are the algorithms, and ``rounds``
runs one of them. They count what travels, and are apart from ``algorithms``, whose devices may
learn any model.
"""

from handheld.federated.convex.fsvrg import FSVRG
from handheld.federated.convex.logistic import Logistic
from handheld.federated.convex.simulation import rounds, until
from handheld.federated.convex.sparse_fedavg import SparseFedAvg

__all__ = ["FSVRG", "Logistic", "SparseFedAvg", "rounds", "until"]
