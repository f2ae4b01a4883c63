"""A graph that runs on its example, to see what its nodes give."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from handheld.errors import CompileError

Memory = Mapping[fx.Node, frozenset[StorageWeakRef]]
"""The pieces of memory that the tensors of each node are in."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a while; each layer gets its own mode back."""
    modes = {layer: layer.training for layer in network.modules()}
    network.eval()
    try:
        yield
    finally:
        # Not network.train(): that would set all layers below to one mode.
        for layer, mode in modes.items():
            layer.training = mode


class NodeWatch(fx.Interpreter):
    """Runs a graph in evaluation mode, and lets those derived from it see what each node gives.

    (torch's own ``ShapeProp`` prints to stderr and hides the error of a layer.)
    """

    def __init__(self, network: fx.GraphModule):
        super().__init__(network)
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        """Run a node and look at what it gives."""
        result = super().run_node(n)
        self.see(n, result)
        return result

    def see(self, node: fx.Node, result: Any) -> None:
        """Note what a node gives."""
        raise NotImplementedError

    def watch(self, example: torch.Tensor) -> None:
        """Run on an input. Raises :class:`CompileError` where the network fails on it."""
        parameters = self.module.parameters()
        device = next((parameter.device for parameter in parameters), example.device)
        try:
            with evaluating(self.module), torch.inference_mode():
                # A copy, since the network may write into what it is given.
                self.run(example.to(device, copy=True))
        except Exception as error:
            # Any layer can fail on it in its own way.
            raise CompileError(
                f"the module fails on an input {list(example.shape)}: {error}. "
                "Give an example that it takes"
            ) from error


def memory_of(network: fx.GraphModule, example: torch.Tensor) -> Memory:
    """Return the memory that the nodes of a network hold on an example.

    Raises :class:`CompileError` where the network fails on it.
    """
    watch = _MemoryWatch(network)
    watch.watch(example)
    return watch.memory


class _MemoryWatch(NodeWatch):
    def __init__(self, network: fx.GraphModule):
        super().__init__(network)
        self.memory: dict[fx.Node, frozenset[StorageWeakRef]] = {}

    def see(self, node: fx.Node, result: Any) -> None:
        """Note the memory of the tensors that a node gives."""
        self.memory[node] = frozenset(map(_storage, filter(_is_dense, tree_leaves(result))))


def _storage(tensor: torch.Tensor) -> StorageWeakRef:
    # An address would be given to another tensor, once this one is no longer needed.
    # torch leaves it without types.
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _is_dense(value: Any) -> bool:
    """Whether something is a tensor with memory of one piece, which sparse ones have not."""
    return isinstance(value, torch.Tensor) and value.layout is torch.strided
