"""Batch normalisation becomes part of the convolution or linear layer before it, as in the file."""

from copy import deepcopy
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval


def fold(network: fx.GraphModule) -> fx.GraphModule:
    """Return a copy, in evaluation mode, whose batch normalisation is folded into the layers whose only reader it is.

    Its layers are the graph's own, ``stage.0.conv`` as ``stage_0_conv``: under such names the file and the quantiser know them.
    """
    folded = deepcopy(network).eval()
    layers = dict(folded.named_modules())
    for node in list(folded.graph.nodes):
        norm = layers.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        source = node.args[0]
        before = layers.get(str(source.target)) if source.op == "call_module" else None
        if len(source.users) != 1 or not isinstance(before, nn.Conv1d | nn.Conv2d | nn.Linear):
            continue
        fused = fuse_linear_bn_eval(before, norm) if isinstance(before, nn.Linear) else fuse_conv_bn_eval(before, norm)
        owner, _, name = str(source.target).rpartition(".")
        setattr(folded.get_submodule(owner), name, fused)
        node.replace_all_uses_with(source)
        folded.graph.erase_node(node)
    _flatten(folded)
    folded.delete_all_unused_submodules()
    folded.recompile()
    for parameter in folded.parameters():
        parameter.requires_grad_(True)
    return folded


def _flatten(network: fx.GraphModule) -> None:
    for node in network.graph.nodes:
        if node.op == "call_module" and "." in str(node.target):
            layer, name = network.get_submodule(str(node.target)), str(node.target).replace(".", "_")
            while getattr(network, name, layer) is not layer:
                name += "_"
            network.add_module(name, layer)
            node.target = name


class Plain(nn.Module):
    """A graph as a module that calls its layers itself, so that whoever exports it sees their names."""

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
    found = dict(network.named_modules())
    names = [str(node.target) for node in network.graph.nodes if node.op == "call_module"]
    return [name for name in dict.fromkeys(names) if isinstance(found[name], kinds)]
