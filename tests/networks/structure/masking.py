"""What a slimmed network has to equal: the full one, whose channels that are gone are zero and are
not read.

Statistics of layer and group normalisation are those of the channels that stay, so the others are
left out of them.
"""

from copy import deepcopy

import numpy as np
import torch
from torch import nn

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def made_axis(network, name):
    """The axis of a tensor along which it makes channels, and the axis along which it reads them,
    or None.
    """
    layer = network.get_submodule(name.rpartition(".")[0])
    if name.endswith("weight") and isinstance(
        layer, (*TRANSPOSED, nn.modules.conv._ConvNd, nn.Linear)
    ):
        return (
            (1, 0) if isinstance(layer, TRANSPOSED) and layer.groups < layer.in_channels else (0, 1)
        )
    return None


def zeroed(network, channels, kept, *, makers):
    """A copy in which gone channels are zero after the layers that make them, or are not read by
    those that follow.
    """
    copy = deepcopy(network)
    free = {int(unit) for group in channels.free for unit in group.units}
    gone = np.array(sorted(free - set(kept.tolist())), int)
    tensors = {
        **dict(copy.named_parameters(remove_duplicate=False)),
        **dict(copy.named_buffers(remove_duplicate=False)),
    }
    for name, axes in channels.axes.items():
        if "running" in name:
            continue
        roles = made_axis(copy, name)
        for axis, units in enumerate(axes):
            wanted = (
                roles is None or axis == roles[0]
                if makers
                else roles is not None and axis == roles[1]
            )
            if units is not None and wanted:
                places = torch.from_numpy(np.flatnonzero(np.isin(units, gone)))
                tensors[name].data.index_fill_(axis, places, 0.0)
    return copy


def over_last(x, kept, weight, bias, eps):
    """Layer normalisation over the channels that are kept, from its definition; the
    others give 0.
    """
    part = x[..., kept]
    mean, var = part.mean(-1, keepdim=True), part.var(-1, keepdim=True, unbiased=False)
    found = (x - mean) / torch.sqrt(var + eps)
    return (found if weight is None else found * weight + bias) * kept


def in_groups(x, kept, groups, weight, bias, eps):
    """Group normalisation over the channels that are kept, from its definition; the
    others give 0.
    """
    shape = [1, -1, *[1] * (x.dim() - 2)]
    found = []
    for part, stays in zip(x.chunk(groups, 1), kept.chunk(groups), strict=True):
        held = part[:, stays].flatten(1)
        mean, var = (
            v.reshape(-1, *[1] * (x.dim() - 1)) for v in (held.mean(1), held.var(1, unbiased=False))
        )
        found.append((part - mean) / torch.sqrt(var + eps))
    return (torch.cat(found, 1) * weight.view(shape) + bias.view(shape)) * kept.view(shape)


class Masked(nn.Module):
    """A normalisation of the channels that are kept."""

    def __init__(self, layer, kept):
        super().__init__()
        self.layer, self.kept = layer, kept

    def forward(self, x):
        layer = self.layer
        if isinstance(layer, nn.LayerNorm):
            return over_last(x, self.kept, layer.weight, layer.bias, layer.eps)
        return in_groups(x, self.kept, layer.num_groups, layer.weight, layer.bias, layer.eps)


def masked(network, channels, kept):
    """A copy in which the channels that are gone are zero, are not read, and are in no
    statistics.
    """
    copy = zeroed(zeroed(network, channels, kept, makers=True), channels, kept, makers=False)
    free = {int(unit) for group in channels.free for unit in group.units}
    gone = np.array(sorted(free - set(np.asarray(kept).tolist())), int)

    def stays(units):
        return torch.from_numpy(~np.isin(units, gone))

    for name, layer in list(copy.named_modules()):
        units = channels.axes.get(f"{name}.weight", (None,))[-1]
        if isinstance(layer, nn.LayerNorm | nn.GroupNorm) and units is not None:
            owner, _, attribute = name.rpartition(".")
            setattr(copy.get_submodule(owner), attribute, Masked(layer, stays(units)))
    for node in copy.graph.nodes:
        if (
            "layer_norm" in str(node.target)
            and node.op == "call_function"
            and node.name in channels.lengths
        ):
            mask = f"kept_{node.name}"
            copy.register_buffer(mask, stays(channels.lengths[node.name][0].ids))
            with copy.graph.inserting_before(node):
                held = copy.graph.get_attr(mask)
            weight, bias, eps = (*node.args[2:5], *[None] * 3)[:3]
            node.target, node.args = (
                over_last,
                (node.args[0], held, weight, bias, 1e-5 if eps is None else eps),
            )
            node.kwargs = {}
    copy.recompile()
    return copy
