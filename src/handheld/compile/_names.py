"""Which layer of a torch module each tensor of its converted file belongs to.

The converter names a tensor after all the layers that were fused into its operator, each as a path
of classes and attributes, ``package.Net/package.Block_0/torch.nn.modules.conv.Conv2d_conv;``, with
``;;`` between them, up to a kilobyte a tensor. A path lacks the containers that are not called
(``ModuleList``), so it may stand for several layers: the exported program says for which, in order
of execution.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_Layers = tuple[str, ...]  # dotted names that one of the converter's paths may stand for


@dataclass(frozen=True)
class Layers:
    """Layers of an exported module.

    Attributes:
        paths: dotted names, in order of execution, by the converter's path; the module itself by
            its class.
        weighted: names of those that own parameters.
    """

    paths: Mapping[str, _Layers]
    weighted: frozenset[str]

    def of(self, tensor: Any, *, weights: bool) -> _Layers:
        """Return the layer of a tensor: of those fused into it the last with weights, or the
        outermost; () if unknown.
        """
        name = tensor.name.decode()
        if ";" not in name:  # a constant that layers share, named by the converter itself
            return ()
        parts = (re.sub(r";\d*$", "", part) for part in name.split(";;"))
        found = [self.paths[part] for part in parts if part in self.paths]
        weighted = [layers for layers in found if weights and not self.weighted.isdisjoint(layers)]
        return (weighted[-1:] or found[:1] or [()])[0]


def layers_of(module: "torch.nn.Module", exported: Any, prefix: str) -> Layers:
    """Return the layers of a module.

    Args:
        module: whose layers they are.
        exported: the program of the module, or of one that wraps it: what the converter is given,
            since it names after that.
        prefix: of the names of the module's layers in the program, ``wrapped.`` or nothing.
    """
    paths: dict[str, _Layers] = {}
    for node in exported.graph.nodes:
        if stack := list(node.meta.get("nn_module_stack", {}).values()):
            path = "/".join(
                _class_name(kind) + (f"_{name.rpartition('.')[2]}" if name else "")
                for name, kind in stack
            )
            layer = (
                f"{stack[-1][0]}.".removeprefix(prefix).removesuffix(".") or type(module).__name__
            )
            paths[path] = tuple(dict.fromkeys((*paths.get(path, ()), layer)))
    own = (
        name or type(module).__name__
        for name, layer in module.named_modules()
        if [*layer.parameters(recurse=False)]
    )
    return Layers(paths, frozenset(own))


def _class_name(kind: Any) -> str:
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def tensor_names(graph: Any, layers: Layers) -> dict[int, str]:
    """Return the layer's name for each tensor of a converted graph that has one; for several
    possible ones, all with ``|``.
    """
    computed = {int(i) for node in graph.operators for i in node.outputs}
    found = {
        i: layers.of(tensor, weights=i not in computed) for i, tensor in enumerate(graph.tensors)
    }
    weights = [largest_constant(node, graph) for node in graph.operators]
    own = [i is not None and not layers.weighted.isdisjoint(found[i]) for i in weights]
    kinds = [
        found[i if i is not None and mine else int(node.outputs[0])]
        for i, mine, node in zip(weights, own, graph.operators, strict=True)
    ]
    names = {i: "|".join(candidates) for i, candidates in found.items() if candidates}
    told = _told_apart(list(zip(own, kinds, strict=True)))
    for node, layer, kind in zip(
        graph.operators, _by_neighbours(graph, told, kinds), kinds, strict=True
    ):
        constants = (
            int(i)
            for i in node.inputs
            if i >= 0 and int(i) not in computed and found[int(i)] == kind
        )
        names |= {int(i): layer for i in (*constants, *node.outputs) if layer}
    return names


def largest_constant(node: Any, graph: Any) -> int | None:
    """Return the weights that an operator reads, where it reads any; its bias may be shared with
    other layers' operators.
    """
    computed = {int(i) for other in graph.operators for i in other.outputs}
    constants = [
        int(i)
        for i in node.inputs
        if i >= 0 and int(i) not in computed and int(i) not in graph.inputs
    ]
    return max(constants, key=lambda i: math.prod(map(int, graph.tensors[i].shape)), default=None)


def _told_apart(kinds: list[tuple[bool, _Layers]]) -> list[str]:
    """Operators of layers that share a path, as many as there are layers, are theirs in order of
    execution; "" for others.
    """
    counts = Counter(kinds)
    turns = {kind: iter(kind[1]) for kind in counts if counts[kind] == len(kind[1])}
    return [
        next(turns[kind]) if kind in turns else kind[1][0] if len(kind[1]) == 1 else ""
        for kind in kinds
    ]


def _by_neighbours(graph: Any, told: list[str], kinds: list[_Layers]) -> list[str]:
    """What is not told apart, such as the padding before a convolution, is of the layer that reads
    it or that it reads.
    """
    maker = {int(i): told[n] for n, node in enumerate(graph.operators) for i in node.outputs}
    reader = {int(i): told[n] for n, node in enumerate(graph.operators) for i in node.inputs}
    found = []
    for node, layer, kind in zip(graph.operators, told, kinds, strict=True):
        near = (reader.get(int(node.outputs[0])), *(maker.get(int(i)) for i in node.inputs))
        found.append(layer or next((name for name in near if name in kind), "|".join(kind)))
    return found
