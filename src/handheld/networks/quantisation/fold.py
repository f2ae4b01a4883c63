"""Batch normalisation becomes part of the convolution or linear layer before it, as in the file."""

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils._pytree import tree_leaves

from handheld.errors import CompileError
from handheld.networks.structure import evaluating, example_of, kind_of, rank_of

# Difference of the folded network, over the spread of its answers: rounding is a thousandth of it.
_ACCEPTED = 1e-3
_LEAST_SPREAD = 1e-3  # over the largest answer


def fold(network: fx.GraphModule) -> fx.GraphModule:
    """Return a copy, in evaluation mode, whose batch normalisation is folded into the layers whose
    only reader it is.

    A layer that is called several times is folded if the same normalisation follows each call; what
    cannot be folded stays. The layers are the graph's own, ``stage.0.conv`` as ``stage_0_conv``:
    under such names the file and the quantiser know them.

    Raises:
        CompileError: the copy does not answer as the network does.
    """
    folded = deepcopy(network).eval()
    for pair in _pairs(folded):
        owner, _, attribute = pair.name.rpartition(".")
        setattr(folded.get_submodule(owner), attribute, _fused(pair.before, pair.norm))
        for source, call in pair.calls:
            call.replace_all_uses_with(source)
            folded.graph.erase_node(call)
    _flatten(folded)
    folded.delete_all_unused_submodules()
    folded.recompile()
    for parameter in folded.parameters():
        parameter.requires_grad_(True)
    _compare(folded, network)
    return folded


class _Pair(NamedTuple):
    """A layer, its name, the normalisation of all that it gives, and the calls of both, in pairs."""

    name: str
    before: nn.Module
    norm: nn.Module
    calls: list[tuple[fx.Node, fx.Node]]


def _pairs(network: fx.GraphModule) -> list[_Pair]:
    """Return the layers and normalisations that can be folded."""
    names: dict[nn.Module, str] = {}
    calls: dict[nn.Module, list[fx.Node]] = {}
    for node in network.graph.nodes:
        if node.op == "call_module":
            layer = network.get_submodule(str(node.target))
            calls.setdefault(layer, []).append(node)
            names.setdefault(layer, str(node.target))
    read = _read_by_the_graph(network)
    pairs = []
    for norm, norm_calls in calls.items():
        if not _has_statistics(norm):
            continue
        both = [(node.all_input_nodes[0], node) for node in norm_calls]
        before = _only_layer(network, [source for source, _ in both])
        if before is None or len(calls[before]) != len(norm_calls):
            continue
        if not read.isdisjoint(map(id, before.parameters())):
            continue
        if all(_can_fold(before, source) for source, _ in both):
            pairs.append(_Pair(names[before], before, norm, both))
    return pairs


def _only_layer(network: fx.GraphModule, sources: list[fx.Node]) -> nn.Module | None:
    """Return the one layer that all nodes call; None if they call several, or none."""
    layers = set()
    for source in sources:
        if source.op != "call_module":
            return None
        layers.add(network.get_submodule(str(source.target)))
    return layers.pop() if len(layers) == 1 else None


def _read_by_the_graph(network: fx.GraphModule) -> set[int]:
    """Return tensors, by their ids, that something reads beside the layer that holds them: it would
    see the folded ones.
    """
    names = {str(node.target) for node in network.graph.nodes if node.op == "get_attr"}
    return {
        id(tensor)
        for name, tensor in network.named_parameters(remove_duplicate=False)
        if name in names
    }


def _fused(before: Any, norm: Any) -> nn.Module:
    fuse = fuse_linear_bn_eval if isinstance(before, nn.Linear) else fuse_conv_bn_eval
    fused: nn.Module = fuse(before, norm)
    return fused


def _has_statistics(layer: nn.Module) -> bool:
    """Whether a layer is batch normalisation that computes the same for each example."""
    return kind_of(layer) in (nn.BatchNorm1d, nn.BatchNorm2d) and layer.running_mean is not None


def _can_fold(before: nn.Module, source: fx.Node) -> bool:
    """Whether a normalisation reads a layer's channels, and nobody else what the layer gives."""
    if len(source.users) != 1:
        return False
    if kind_of(before) is nn.Linear:
        # Of more axes the channels are the last, and it would be the second that is normalised.
        return rank_of(source) == 2
    return kind_of(before) in (nn.Conv1d, nn.Conv2d)


def _compare(folded: fx.GraphModule, network: fx.GraphModule) -> None:
    """See that a folded network answers as the network does. Raises :class:`CompileError`."""
    example = example_of(network)
    if example.is_floating_point():
        # Always the same noise, so that a network is refused in each run or in none.
        generator = torch.Generator().manual_seed(0)
        example = torch.randn(example.shape, generator=generator, dtype=example.dtype)
    device = next((parameter.device for parameter in network.parameters()), example.device)
    with evaluating(network), torch.inference_mode():
        answers = tree_leaves(folded(example.to(device)))
        expected = tree_leaves(network(example.to(device)))
        for answer, right in zip(answers, expected, strict=True):
            if isinstance(right, torch.Tensor):  # and not a number of channels, say, or nothing
                _compare_tensors(answer.float(), right.float())


def _compare_tensors(answer: torch.Tensor, right: torch.Tensor) -> None:
    error = (answer - right).square().mean().sqrt()
    # What hardly varies is judged by a share of its size instead.
    spread = right.std(correction=0).maximum(_LEAST_SPREAD * right.abs().max())
    if error > _ACCEPTED * spread:
        raise CompileError(
            "with batch normalisation folded the network answers otherwise, by "
            f"{float(error / spread):.3g} of the spread of its answers: "
            "this is a fault of handheld; keep the layers that it normalises apart"
        )


def _flatten(network: fx.GraphModule) -> None:
    """Put all layers that are called into the network itself, under names without points."""
    for node in network.graph.nodes:
        if node.op == "call_module" and "." in str(node.target):
            layer = network.get_submodule(str(node.target))
            name = str(node.target).replace(".", "_")
            while getattr(network, name, layer) is not layer:
                name += "_"
            network.add_module(name, layer)
            node.target = name


class FxNet(nn.Module):
    """A graph as a module that calls its layers itself, so that whoever exports it sees their
    names.
    """

    def __init__(self, network: fx.GraphModule):
        super().__init__()
        self._graph = network.graph
        for name, layer in network.named_children():
            self.add_module(name, layer)
        for name, buffer in network.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        for name, parameter in network.named_parameters(recurse=False):
            self.register_parameter(name, parameter)

    def forward(self, inputs: torch.Tensor) -> Any:
        """Return what the graph gives."""
        return fx.Interpreter(self, graph=self._graph).run(inputs, enable_io_processing=False)


def layers_of(network: fx.GraphModule) -> list[str]:
    """Names of the layers with weights, in the network's order."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = dict(network.named_modules())
    names = [str(node.target) for node in network.graph.nodes if node.op == "call_module"]
    return [name for name in dict.fromkeys(names) if isinstance(layers[name], kinds)]
