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
    found: dict[str, float] = {}
    with torch.no_grad():
        expected = [functional.log_softmax(network.eval()(batch), dim=1) for batch in inputs]
        for name in layers_of(network):
            fake = fake_quantise(network, only=[name])
            for batch in inputs:
                fake.train()(batch)
            fake.eval()
            given = [functional.log_softmax(fake(batch), dim=1) for batch in inputs]
            total = sum(
                float(functional.kl_div(ours, truth, log_target=True, reduction="batchmean"))
                for ours, truth in zip(given, expected, strict=True)
            )
            found[name] = max(0.0, total / len(inputs))
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))
