"""What torch's layers do to channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
from handheld.networks.structure.variables import Axes, Ids, NoRuleError, Walk, require

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
_Instance = nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d
_WithStatistics = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | _Instance
_OverLast = nn.LayerNorm | nn.RMSNorm
Normalisation = _WithStatistics | nn.GroupNorm | _OverLast

# What a subclass must not override to compute as its base: what torch's own layers have beside
# their constructor that changes numbers.
_METHODS = ("forward", "_conv_forward", "_check_input_dim")


@dataclass(frozen=True, eq=False)
class LayerCall:
    """A call of a layer, as the layer's rule sees it.

    Attributes:
        walk: what is known of the nodes before it; rules write to it.
        name: of the layer.
        layer: of the network.
        source: channels along the axes of its one input.
        before: lengths of these axes.
        after: lengths of the axes of what it gives.
    """

    walk: Walk
    name: str
    layer: Any
    source: Axes
    before: Lengths
    after: Lengths

    def uses(self, parameter: str, *axes: Ids | None) -> None:
        """Say which channels the axes of a parameter of the layer are."""
        self.walk.uses(f"{self.name}.{parameter}", axes)

    def makes(self, count: int) -> Ids:
        """Return the channels that the layer makes."""
        return self.walk.makes(self.name, self.walk.variables.new(count))


LayerRule = Callable[[LayerCall], Axes]
"""Returns the channels along the axes of what a layer gives, and writes down those of its
parameters; raises :class:`~handheld.networks.structure.variables.NoRuleError` where it is not known
to treat its channels one by one.
"""


def kind_of(layer: nn.Module) -> type[nn.Module] | None:
    """Return which of torch's layers a module is, or computes as; None if it is none that is known.

    A subclass computes as its base where it overrides nothing of it. Hooks and parametrisations may
    do anything.
    """
    # torch offers no public question for hooks.
    if layer._forward_hooks or layer._forward_pre_hooks or is_parametrized(layer):
        return None
    for base in type(layer).__mro__:
        if base in _RULES:
            if _computes_as(type(layer), base):
                return base
            return None
    return None


def _computes_as(derived: type, base: type) -> bool:
    return all(getattr(derived, name, None) is getattr(base, name, None) for name in _METHODS)


def layer_axes(call: LayerCall) -> Axes:
    """Return the channels of what a layer gives, and write down those of its parameters.

    Raises:
        NoRuleError: the layer is not known to treat its channels one by one.
    """
    layer_type = kind_of(call.layer)
    if layer_type is None:
        raise NoRuleError
    return _RULES[layer_type](call)


def _unchanged(call: LayerCall) -> Axes:
    """Each number from itself, whatever the axes."""
    return call.source


def _over_places(call: LayerCall) -> Axes:
    """What looks at places, which are behind the channels."""
    require(places_stay(call.source))
    return call.source


def _over_places_at(rank: int) -> LayerRule:
    """The rule for what takes a tensor of a lower rank as one without a batch, whose axis 1 is not
    of channels.
    """

    def rule(call: LayerCall) -> Axes:
        require(len(call.source) == rank)
        return _over_places(call)

    return rule


def _embedding(call: LayerCall) -> Axes:
    # Its rows are words, which stay: ids are data.
    outputs = call.makes(call.layer.embedding_dim)
    call.uses("weight", None, outputs)
    return (*call.source, outputs)


def _linear(call: LayerCall) -> Axes:
    _require_batch(call)
    # The last axis is of channels, and all before are examples and tokens.
    outputs = call.makes(call.layer.out_features)
    call.uses("weight", outputs, call.source[-1])
    call.uses("bias", outputs)
    return (*call.source[:-1], outputs)


def _require_batch(call: LayerCall) -> None:
    """Refuse a tensor of one axis, which could be of channels or of examples."""
    require(len(call.source) > 1)


def _convolution(call: LayerCall) -> Axes:
    """A convolution, or a transposed one; of places only, and of a batch."""
    layer = call.layer
    _require_batch(call)
    rank = len(call.source)
    require(rank == layer.weight.dim() and places_stay(call.source))
    if _is_depthwise(layer):
        outputs = _depthwise(call)
    elif isinstance(layer, Transposed):
        outputs = _transposed(call)
    else:
        outputs = _grouped(call)
    call.uses("bias", outputs)
    batch = call.source[0]
    return (batch, outputs, *[None] * (rank - 2))


def _is_depthwise(layer: Any) -> bool:
    """Whether each channel that a convolution makes is of one that it reads."""
    return bool(1 < layer.groups == layer.in_channels)


def _grouped(call: LayerCall) -> Ids:
    groups = call.layer.groups
    outputs = call.makes(call.layer.out_channels)
    read = call.source[1]
    if read is not None and groups > 1:
        # The weight holds the channels of one group only: all groups lose the same.
        read = call.walk.same_pieces(read, groups)
    # A group that made fewer than the others would have a weight of another shape.
    call.walk.same_pieces(outputs, groups)
    call.uses("weight", outputs, read)
    return outputs


def _transposed(call: LayerCall) -> Ids:
    groups = call.layer.groups
    outputs = call.makes(call.layer.out_channels)
    read = call.source[1]
    if read is not None and groups > 1:
        call.walk.same_pieces(read, groups)
    # Its weight begins with all that it reads, and holds what one group makes.
    of_group = call.walk.same_pieces(outputs, groups)
    call.uses("weight", read, of_group)
    return outputs


def _depthwise(call: LayerCall) -> Ids | None:
    layer = call.layer
    read = call.source[1]
    outputs = None
    if read is not None:
        outputs = np.repeat(read, layer.out_channels // layer.in_channels)
    # A transposed convolution's weight begins with what it reads.
    rows = read if isinstance(layer, Transposed) else outputs
    call.uses("weight", rows, None)
    return outputs


def _over_last(call: LayerCall) -> Axes:
    """Statistics over the last axes: of the channels that stay."""
    _require_batch(call)
    held = call.source[len(call.source) - len(call.layer.normalized_shape) :]
    # Without numbers of its own nothing would tell it its new width, which it checks.
    require(call.layer.weight is not None or all(ids is None for ids in held))
    call.uses("weight", *held)
    call.uses("bias", *held)
    return call.source


def _prelu(call: LayerCall) -> Axes:
    _require_batch(call)
    # With one slope it has the same for all channels.
    if call.layer.num_parameters > 1:
        call.uses("weight", call.source[1])
    return call.source


def _each_channel(call: LayerCall) -> Axes:
    """Batch normalisation: numbers of each channel's own."""
    _require_batch(call)
    require(places_stay(call.source))
    for parameter in ("weight", "bias", "running_mean", "running_var"):
        call.uses(parameter, call.source[1])
    return call.source


def _instance_norm(call: LayerCall) -> Axes:
    # Of two axes it takes the first for channels; without numbers nothing would tell it how many.
    require(len(call.source) > 2 and bool(call.layer.state_dict()))
    return _each_channel(call)


def _group_norm(call: LayerCall) -> Axes:
    _require_batch(call)
    require(places_stay(call.source))
    if call.source[1] is not None:
        # torch takes groups of one size only.
        call.walk.same_pieces(call.source[1], call.layer.num_groups)
    return _each_channel(call)


def _flatten(call: LayerCall) -> Axes:
    _require_batch(call)
    return reshaped(call.walk, call.source, call.before, call.after)


def _softmax(call: LayerCall) -> Axes:
    _require_batch(call)
    # Along an axis of channels each result depends on all of them.
    axis = call.layer.dim
    require(axis is not None and call.source[axis] is None)
    return call.source


def _glu(call: LayerCall) -> Axes:
    _require_batch(call)
    return gated(call.walk, call.source, call.layer.dim)


def _shuffle(call: LayerCall) -> Axes:
    _require_batch(call)
    return shuffled(call.walk, call.source, call.layer.groups)


def _pixels(call: LayerCall) -> Axes:
    _require_batch(call)
    return unfolded(call.walk, call.source, call.layer.upscale_factor)


# Each computes a number of its result from one of its input, at the same place.
_UNCHANGED: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Identity,
    nn.Dropout,
)
# These read a tensor of a lower rank as one without a batch: axis 1 is then of places.
_AT_RANK_3: tuple[type[nn.Module], ...] = (
    nn.Dropout1d,
    nn.MaxPool1d,
    nn.AvgPool1d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d,
    nn.ZeroPad1d,
)
_AT_RANK_4: tuple[type[nn.Module], ...] = (
    nn.Dropout2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.ZeroPad2d,
    nn.ReflectionPad2d,
    nn.ReplicationPad2d,
    nn.UpsamplingNearest2d,
    nn.UpsamplingBilinear2d,
)
_AT_RANK_5: tuple[type[nn.Module], ...] = (
    nn.MaxPool3d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool3d,
)
CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
_RULES: Mapping[type, LayerRule] = {
    **dict.fromkeys(_UNCHANGED, _unchanged),
    **dict.fromkeys(_AT_RANK_3, _over_places_at(3)),
    **dict.fromkeys(_AT_RANK_4, _over_places_at(4)),
    **dict.fromkeys(_AT_RANK_5, _over_places_at(5)),
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    nn.Upsample: _over_places,
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    nn.BatchNorm1d: _each_channel,
    nn.BatchNorm2d: _each_channel,
    nn.BatchNorm3d: _each_channel,
    nn.InstanceNorm1d: _instance_norm,
    nn.InstanceNorm2d: _instance_norm,
    nn.InstanceNorm3d: _instance_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _over_last,
    nn.RMSNorm: _over_last,
    nn.PReLU: _prelu,
    nn.Flatten: _flatten,
    nn.Softmax: _softmax,
    nn.GLU: _glu,
    nn.ChannelShuffle: _shuffle,
    nn.PixelShuffle: _pixels,
}


def resize(layer: nn.Module) -> None:
    """Make a layer's attributes agree with its parameters after these were cut."""
    if isinstance(layer, Convolution | Transposed):
        _resize_convolution(layer)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Embedding):
        layer.embedding_dim = layer.weight.shape[1]
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)
    elif isinstance(layer, Normalisation):
        _resize_normalisation(layer)


def _resize_normalisation(layer: Normalisation) -> None:
    # One with statistics may have no weight.
    tensor = getattr(layer, "running_mean", None)
    if tensor is None:
        tensor = layer.weight
    if tensor is None:
        return
    if isinstance(layer, nn.GroupNorm):
        layer.num_channels = len(tensor)
    elif isinstance(layer, _OverLast):
        layer.normalized_shape = tuple(tensor.shape)
    else:
        layer.num_features = len(tensor)


def _resize_convolution(layer: Convolution | Transposed) -> None:
    groups = layer.groups
    if _is_depthwise(layer):
        # As many of its outputs as before are of one input.
        times = layer.out_channels // layer.in_channels
        first = len(layer.weight)
        groups = first if isinstance(layer, Transposed) else first // times
    set_groups(layer, groups)


def set_groups(layer: Convolution | Transposed, groups: int) -> None:
    """Let a convolution have so many groups, and the channels that its weight then says."""
    first, second = layer.weight.shape[:2]
    layer.groups = groups
    if isinstance(layer, Transposed):
        layer.in_channels = first
        layer.out_channels = second * groups
    else:
        layer.out_channels = first
        layer.in_channels = second * groups


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the layer that gives the logits. Raises :class:`InputError` without a linear layer."""
    # In the order of their definition, which for classifiers is that of their calls.
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise InputError(
            "the network ends in no linear layer, whose inputs are its features: "
            "expected nn.Linear as its last layer, or features = 0"
        )
    return layers[-1]
