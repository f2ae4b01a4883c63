"""Single weights that are set to zero: the file shrinks when it is compressed; the network is as
fast as before.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from handheld.errors import InputError
from handheld.networks.pruning.importance import check_finite
from handheld.networks.structure.layers import CONVOLUTIONS
from handheld.ranges import in_range, whole_in_range

_LAYERS = (*CONVOLUTIONS, nn.Linear)
Scope = Literal["global", "layer"]

_ROUNDING = 1e-9  # of a product of floats


@dataclass(frozen=True, eq=False)
class Masks:
    """Which weights of a network stay.

    To prune while training, make masks of a growing sparsity
    (:func:`handheld.networks.pruning.schedule.cubic`) and :meth:`apply` the latest after each step
    of the optimiser: weights at zero are the smallest, so they stay pruned.

    Attributes:
        network: whose weights are masked.
        kept: for each masked weight, by its name, True where it stays; of its shape and on its
            device.
    """

    network: nn.Module
    kept: Mapping[str, torch.Tensor]

    @classmethod
    def of(
        cls,
        network: nn.Module,
        sparsity: float,
        *,
        scope: Scope = "global",
        skip: Collection[str] = (),
    ) -> "Masks":
        """Mask the smallest weights of the convolutions and dense layers; the network itself is not
        yet changed.

        Args:
            network: any module.
            sparsity: share in [0, 1) of the weights that go; the number is rounded down.
            scope: ``layer`` ranks each layer's weights alone, ``global`` all together, though each
                layer keeps its largest.
            skip: names of layers that stay whole, such as :func:`ends`.

        Raises:
            InputError: an argument outside its range, a name that is no such layer, or weights that
                are not finite.
        """
        in_range("sparsity", sparsity, low=0, high=1, high_open=True)
        if scope not in _SCOPES:
            raise InputError(f"expected the scope 'global' or 'layer', got {scope!r}")
        sizes: dict[str, torch.Tensor] = {}
        for name, weight in _weights(network, skip).items():
            size = weight.detach().abs()
            sizes[name] = size.float().contiguous()
        return cls(network, _SCOPES[scope](sizes, sparsity))

    @classmethod
    def n_of_m(
        cls, network: nn.Module, n: int = 2, m: int = 4, *, skip: Collection[str] = ()
    ) -> "Masks":
        """Keep the ``n`` largest of every ``m`` weights in a row of an output channel; rows of
        another length stay whole.

        Mishra et al., arXiv 2104.08378, with two of four. Raises :class:`InputError` as :meth:`of`.
        """
        whole_in_range("m", m, low=1)
        whole_in_range("n", n, low=1, high=m)
        kept: dict[str, torch.Tensor] = {}
        for name, weight in _weights(network, skip).items():
            # The weights of one output channel: its rows must not end within a run of m.
            if weight[0].numel() % m == 0:
                kept[name] = _largest_of_runs(weight.detach(), n, m)
        return cls(network, kept)

    @torch.no_grad()
    def apply(self) -> None:
        """Set the weights that are gone to zero."""
        for name, kept in self.kept.items():
            weight = self.network.get_parameter(name)
            # Not a product: that of infinity and 0 is no number.
            weight.masked_fill_(~kept.to(weight.device), 0.0)

    @property
    def sparsity(self) -> dict[str, float]:
        """The share of zeros in each masked weight."""
        return {name: 1 - kept.float().mean().item() for name, kept in self.kept.items()}


def ends(network: nn.Module) -> tuple[str, ...]:
    """Names of the first and the last layer with weights, which pruning hurts most for the little
    that they hold.
    """
    check_finite(network)
    # In the order of their definition, as torch lists them.
    names = list(_layer_weights(network))
    # Once, where the first is the last.
    first_and_last = dict.fromkeys([*names[:1], *names[-1:]])
    return tuple(first_and_last)


def _weights(network: nn.Module, skip: Collection[str]) -> dict[str, nn.Parameter]:
    """Return the weights to mask, each tensor once, under its first name."""
    check_finite(network)
    of_layers = _layer_weights(network)
    # A text is a collection of its letters.
    if isinstance(skip, str):
        raise InputError(f"skip: expected a list of names of layers, got the text {skip!r}")
    for name in skip:
        if name not in of_layers:
            raise InputError(
                f"no convolution or dense layer {name!r} to skip; "
                f"there are {', '.join(of_layers) or 'none'}"
            )
    # By what they are: a layer that stays whole may share its weights with one that does not.
    unpruned = {id(of_layers[name]) for name in skip}
    parameters = dict(network.named_parameters())  # each tensor once, under its first name
    weights: dict[str, nn.Parameter] = {}
    for layer, weight in of_layers.items():
        # A layer that is the network itself has no name.
        name = f"{layer}.weight".removeprefix(".")
        # One without numbers has none to lose, and no largest.
        if name in parameters and id(weight) not in unpruned and weight.numel():
            weights[name] = weight
    return weights


def _layer_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weight of each convolution and dense layer, by all names of the layer."""
    weights: dict[str, nn.Parameter] = {}
    for name, layer in network.named_modules(remove_duplicate=False):
        # What a parametrisation or a hook computes is no parameter, and nothing to write to.
        if isinstance(layer, _LAYERS) and isinstance(layer.weight, nn.Parameter):
            weights[name] = layer.weight
    return weights


def _largest_of_runs(weight: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """True for the ``n`` largest of every ``m`` in a row."""
    sizes = weight.abs().reshape(-1, m)
    # Stable: of equal weights the first stay, on each machine.
    order = sizes.argsort(dim=1, descending=True, stable=True)
    mask = torch.zeros_like(sizes, dtype=torch.bool)
    mask.scatter_(1, order[:, :n], True)
    return mask.view_as(weight)


def _largest_of_layers(
    sizes: Mapping[str, torch.Tensor], sparsity: float
) -> dict[str, torch.Tensor]:
    """True for all but the smallest of each layer."""
    masks: dict[str, torch.Tensor] = {}
    for name, size in sizes.items():
        masks[name] = _largest(size.flatten(), sparsity).view_as(size)
    return masks


def _largest_of_all(sizes: Mapping[str, torch.Tensor], sparsity: float) -> dict[str, torch.Tensor]:
    """True for all but the smallest of the network; the sizes are written to."""
    # On the CPU: layers may be on several devices. One empty tensor, since there may be no layers.
    flat = [torch.empty(0)]
    for size in sizes.values():
        # Each layer keeps its largest: one without any weight would pass nothing on.
        size.view(-1)[size.argmax()] = torch.inf
        flat.append(size.flatten().cpu())
    kept = _largest(torch.cat(flat), sparsity)
    lengths = [size.numel() for size in sizes.values()]
    pieces = torch.split(kept, lengths)
    masks: dict[str, torch.Tensor] = {}
    for (name, size), mask in zip(sizes.items(), pieces, strict=True):
        masks[name] = mask.view_as(size).to(size.device)
    return masks


def _largest(sizes: torch.Tensor, sparsity: float) -> torch.Tensor:
    """True for all but the smallest; of equal ones, the first go."""
    # A share such as 0.9 of 10 must be 9, which its float is a little below.
    count = int(sparsity * len(sizes) + _ROUNDING)
    if count == 0:
        return torch.ones(len(sizes), dtype=torch.bool, device=sizes.device)
    limit = sizes.kthvalue(count).values  # twenty times as fast as sorting ten million weights
    kept = sizes >= limit
    at_limit = torch.nonzero(sizes == limit).flatten()
    missing = count - int((~kept).sum())
    kept[at_limit[:missing]] = False
    return kept


_SCOPES: Mapping[str, Callable[[Mapping[str, torch.Tensor], float], dict[str, torch.Tensor]]] = {
    "global": _largest_of_all,
    "layer": _largest_of_layers,
}
