"""What a student learns from its teacher besides its logits: the features below them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

from handheld.networks.structure.layers import last_linear


class FeatureDistance(nn.Module):
    """Distance of a student's features, mapped linearly, to its teacher's (Romero et al.,
    "FitNets", arXiv 1412.6550).

    Features are what the last linear layer reads, (n, features), normalised to length 1.

    Args:
        student: that learns.
        teacher: asked about each batch; not trained, and no part of this module.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module):
        super().__init__()
        self.student = student
        self._teacher = [teacher]  # in a list: not registered, so it is not trained along
        self.adapter = nn.Linear(
            last_linear(student).in_features, last_linear(teacher).in_features, bias=False
        )

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the student's logits, and the mean squared distance of the features in [0, 4]."""
        with watched(self.student) as student:
            logits = self.student(inputs)
        with torch.no_grad(), watched(self._teacher[0]) as teacher:
            self._teacher[0](inputs)
        # of length 1, so that the distance does not depend on how large a teacher's numbers are
        mapped = functional.normalize(self.adapter(student[0]).float(), dim=1)
        expected = functional.normalize(teacher[0].float(), dim=1)
        return logits, (mapped - expected).square().sum(dim=1).mean()


@contextmanager
def watched(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what the last linear layer of a network reads, in each call.

    Raises :class:`InputError` without such a layer.
    """
    seen: list[torch.Tensor] = []
    handle = last_linear(network).register_forward_pre_hook(
        lambda layer, inputs: seen.append(inputs[0])
    )
    try:
        yield seen
    finally:
        handle.remove()
