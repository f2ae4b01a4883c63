"""Federated stochastic gradient descent: the baseline of arXiv 1602.05629."""

from dataclasses import dataclass

from handheld.federated.algorithms.fedavg import FedAvg


@dataclass(frozen=True)
class FedSGD(FedAvg):
    """Devices send the gradient over all of their data.

    The server goes one step of ``rate`` along the mean.

    Give devices one step of rate 1 over a batch of everything (``ClientWork(epochs=1, batch=None,
    rate=1)``), whose change is the gradient with its sign turned. A plan with more steps than one
    is refused: that is federated averaging.
    """
