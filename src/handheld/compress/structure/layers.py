"""What torch's layers do to channels."""

import numpy as np
from torch import nn

from handheld.compress.structure.variables import Ids, Walk

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
Normalisation = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d

# A subclass may compute something else: only the very classes are known.
_LAYERS = {
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.PReLU, nn.Flatten,
}  # fmt: skip
_EACH_ALONE = {
    nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.LeakyReLU, nn.ELU, nn.CELU,
    nn.SELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity, nn.Dropout, nn.Upsample,
}  # fmt: skip
# These read a tensor of lower rank as one without a batch: axis 1 is a channel only at the rank given.
_OF_RANK: dict[type[nn.Module], int] = {
    nn.Dropout1d: 3, nn.MaxPool1d: 3, nn.AvgPool1d: 3, nn.AdaptiveAvgPool1d: 3, nn.AdaptiveMaxPool1d: 3, nn.ZeroPad1d: 3,
    nn.Dropout2d: 4, nn.MaxPool2d: 4, nn.AvgPool2d: 4, nn.AdaptiveAvgPool2d: 4, nn.AdaptiveMaxPool2d: 4, nn.ZeroPad2d: 4,
    nn.ReflectionPad2d: 4, nn.ReplicationPad2d: 4, nn.UpsamplingNearest2d: 4, nn.UpsamplingBilinear2d: 4,
    nn.MaxPool3d: 5, nn.AvgPool3d: 5, nn.AdaptiveAvgPool3d: 5,
}  # fmt: skip


def layer_channels(walk: Walk, name: str, layer: nn.Module, source: Ids, rank: int, width: int) -> Ids | None:
    """Return the channels of what a layer gives, and write down those of its parameters.

    Args:
        walk: written to.
        name: of the layer.
        layer: of the network.
        source: channels of its one input.
        rank: number of axes of that input.
        width: length of axis 1 of what it gives.

    Returns:
        One variable for each channel; None if the layer is not known to treat its channels one by one.
    """
    if layer._forward_hooks or layer._forward_pre_hooks:  # they may do anything to its weights
        return None
    if type(layer) in _EACH_ALONE or _OF_RANK.get(type(layer)) == rank:
        return source
    if type(layer) not in _LAYERS:
        return None
    if isinstance(layer, Convolution | Transposed):
        return _convolution(walk, name, layer, source) if rank == layer.weight.dim() else None
    if isinstance(layer, nn.Linear):
        return _dense(walk, name, layer.out_features, source) if rank == 2 else None
    if isinstance(layer, nn.Flatten):
        return np.repeat(source, width // len(source)) if layer.start_dim in (1, 1 - rank) else None
    return _each_channel(walk, name, layer, source, rank)


def _dense(walk: Walk, name: str, outputs: int, source: Ids) -> Ids:
    made = walk.makes(name, walk.variables.new(outputs))
    walk.uses(f"{name}.weight", (made, source))
    walk.uses(f"{name}.bias", (made,))
    return made


def _convolution(walk: Walk, name: str, layer: Convolution | Transposed, source: Ids) -> Ids:
    if 1 < layer.groups == layer.in_channels:
        return _depthwise(walk, name, layer, source)
    made = walk.makes(name, walk.variables.new(layer.out_channels))
    if isinstance(layer, Transposed):
        walk.same_parts(source, layer.groups)
        axes = (source, walk.same_parts(made, layer.groups))
    else:
        walk.same_parts(made, layer.groups)
        axes = (made, walk.same_parts(source, layer.groups))
    walk.uses(f"{name}.weight", axes)
    walk.uses(f"{name}.bias", (made,))
    return made


def _depthwise(walk: Walk, name: str, layer: Convolution | Transposed, source: Ids) -> Ids:
    made = np.repeat(source, layer.out_channels // layer.in_channels)
    walk.uses(f"{name}.weight", (source if isinstance(layer, Transposed) else made, None))
    walk.uses(f"{name}.bias", (made,))
    return made


def _each_channel(walk: Walk, name: str, layer: nn.Module, source: Ids, rank: int) -> Ids | None:
    """Batch and instance normalisation, and PReLU: numbers of each channel's own."""
    if isinstance(layer, nn.PReLU):
        if layer.num_parameters > 1:
            walk.uses(f"{name}.weight", (source,))
        return source
    # Without numbers of its own nothing would tell it its new width, which instance normalisation checks.
    if isinstance(layer, nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d) and (rank == 2 or not layer.state_dict()):
        return None
    for key in ("weight", "bias", "running_mean", "running_var"):
        walk.uses(f"{name}.{key}", (source,))
    return source


def resize(layer: nn.Module) -> None:
    """Make a layer's attributes agree with its parameters after these were cut."""
    if isinstance(layer, Convolution | Transposed):
        _resize_convolution(layer)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, Normalisation):
        held = layer.running_mean if layer.running_mean is not None else layer.weight
        layer.num_features = layer.num_features if held is None else len(held)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)


def _resize_convolution(layer: Convolution | Transposed) -> None:
    first, second = layer.weight.shape[:2]
    if 1 < layer.groups == layer.in_channels:
        times = layer.out_channels // layer.in_channels
        layer.groups = layer.in_channels = first if isinstance(layer, Transposed) else first // times
        layer.out_channels = layer.groups * times
    elif isinstance(layer, Transposed):
        layer.in_channels, layer.out_channels = first, second * layer.groups
    else:
        layer.out_channels, layer.in_channels = first, second * layer.groups
