"""What torch's layers do to channels."""

import numpy as np
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from handheld.errors import InputError
from handheld.networks.structure.arrangement import (
    Lengths,
    gated,
    places_stay,
    reshaped,
    shuffled,
    unfolded,
)
from handheld.networks.structure.variables import Axes, Ids, Walk

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
_Instance = nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d
_WithStatistics = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | _Instance
_OverLast = nn.LayerNorm | nn.RMSNorm
Normalisation = _WithStatistics | nn.GroupNorm | _OverLast

_WITH_NUMBERS: tuple[type[nn.Module], ...] = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear, nn.Embedding,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.PReLU,
)  # fmt: skip
_EACH_ALONE: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.LeakyReLU, nn.ELU, nn.CELU,
    nn.SELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity, nn.Dropout,
)  # fmt: skip
# These read a tensor of lower rank as one without a batch: axis 1 is a channel only at the rank given (0: at any).
_OF_PLACES: dict[type[nn.Module], int] = {
    nn.Dropout1d: 3, nn.MaxPool1d: 3, nn.AvgPool1d: 3, nn.AdaptiveAvgPool1d: 3, nn.AdaptiveMaxPool1d: 3, nn.ZeroPad1d: 3,
    nn.Dropout2d: 4, nn.MaxPool2d: 4, nn.AvgPool2d: 4, nn.AdaptiveAvgPool2d: 4, nn.AdaptiveMaxPool2d: 4, nn.ZeroPad2d: 4,
    nn.ReflectionPad2d: 4, nn.ReplicationPad2d: 4, nn.UpsamplingNearest2d: 4, nn.UpsamplingBilinear2d: 4,
    nn.MaxPool3d: 5, nn.AvgPool3d: 5, nn.AdaptiveAvgPool3d: 5, nn.Upsample: 0,
}  # fmt: skip
_ARRANGING: tuple[type[nn.Module], ...] = (
    nn.Flatten,
    nn.Softmax,
    nn.GLU,
    nn.ChannelShuffle,
    nn.PixelShuffle,
)
_KINDS = frozenset((*_WITH_NUMBERS, *_EACH_ALONE, *_OF_PLACES, *_ARRANGING))
_METHODS = ("forward", "_conv_forward", "_check_input_dim")


def kind_of(layer: nn.Module) -> type[nn.Module] | None:
    """Return which of torch's layers a module is, or computes as; None if it is none that is known.

    A subclass computes as its base where it overrides nothing of it. Hooks and parametrisations may
    do anything.
    """
    if layer._forward_hooks or layer._forward_pre_hooks or is_parametrized(layer):
        return None
    mine = type(layer)
    kind = next((base for base in mine.__mro__ if base in _KINDS), None)
    is_same = kind is not None and all(
        getattr(mine, name, None) is getattr(kind, name, None) for name in _METHODS
    )
    return kind if is_same else None


def layer_axes(
    walk: Walk, name: str, layer: nn.Module, source: Axes, before: Lengths, after: Lengths
) -> Axes | None:
    """Return the channels of what a layer gives, and write down those of its parameters.

    Args:
        walk: written to.
        name: of the layer.
        layer: of the network.
        source: channels along the axes of its one input.
        before: lengths of these axes.
        after: lengths of the axes of what it gives.

    Returns:
        The channels along each axis; None if the layer is not known to treat its channels one by
        one.
    """
    kind = kind_of(layer)
    rank = len(source)
    if kind in _EACH_ALONE:
        return source
    if kind in _OF_PLACES:
        return source if _OF_PLACES[kind] in (0, rank) and places_stay(source) else None
    if isinstance(layer, nn.Embedding):
        return None if kind is None else (*source, _embedding(walk, name, layer))
    if kind is None or rank < 2:
        return None
    if isinstance(layer, Convolution | Transposed):
        if rank != layer.weight.dim() or not places_stay(source):
            return None
        return (source[0], _convolution(walk, name, layer, source[1]), *[None] * (rank - 2))
    if isinstance(layer, nn.Linear):
        return (*source[:-1], _dense(walk, name, layer.out_features, source[-1]))
    if isinstance(layer, _OverLast):
        return _over_last(walk, name, layer, source)
    if kind in _ARRANGING:
        return _arranged(walk, layer, source, before, after)
    return _each_channel(walk, name, layer, source)


def _embedding(walk: Walk, name: str, layer: nn.Embedding) -> Ids:
    made = walk.makes(name, walk.variables.new(layer.embedding_dim))
    walk.uses(f"{name}.weight", (None, made))
    return made


def _dense(walk: Walk, name: str, outputs: int, source: Ids | None) -> Ids:
    made = walk.makes(name, walk.variables.new(outputs))
    walk.uses(f"{name}.weight", (made, source))
    walk.uses(f"{name}.bias", (made,))
    return made


def _convolution(
    walk: Walk, name: str, layer: Convolution | Transposed, source: Ids | None
) -> Ids | None:
    if 1 < layer.groups == layer.in_channels:
        return _depthwise(walk, name, layer, source)
    made = walk.makes(name, walk.variables.new(layer.out_channels))
    read = (
        None
        if source is None
        else walk.same_parts(source, layer.groups)
        if layer.groups > 1
        else source
    )
    if isinstance(layer, Transposed):
        axes: Axes = (source, walk.same_parts(made, layer.groups))
    else:
        walk.same_parts(made, layer.groups)
        axes = (made, read)
    walk.uses(f"{name}.weight", axes)
    walk.uses(f"{name}.bias", (made,))
    return made


def _depthwise(
    walk: Walk, name: str, layer: Convolution | Transposed, source: Ids | None
) -> Ids | None:
    made = None if source is None else np.repeat(source, layer.out_channels // layer.in_channels)
    walk.uses(f"{name}.weight", (source if isinstance(layer, Transposed) else made, None))
    walk.uses(f"{name}.bias", (made,))
    return made


def _over_last(
    walk: Walk, name: str, layer: nn.LayerNorm | nn.RMSNorm, source: Axes
) -> Axes | None:
    """Statistics over the last axes: of the channels that stay."""
    held = source[len(source) - len(layer.normalized_shape) :]
    # Without numbers of its own nothing would tell it its new width, which it checks.
    if layer.weight is None and any(ids is not None for ids in held):
        return None
    walk.uses(f"{name}.weight", held)
    walk.uses(f"{name}.bias", held)
    return source


def _each_channel(walk: Walk, name: str, layer: nn.Module, source: Axes) -> Axes | None:
    """Batch, instance and group normalisation, and PReLU: numbers of each channel's own."""
    ids = source[1]
    if isinstance(layer, nn.PReLU):
        if layer.num_parameters > 1:
            walk.uses(f"{name}.weight", (ids,))
        return source
    if not places_stay(source):
        return None
    if isinstance(layer, _Instance) and (len(source) == 2 or not layer.state_dict()):
        return None
    if isinstance(layer, nn.GroupNorm) and ids is not None:
        walk.same_parts(ids, layer.num_groups)
    for key in ("weight", "bias", "running_mean", "running_var"):
        walk.uses(f"{name}.{key}", (ids,))
    return source


def _arranged(
    walk: Walk, layer: nn.Module, source: Axes, before: Lengths, after: Lengths
) -> Axes | None:
    if isinstance(layer, nn.Flatten):
        return reshaped(walk, source, before, after)
    if isinstance(layer, nn.Softmax):
        return source if layer.dim is not None and source[layer.dim] is None else None
    if isinstance(layer, nn.GLU):
        return gated(walk, source, layer.dim)
    if isinstance(layer, nn.ChannelShuffle):
        return shuffled(walk, source, layer.groups)
    return (
        unfolded(walk, source, layer.upscale_factor) if isinstance(layer, nn.PixelShuffle) else None
    )


def resize(layer: nn.Module) -> None:
    """Make a layer's attributes agree with its parameters after these were cut."""
    if isinstance(layer, Convolution | Transposed):
        _resize_convolution(layer)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Embedding):
        layer.embedding_dim = layer.weight.shape[1]
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels = layer.num_channels if layer.weight is None else len(layer.weight)
    elif isinstance(layer, _OverLast):
        layer.normalized_shape = (
            layer.normalized_shape if layer.weight is None else tuple(layer.weight.shape)
        )
    elif isinstance(layer, _WithStatistics):
        held = layer.running_mean if layer.running_mean is not None else layer.weight
        layer.num_features = layer.num_features if held is None else len(held)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)


def _resize_convolution(layer: Convolution | Transposed) -> None:
    first, second = layer.weight.shape[:2]
    if 1 < layer.groups == layer.in_channels:
        times = layer.out_channels // layer.in_channels
        layer.groups = layer.in_channels = (
            first if isinstance(layer, Transposed) else first // times
        )
        layer.out_channels = layer.groups * times
    elif isinstance(layer, Transposed):
        layer.in_channels = first
        layer.out_channels = second * layer.groups
    else:
        layer.out_channels = first
        layer.in_channels = second * layer.groups


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the layer that gives the logits. Raises :class:`InputError` without a linear layer."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise InputError(
            "the network ends in no linear layer, whose inputs are its features: "
            "expected nn.Linear as its last layer, or features = 0"
        )
    return layers[-1]
