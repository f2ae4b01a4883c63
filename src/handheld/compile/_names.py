"""Which layer of a torch module each tensor of its converted file belongs to.

The converter names a tensor after all the layers that were fused into its operator, each as a path
of classes and attributes, ``package.Net/package.Block_0/torch.nn.modules.conv.Conv2d_conv;``, with
``;;`` between them, up to a kilobyte a tensor. A path lacks the containers that are not called
(``ModuleList``), so it may stand for several layers: the exported program says for which, in order
of execution.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handheld.compile._graph import GraphOperator, operators_of, variables_of

if TYPE_CHECKING:
    import torch

_Names = tuple[str, ...]  # dotted names of layers that one of the converter's paths may stand for


@dataclass(frozen=True)
class Layers:
    """Layers of an exported module.

    Attributes:
        paths: dotted names, in order of execution, by the converter's path; the module itself by
            its class.
        weighted: names of those that own parameters.
    """

    paths: Mapping[str, _Names]
    weighted: frozenset[str]

    def own_parameters(self, names: _Names) -> bool:
        """Whether one of some layers owns parameters."""
        return not self.weighted.isdisjoint(names)

    def of(self, tensor: Any, *, is_constant: bool) -> _Names:
        """Return the layer of a tensor, or those that it may be; () if unknown.

        Of all that were fused into it, it is the last with weights for a constant, and the
        outermost for anything else.
        """
        name = tensor.name.decode()
        if ";" not in name:  # a constant that layers share, named by the converter itself
            return ()
        paths = [re.sub(r";\d*$", "", path) for path in name.split(";;")]
        fused = [self.paths[path] for path in paths if path in self.paths]
        weighted = list(filter(self.own_parameters, fused))
        if is_constant and weighted:
            return weighted[-1]
        return fused[0] if fused else ()


def layers_of(module: "torch.nn.Module", exported: Any, prefix: str) -> Layers:
    """Return the layers of a module.

    Args:
        module: whose layers they are.
        exported: the program of the module, or of one that wraps it: what the converter is given,
            since it names after that.
        prefix: of the names of the module's layers in the program, ``wrapped.`` or nothing.
    """
    itself = type(module).__name__
    paths: dict[str, _Names] = {}
    for node in exported.graph.nodes:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        if not stack:
            continue
        path = "/".join(_step(name, layer_type) for name, layer_type in stack)
        innermost = f"{stack[-1][0]}."
        layer = innermost.removeprefix(prefix).removesuffix(".") or itself
        # A dictionary keeps the order of execution, and each name once.
        paths[path] = tuple(dict.fromkeys((*paths.get(path, ()), layer)))
    # Of a layer's own: a container would else own all that its layers do.
    weighted = set()
    for name, layer in module.named_modules():
        if any(True for _ in layer.parameters(recurse=False)):
            weighted.add(name or itself)
    return Layers(paths, frozenset(weighted))


def _step(name: str, layer_type: Any) -> str:
    """Return a step of the converter's path: a class, and the attribute that holds the layer."""
    attribute = f"_{name.rpartition('.')[2]}" if name else ""
    if not isinstance(layer_type, str):
        layer_type = f"{layer_type.__module__}.{layer_type.__qualname__}"
    return f"{layer_type}{attribute}"


@dataclass(frozen=True)
class _Candidates:
    """The layers that an operator may be of.

    Attributes:
        names: of the layers.
        by_weights: whether its weights say it, and not its output.
    """

    names: _Names
    by_weights: bool


def tensor_names(graph: Any, layers: Layers) -> dict[int, str]:
    """Return the layer's name for each tensor of a converted graph that has one.

    A tensor that may be of several layers has all of their names, with ``|`` between them.
    """
    variables = variables_of(graph)
    layers_by_tensor = [
        layers.of(tensor, is_constant=index not in variables)
        for index, tensor in enumerate(graph.tensors)
    ]
    operators = operators_of(graph)
    candidates = [_candidates(operator, layers_by_tensor, layers) for operator in operators]
    told_apart = _told_apart(candidates)
    # First by the tensors alone, then by their operators, which know more.
    names = {index: "|".join(known) for index, known in enumerate(layers_by_tensor) if known}
    layer_names = _by_neighbours(operators, told_apart, candidates)
    for operator, layer, candidate in zip(operators, layer_names, candidates, strict=True):
        if not layer:
            continue
        # A bias that layers share keeps the name that the converter gave it.
        for index in operator.constants:
            if layers_by_tensor[index] == candidate.names:
                names[index] = layer
        names |= dict.fromkeys(operator.outputs, layer)
    return names


def _candidates(
    operator: GraphOperator, layers_by_tensor: Sequence[_Names], layers: Layers
) -> _Candidates:
    """Return the layers that an operator may be of: its weights', or else its output's."""
    if operator.weights is not None:
        names = layers_by_tensor[operator.weights]
        if layers.own_parameters(names):
            return _Candidates(names, by_weights=True)
    return _Candidates(layers_by_tensor[operator.outputs[0]], by_weights=False)


def _told_apart(candidates: Sequence[_Candidates]) -> list[str]:
    """Return the layer of each operator where it is known, else an empty text.

    Operators of layers that share a path, as many as there are layers, are theirs in order of
    execution.
    """
    counts = Counter(candidates)
    in_order = {
        candidate: iter(candidate.names)
        for candidate, count in counts.items()
        if count == len(candidate.names)
    }
    names = []
    for candidate in candidates:
        name = candidate.names[0] if len(candidate.names) == 1 else ""
        if candidate in in_order:
            name = next(in_order[candidate])
        names.append(name)
    return names


def _by_neighbours(
    operators: Sequence[GraphOperator],
    told_apart: Sequence[str],
    candidates: Sequence[_Candidates],
) -> list[str]:
    """Return the layer of each operator.

    What is not told apart, such as the padding before a convolution, is of the layer that reads it
    or that it reads.
    """
    makers: dict[int, str] = {}
    readers: dict[int, str] = {}
    for operator, name in zip(operators, told_apart, strict=True):
        makers |= dict.fromkeys(operator.outputs, name)
        readers |= dict.fromkeys(operator.inputs, name)
    names = []
    for operator, name, candidate in zip(operators, told_apart, candidates, strict=True):
        if not name:
            neighbours = [readers.get(operator.outputs[0]), *map(makers.get, operator.inputs)]
            possible = [layer for layer in neighbours if layer in candidate.names]
            name = possible[0] if possible else "|".join(candidate.names)
        names.append(name or "")
    return names
