"""Batch normalisation becomes part of the convolution or linear layer before it, as in the file."""

from collections.abc import Iterator
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
    # All of them first: whatever is folded changes what the others would be asked for.
    for pair in list(_pairs(folded)):
        _fold_pair(folded, pair)
    _flatten(folded)
    folded.delete_all_unused_submodules()
    folded.recompile()
    for parameter in folded.parameters():
        # torch's fusion freezes what it makes.
        parameter.requires_grad_(True)
    _compare(folded, network)
    return folded


class _Pair(NamedTuple):
    """A layer, its name, the normalisation of all that it gives, and the calls of both in pairs."""

    name: str
    before: nn.Module
    norm: nn.Module
    calls: list[tuple[fx.Node, fx.Node]]


def _fold_pair(network: fx.GraphModule, pair: _Pair) -> None:
    owner, _, attribute = pair.name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, _fused(pair.before, pair.norm))
    for source, call in pair.calls:
        call.replace_all_uses_with(source)
        network.graph.erase_node(call)


class _Calls:
    """The calls of each layer of a network, and the name by which it is first called."""

    def __init__(self, network: fx.GraphModule):
        self.names: dict[nn.Module, str] = {}
        self.nodes: dict[nn.Module, list[fx.Node]] = {}
        for node in network.graph.nodes:
            if node.op == "call_module":
                layer = network.get_submodule(str(node.target))
                self.nodes.setdefault(layer, []).append(node)
                self.names.setdefault(layer, str(node.target))


def _pairs(network: fx.GraphModule) -> Iterator[_Pair]:
    """Yield the layers and normalisations that can be folded."""
    calls = _Calls(network)
    read = _read_by_the_graph(network)
    for norm, norm_calls in calls.nodes.items():
        if not _has_statistics(norm):
            continue
        sources = [node.all_input_nodes[0] for node in norm_calls]
        before = _only_layer(network, sources)
        # A call that is not normalised would get folded weights too.
        if before is None or len(calls.nodes[before]) != len(norm_calls):
            continue
        if _is_read(before, read):
            continue
        if all(_can_fold(before, source) for source in sources):
            pairs = list(zip(sources, norm_calls, strict=True))
            yield _Pair(calls.names[before], before, norm, pairs)


def _is_read(layer: nn.Module, read: set[int]) -> bool:
    """Whether a weight of a layer is among tensors that are known by their ids."""
    return any(id(parameter) in read for parameter in layer.parameters())


def _only_layer(network: fx.GraphModule, sources: list[fx.Node]) -> nn.Module | None:
    """Return the one layer that all nodes call; None if they call several, or none."""
    layers = set()
    for source in sources:
        if source.op != "call_module":
            return None
        layers.add(network.get_submodule(str(source.target)))
    if len(layers) == 1:
        return layers.pop()
    return None


def _read_by_the_graph(network: fx.GraphModule) -> set[int]:
    """Return tensors, by their ids, that something reads beside the layer that holds them: it would
    see the folded ones.
    """
    # By what it is: shared weights have several names.
    names = {str(node.target) for node in network.graph.nodes if node.op == "get_attr"}
    parameters = dict(network.named_parameters(remove_duplicate=False))
    return {id(parameters[name]) for name in names & parameters.keys()}


def _fused(before: Any, norm: Any) -> nn.Module:
    # torch has a function for each of them.
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
    example = _noise_like(example_of(network))
    # A network without parameters is where its inputs are.
    device = next((parameter.device for parameter in network.parameters()), example.device)
    inputs = example.to(device)
    with evaluating(network), torch.inference_mode():
        answers = tree_leaves(folded(inputs))
        expected = tree_leaves(network(inputs))
    for answer, right in zip(answers, expected, strict=True):
        # And not a number of channels, say, or nothing.
        if isinstance(right, torch.Tensor):
            _compare_tensors(answer.float(), right.float())


def _noise_like(example: torch.Tensor) -> torch.Tensor:
    """Return noise of a shape and type; of whole numbers, such as letters, the example itself."""
    if not example.is_floating_point():
        return example
    # Always the same noise, so that a network is refused in each run or in none.
    generator = torch.Generator().manual_seed(0)
    return torch.randn(example.shape, generator=generator, dtype=example.dtype)


def _compare_tensors(answer: torch.Tensor, right: torch.Tensor) -> None:
    # Where the network itself gives no finite number, as for a class that is ruled out, there is
    # nothing to compare; the others would be lost in it.
    is_known = right.isfinite()
    if not is_known.any():
        return
    answer = answer[is_known]
    right = right[is_known]
    error = (answer - right).square().mean().sqrt()
    # What hardly varies is judged by a share of its size instead.
    spread = right.std(correction=0).maximum(_LEAST_SPREAD * right.abs().max())
    # Not "error > ...", which what is no number would pass.
    if not error <= _ACCEPTED * spread:
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
            # A layer of the network itself may be called so already.
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


_WITH_WEIGHTS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def layers_of(network: fx.GraphModule) -> list[str]:
    """Names of the layers with weights, in the network's order."""
    # By all names: one that is read by hand as well is called by its second.
    layers = dict(network.named_modules(remove_duplicate=False))
    called = [str(node.target) for node in network.graph.nodes if node.op == "call_module"]
    # Once each: one may be called several times.
    return [name for name in dict.fromkeys(called) if isinstance(layers[name], _WITH_WEIGHTS)]
