"""Which layers lose most in eight bits."""

from collections.abc import Sequence

import torch
from torch import fx
from torch.nn import functional

from handheld.networks.quantisation.fake import fake_quantise
from handheld.networks.quantisation.fold import layers_of


def sensitivity(network: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> dict[str, float]:
    """Rank layers by what rounding each alone does to the answers.

    Args:
        network: from :func:`handheld.networks.quantisation.fold.fold`.
        inputs: batches; the first set ranges.

    Returns:
        For each layer, most sensitive first: the Kullback-Leibler divergence of the answers from
        the float network's, in nats.
    """
    losses: dict[str, float] = {}
    with torch.no_grad():
        expected = [_log_shares(network.eval(), batch) for batch in inputs]
        for name in layers_of(network):
            fake = fake_quantise(network, only=[name])
            # In training mode the ranges of activations are noted.
            for batch in inputs:
                fake.train()(batch)
            losses[name] = _divergence(fake.eval(), inputs, expected)
    return dict(sorted(losses.items(), key=lambda entry: -entry[1]))


def _divergence(
    network: fx.GraphModule, inputs: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> float:
    """Return the mean divergence of the answers to some batches from what is expected, in nats."""
    total = 0.0
    for batch, right in zip(inputs, expected, strict=True):
        answers = _log_shares(network, batch)
        loss = functional.kl_div(answers, right, log_target=True, reduction="batchmean")
        total += float(loss)
    # Rounding can take what is nothing below 0.
    return max(0.0, total / len(inputs))


def _log_shares(network: fx.GraphModule, batch: torch.Tensor) -> torch.Tensor:
    return functional.log_softmax(network(batch), dim=1)
