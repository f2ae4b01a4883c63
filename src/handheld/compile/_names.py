"""Which layer of a torch module each tensor of its converted file belongs to.

The converter names a tensor after all the layers that were fused into its operator, each as a path
of classes and attributes, ``package.Net/package.Block_0/torch.nn.modules.conv.Conv2d_conv;``, with
``;;`` between them, up to a kilobyte a tensor. A path lacks the containers that are not called
(``ModuleList``), so it may stand for several layers: the exported program says for which, in order
of execution.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
        fused = self._fused(name)
        weighted = list(filter(self.own_parameters, fused))
        if is_constant and weighted:
            return weighted[-1]
        if not fused:
            return ()
        return fused[0]

    def _fused(self, name: str) -> list[_Names]:
        """Return the layers that were fused into a tensor, by the converter's name of it."""
        fused = []
        for numbered_path in name.split(";;"):
            path = re.sub(r";\d*$", "", numbered_path)
            if path in self.paths:
                fused.append(self.paths[path])
        return fused


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
    return Layers(paths, frozenset(_weighted(module)))


def _weighted(module: "torch.nn.Module") -> set[str]:
    """Return the names of the layers that own parameters, the module's own by its class."""
    names = set()
    for name, layer in module.named_modules():
        # Of a layer's own: a container would else own all that its layers do.
        if list(layer.parameters(recurse=False)):
            names.add(name or type(module).__name__)
    return names


def _step(name: str, layer_type: Any) -> str:
    """Return a step of the converter's path: a class, and the attribute that holds the layer."""
    attribute = ""
    if name:
        attribute = f"_{name.rpartition('.')[2]}"
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
    layers_by_tensor = _layers_by_tensor(graph, layers)
    operators = operators_of(graph)
    candidates = [_candidates(operator, layers_by_tensor, layers) for operator in operators]
    told_apart = _told_apart(candidates)
    names: dict[int, str] = {}
    # First by the tensors alone, then by their operators, which know more.
    for index, known in enumerate(layers_by_tensor):
        if known:
            names[index] = "|".join(known)
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


def _layers_by_tensor(graph: Any, layers: Layers) -> list[_Names]:
    """Return what :meth:`Layers.of` says of each tensor of a graph."""
    variables = variables_of(graph)
    names = []
    for index, tensor in enumerate(graph.tensors):
        names.append(layers.of(tensor, is_constant=index not in variables))
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
    in_order: dict[_Candidates, Iterator[str]] = {}
    for candidate, count in Counter(candidates).items():
        if count == len(candidate.names):
            # one for all of its operators: each takes the next name
            in_order[candidate] = iter(candidate.names)
    names = []
    for candidate in candidates:
        name = ""
        if candidate in in_order:
            name = next(in_order[candidate])
        elif len(candidate.names) == 1:
            name = candidate.names[0]
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
            neighbours = (readers.get(operator.outputs[0]), *map(makers.get, operator.inputs))
            name = _nearest(neighbours, candidate.names)
        names.append(name)
    return names


def _nearest(neighbours: Sequence[str | None], names: _Names) -> str:
    """Return the first neighbour that is one of the layers, or else all of these."""
    for neighbour in neighbours:
        # of one that is not told apart itself the name is empty, as no layer's is
        if neighbour is not None and neighbour in names:
            return neighbour
    return "|".join(names)
