"""Updates made small: what a device sends of what it learned, in as few bytes as can be.

Each scheme is an :class:`UpdateEncoder`: ``Eden`` (the fewest errors for 1 to 8 bits),
``Stochastic`` (probabilistic quantisation, rotated or not; TernGrad), ``Subsample``, ``Largest``,
``Coded`` (entropy coding of any other), ``Whole``. ``with_feedback`` keeps what a biased one left
out. ``Modular`` is the form that sums up exactly, for secure aggregation.
"""

from handheld.federated.updates.coding import Coded
from handheld.federated.updates.eden import Eden
from handheld.federated.updates.encoder import Bounded, UpdateEncoder, Whole, longest
from handheld.federated.updates.modular_grid import Modular
from handheld.federated.updates.quantisation import Stochastic
from handheld.federated.updates.sparsification import Largest, Subsample, with_feedback

__all__ = [
    "Bounded",
    "Coded",
    "Eden",
    "Largest",
    "Modular",
    "Stochastic",
    "Subsample",
    "UpdateEncoder",
    "Whole",
    "longest",
    "with_feedback",
]
