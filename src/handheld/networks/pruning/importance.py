"""How much a network needs each of its units."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.func import functional_call

from handheld._copies import require_shapes
from handheld.errors import InputError
from handheld.networks.structure import Channels, evaluating
from handheld.networks.structure.layers import Normalisation, Transposed
from handheld.networks.structure.variables import Ids

Scores = NDArray[np.float64]
Method = Literal["l2", "batch_norm", "taylor"]
Batches = Iterable[tuple[torch.Tensor, Any]]
Loss = Callable[[Any, Any], torch.Tensor]


def scores(
    network: fx.GraphModule,
    channels: Channels,
    method: Method,
    *,
    batches: Batches | None = None,
    loss: Loss | None = None,
) -> Scores:
    """Return the importance of each unit; the network stays as it is.

    Args:
        network: on any device.
        channels: of it.
        method: ``l2``, the norms of the weights that make a channel, each layer's divided by their
            mean, summed over the layers of the unit (Li et al., arXiv 1608.08710); ``batch_norm``,
            the mean size of the unit's normalisation scales (Liu et al., arXiv 1708.06519; a unit
            that is never normalised is infinitely important); ``taylor``, by how much the loss
            would change to first order if the unit were zero, (sum of w dL/dw) squared, averaged
            over the batches (Molchanov et al., arXiv 1906.10771).
        batches: of inputs and targets, for ``taylor``; on the network's device.
        loss: of outputs and targets, for ``taylor``.

    Returns:
        (units,) non-negative, by unit id.

    Raises:
        InputError: a weight or the loss is not a finite number, ``taylor`` without batches, or no
            such method.
    """
    # One that is no number would spread to its whole layer, by the mean that norms are divided by.
    check_finite(network)
    if method == "l2":
        return _weight_norms(network, channels)
    if method == "batch_norm":
        return _scales(network, channels)
    if method != "taylor":
        raise InputError(f"no importance {method!r}: expected {', '.join(get_args(Method))}")
    if batches is None or loss is None:
        raise InputError("importance 'taylor' needs batches of inputs and targets, and a loss")
    return _taylor(network, channels, batches, loss)


def check_finite(network: nn.Module) -> None:
    """Raise :class:`InputError` if a parameter or buffer has a value that is no finite number, or
    no value yet.
    """
    require_shapes(network)
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"{name!r} has values that are not finite numbers: "
                "train the network again with a lower learning rate"
            )


def _weight_norms(network: fx.GraphModule, channels: Channels) -> Scores:
    total = np.zeros(channels.count)
    for name, units in channels.made.items():
        weight = network.get_parameter(f"{name}.weight").detach()
        rows = _rows(network.get_submodule(name), weight)
        norms = rows.norm(dim=1).double().cpu().numpy()
        # By each layer's mean, so that layers of larger weights do not count for more.
        mean = max(norms.mean(), np.finfo(float).tiny)
        np.add.at(total, units, norms / mean)
    return total


def _rows(layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
    """(channels, ...) the weights, or their gradients, of each channel that a layer makes."""
    if isinstance(layer, Transposed):
        # (inputs, outputs / groups, ...), each group's inputs one after the other.
        by_group = weight.reshape(layer.groups, -1, *weight.shape[1:])
        weight = by_group.transpose(1, 2).flatten(0, 1)
    if isinstance(layer, nn.Embedding):
        weight = weight.t()
    return weight.flatten(1)


def _scales(network: fx.GraphModule, channels: Channels) -> Scores:
    sums = np.zeros(channels.count)
    counts = np.zeros(channels.count)
    for name, units in _normalised(network, channels).items():
        scales = network.get_parameter(f"{name}.weight").detach().abs()
        # A unit may be normalised in several places, or by several scales at once.
        np.add.at(sums, units, scales.double().cpu().numpy())
        np.add.at(counts, units, 1.0)
    means = sums / np.maximum(counts, 1)
    # Nobody knows how much a unit counts that is never normalised: it stays.
    return np.where(counts > 0, means, np.inf)


def _normalised(network: fx.GraphModule, channels: Channels) -> dict[str, Ids]:
    """The units of each normalisation that scales its channels."""
    units: dict[str, Ids] = {}
    for name, layer in network.named_modules():
        axes = channels.axes.get(f"{name}.weight")
        if isinstance(layer, Normalisation) and axes is not None and axes[0] is not None:
            units[name] = axes[0]
    return units


def _taylor(network: fx.GraphModule, channels: Channels, batches: Batches, loss: Loss) -> Scores:
    """With a gate of 1 after a layer, w dL/dw summed over the channel's weights and bias is
    dL/dgate.
    """
    # Detached: the network's own may be frozen, and their gradients are the caller's.
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in network.named_parameters():
        weights[name] = parameter.detach().requires_grad_()
    total = np.zeros(channels.count)
    count = 0
    with evaluating(network):
        for inputs, targets in batches:
            outputs = functional_call(network, weights, (inputs,))
            value = loss(outputs, targets)
            _check_loss(value, count)
            gates = _gates(network, channels, _changes(weights, value))
            # Squared for each batch: over all of them the changes would cancel.
            total += gates**2
            count += 1
    if count == 0:
        raise InputError(
            "importance 'taylor' got no batches; an iterator that is used up gives none: "
            "pass a list or a data loader"
        )
    return total / count


def _check_loss(loss: torch.Tensor, batch: int) -> None:
    if loss.numel() != 1 or not torch.isfinite(loss):
        raise InputError(
            f"expected one finite number as the loss of batch {batch}, got {loss.detach().tolist()}"
        )


def _changes(weights: dict[str, torch.Tensor], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return w dL/dw of each weight; 0 where the loss does not depend on it."""
    slopes = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    changes: dict[str, torch.Tensor] = {}
    for (name, weight), slope in zip(weights.items(), slopes, strict=True):
        if slope is None:
            changes[name] = torch.zeros_like(weight)
        else:
            changes[name] = weight.detach() * slope
    return changes


def _gates(network: fx.GraphModule, channels: Channels, changes: dict[str, torch.Tensor]) -> Scores:
    """Normalisations stand after what they scale, so they alone count where there are any.

    A tensor that several layers share is in ``changes`` once, with the slope of all its uses.
    """
    at_norms = np.zeros(channels.count)
    is_normalised = np.zeros(channels.count, bool)
    for name, units in _normalised(network, channels).items():
        if f"{name}.weight" in changes:
            _add(at_norms, units, changes[f"{name}.weight"], changes.get(f"{name}.bias"))
            is_normalised[units] = True
    return np.where(is_normalised, at_norms, _gates_at_layers(network, channels, changes))


def _gates_at_layers(
    network: fx.GraphModule, channels: Channels, changes: dict[str, torch.Tensor]
) -> Scores:
    gates = np.zeros(channels.count)
    for name, units in channels.made.items():
        weight = changes.get(f"{name}.weight")
        # None: the weight is another layer's too, under whose name it stands.
        if weight is not None:
            rows = _rows(network.get_submodule(name), weight)
            _add(gates, units, rows.sum(1), changes.get(f"{name}.bias"))
    return gates


def _add(total: Scores, units: Ids, weights: torch.Tensor, bias: torch.Tensor | None) -> None:
    both = weights if bias is None else weights + bias
    # Not total[units] +=, which would count a unit once where it stands several times.
    np.add.at(total, units, both.double().cpu().numpy())
