"""Which layers lose most in eight bits."""

import math
from collections.abc import Sequence

import torch
from torch import fx
from torch.nn import functional

from handheld.errors import InputError
from handheld.networks.quantisation.fake import FakeActivation, fake_quantise
from handheld.networks.quantisation.fold import layers_of
from handheld.networks.structure import evaluating


def sensitivity(network: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> dict[str, float]:
    """Rank layers by what rounding each alone does to the answers.

    Args:
        network: from :func:`handheld.networks.quantisation.fold.fold`; not changed.
        inputs: batches, one or more; the first set ranges.

    Returns:
        For each layer, most sensitive first: the Kullback-Leibler divergence of the answers from
        the float network's, in nats; infinity where rounding makes what is no number of them.

    Raises:
        InputError: there are no inputs.
    """
    if not inputs:
        raise InputError("inputs: expected one batch or more to rank layers by, got none")
    losses: dict[str, float] = {}
    with torch.no_grad():
        with evaluating(network):
            expected = [_log_shares(network, batch) for batch in inputs]
        for name in layers_of(network):
            fake = fake_quantise(network, only=[name]).eval()
            _note_ranges(fake, inputs)
            losses[name] = _divergence(fake, inputs, expected)
    return dict(sorted(losses.items(), key=lambda entry: -entry[1]))


def _note_ranges(fake: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> None:
    """Let a network in evaluation mode see the ranges of its activations."""
    roundings = [layer for layer in fake.modules() if isinstance(layer, FakeActivation)]
    # These alone: normalisation that could not be folded would move its statistics to those of the
    # batches, and dropout would widen the ranges; both would be taken for what rounding does.
    for rounding in roundings:
        rounding.train()
    for batch in inputs:
        fake(batch)
    for rounding in roundings:
        rounding.eval()


def _divergence(
    network: fx.GraphModule, inputs: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> float:
    """Return the mean divergence of the answers to some batches from what is expected, in nats."""
    total = 0.0
    for batch, right in zip(inputs, expected, strict=True):
        answers = _log_shares(network, batch)
        loss = functional.kl_div(answers, right, log_target=True, reduction="batchmean")
        total += float(loss)
    if math.isnan(total):
        return math.inf
    # Rounding can take what is nothing below 0.
    return max(0.0, total / len(inputs))


def _log_shares(network: fx.GraphModule, batch: torch.Tensor) -> torch.Tensor:
    shares = functional.log_softmax(network(batch), dim=1)
    # A class that is ruled out has a logit of minus infinity, of which 0 times is no number.
    return shares.clamp(min=torch.finfo(shares.dtype).min)
