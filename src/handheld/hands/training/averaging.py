"""A network and the running mean of its weights, by which it is judged."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Learner(nn.Module):
    """What a run saves: a network that learns, and the exponential mean of its weights.

    The mean is what constant or falling rates would otherwise have to find (Polyak and Juditsky,
    1992); at any moment it is a usable network.
    """

    def __init__(self, network: nn.Module, memory: float) -> None:
        super().__init__()
        self.network = network

        def mean(averages: Any, values: Any, number: Tensor | int) -> None:
            # A short memory at first: what the mean remembers of the beginning is noise.
            count = float(number)
            keep = min(memory, (1 + count) / (10 + count))
            # All weights in one call, as torch's own averaging does.
            torch._foreach_lerp_(list(averages), list(values), 1 - keep)

        self.average = AveragedModel(network, multi_avg_fn=mean)
        # Or an optimiser that is given all parameters would train the mean as well.
        self.average.requires_grad_(False)

    def update(self) -> None:
        """Take the weights of this step into the mean; statistics of normalisation are copied."""
        self.average.update_parameters(self.network)
