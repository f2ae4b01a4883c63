"""The one file that knows the converter, litert-torch."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from handheld.compile._flatbuffer import renamed
from handheld.compile._inputs import Array
from handheld.compile._names import layers_of, tensor_names
from handheld.compile._silence import quiet
from handheld.errors import CompileError, MissingDependencyError

try:
    import torch
    from torch.utils._pytree import tree_leaves, tree_leaves_with_path
except ImportError as error:
    raise MissingDependencyError("torch", "torch", "compiling a network") from error

# How torch and the converter call an operator that has no counterpart in the format.
_MISSING_OPERATOR = re.compile(r"(?:Lowering not found: |torch\.ops\.)(\w+\.\w+)")
# How it calls one that has a counterpart, but not with the options of this module.
_REFUSED_OPERATOR = re.compile(r"failed to legalize operation '(?:\w+\.)?(\w+)'")
_SPREADS_INPUTS = "lhs_dilation"  # in a convolution that is refused: it is a transposed one


class FlatModule(torch.nn.Module):
    """A module that takes tensors one by one and gives a tuple of tensors.

    Args:
        module: to wrap, whose inputs and outputs may be in any structure.
        names: of its arguments where it takes them by name; else they go by position.
    """

    def __init__(self, module: torch.nn.Module, names: tuple[str, ...] = ()):
        super().__init__()
        self.module = module
        self._names = names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tensors of what the module gives, in its own order."""
        result = _call_by_name(self.module, self._names, inputs)
        return tuple(_leaves(result))


class _RowsLinear(torch.nn.Linear):
    """A dense layer that reads inputs of more than three axes as rows.

    Of others the converter makes what it then refuses.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Return what the layer gives."""
        if input.dim() <= 3:
            return super().forward(input)
        rows = super().forward(input.flatten(0, -2))
        return rows.reshape(*input.shape[:-1], self.out_features)


def by_rows(network: torch.nn.Module) -> torch.nn.Module:
    """Let the dense layers of a network, changed in place, read rows."""
    for layer in network.modules():
        # Another class and not another layer: names and hooks stay as they are.
        if type(layer) is torch.nn.Linear:
            layer.__class__ = _RowsLinear
    return network


def convert(module: torch.nn.Module, inputs: tuple[Array, ...]) -> bytes:
    """Return the float32 ``.tflite`` file of a module.

    Pictures are channels last in it, and tensors are named after the module's layers.

    Raises :class:`CompileError`.
    """
    _check_type(module, inputs)
    outputs = run(module, inputs)
    for number, output in enumerate(outputs):
        if not np.isfinite(output).all():
            raise CompileError(
                f"output {number} of the module is not finite on the example: are its weights?"
            )
    # Late: it takes seconds to import, and faults of the module are told before.
    converter = _converter()
    network = _channels_last(converter, module, inputs, outputs)
    # What stands before a layer's name once the module is inside of others.
    prefix = ""
    if network is not module:
        prefix = "wrapped."
    layers_owner = module
    if isinstance(module, FlatModule):
        prefix += "module."
        layers_owner = module.module
    tensors = tuple(map(_to_last, _tensors(inputs)))
    # Exported here too, though the converter does so itself: layers are named by it, and most
    # faults of a module show here.
    exported = _export(network, tensors)
    with quiet():
        try:
            model = converter.convert(network, tensors)
        except Exception as error:
            raise CompileError(_explain(error, exported, prefix)) from error
        content = bytes(model.model_content())
    layers = layers_of(layers_owner, exported, prefix)

    def checked_names(graph: Any) -> dict[int, str]:
        names = tensor_names(graph, layers)
        _require_known(graph, names, layers_owner)
        return names

    return renamed(content, checked_names)


def call(module: torch.nn.Module, inputs: tuple[Array, ...], names: tuple[str, ...] = ()) -> Any:
    """Return what a module gives, in its own structure.

    Raises :class:`CompileError` if it raises.
    """
    try:
        with torch.inference_mode():
            return _call_by_name(module, names, _tensors(inputs))
    except Exception as error:
        raise CompileError(
            f"the module fails on its inputs: {type(error).__name__}: {error}"
        ) from error


def run(module: torch.nn.Module, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return what a module gives, as arrays.

    Raises :class:`CompileError` if it raises, or gives no tensors.
    """
    result = call(module, inputs)
    leaves = _leaves(result)
    for leaf in leaves:
        if not isinstance(leaf, torch.Tensor):
            raise CompileError(
                "expected a module that returns tensors, alone or in tuples and dictionaries, "
                f"got {type(leaf).__name__}"
            )
    if not leaves:
        raise CompileError(
            f"expected a module that returns tensors, got {type(result).__name__} without any"
        )
    return tuple(leaf.numpy() for leaf in leaves)


def _leaves(result: Any) -> list[Any]:
    """Return what a module gave, in order, without the places that it left empty."""
    return [leaf for leaf in tree_leaves(result) if leaf is not None]


def _tensors(inputs: tuple[Array, ...]) -> tuple[torch.Tensor, ...]:
    """Return inputs as tensors of their own: a module may write into them."""
    return tuple(torch.from_numpy(np.array(array)) for array in inputs)


def is_flat(result: Any) -> bool:
    """Whether a module gave a tensor or a plain tuple of them."""
    if type(result) in (tuple, list):
        return all(isinstance(value, torch.Tensor) for value in result)
    return isinstance(result, torch.Tensor)


def output_names(result: Any) -> tuple[str, ...]:
    """Return what a module calls its outputs, ``boxes`` or ``hidden.0``.

    It is () where it gave them without names of their own.
    """
    if not isinstance(result, Mapping):
        return ()
    names = []
    for path, leaf in tree_leaves_with_path(result):
        if leaf is not None:
            names.append(".".join(map(_key_name, path)))
    if len(set(names)) != len(names):
        # Two of one name, as 1 and "1" are, could not be told apart in a file.
        return ()
    return tuple(names)


def _key_name(key: Any) -> str:
    """Return a step of a path: a dictionary's key, a position, or a field's name."""
    # torch has a class for each of them, with an attribute of another name
    for name in ("key", "idx", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    raise AssertionError(f"a step of a path has a name, {key!r} has none")


def _call_by_name(
    module: torch.nn.Module, names: tuple[str, ...], inputs: tuple[torch.Tensor, ...]
) -> Any:
    if not names:
        return module(*inputs)
    return module(**dict(zip(names, inputs, strict=True)))


def _check_type(module: torch.nn.Module, inputs: tuple[Array, ...]) -> None:
    culprit = _double(module, inputs)
    if culprit is not None:
        raise CompileError(
            f"{culprit} is float64, in which devices do not compute: compile module.float(), "
            "with float32 inputs"
        )


def _double(module: torch.nn.Module, inputs: tuple[Array, ...]) -> str | None:
    """Return what is of 64 bits: the first of the weights, or an input; None if nothing is."""
    for name, tensor in module.state_dict().items():
        if tensor.dtype == torch.float64:
            # without what wraps it: a person knows the name in the module that was given
            return repr(name.removeprefix("module."))
    if any(array.dtype == np.float64 for array in inputs):
        return "an input"
    return None


def _export(module: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> Any:
    """Return the exported program, to name layers by.

    Most modules that cannot become a file fail here.
    """
    try:
        with quiet():
            return torch.export.export(module, tensors)
    except Exception as error:
        raise CompileError(
            f"the module cannot be exported as a graph of operators: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    # torch's go on with a stack of its own
    return lines[0]


def _converter() -> Any:
    with quiet():
        try:
            import litert_torch
        except ImportError as error:
            raise MissingDependencyError(
                "litert-torch", "compile", "compiling a network"
            ) from error
    return litert_torch


def _channels_last(
    converter: Any, module: torch.nn.Module, inputs: tuple[Array, ...], outputs: tuple[Array, ...]
) -> torch.nn.Module:
    pictures_in = _pictures(inputs)
    pictures_out = _pictures(outputs)
    if not pictures_in and not pictures_out:
        return module
    network: torch.nn.Module = converter.to_channel_last_io(
        module, args=pictures_in, outputs=pictures_out
    )
    return network


def _pictures(arrays: tuple[Array, ...]) -> list[int]:
    """Return which arrays are pictures, (batch, channels, height, width)."""
    return [number for number, array in enumerate(arrays) if array.ndim == 4]


def _to_last(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.ndim != 4:
        return tensor
    return tensor.permute(0, 2, 3, 1).contiguous()


def _explain(error: Exception, exported: Any, prefix: str) -> str:
    """Say which layer uses the operator that the format lacks."""
    text = str(error)
    if missing := _MISSING_OPERATOR.search(text):
        operator = missing.group(1)
        # Decomposed, as the converter sees it: the operator may be one of several of a layer's.
        user = _users_of(operator, exported.run_decompositions(), prefix)
        return (
            f"{user} uses the operator {operator}, which the device format lacks; "
            "replace it by others"
        )
    if refused := _REFUSED_OPERATOR.search(text):
        operator = refused.group(1)
        if _SPREADS_INPUTS in text:
            operator = "conv_transpose"
        return _lacking_options(_users_of(operator, exported, prefix), operator)
    return f"the module cannot be converted: {_first_line(error)}"


def _require_known(graph: Any, names: Mapping[int, str], module: torch.nn.Module) -> None:
    """Raise :class:`CompileError` for operators that the converter left in its own dialect.

    Args:
        graph: of the converted file.
        names: of the layers that its tensors are of.
        module: that has them.
    """
    for node in graph.operators or ():
        # The second table of options has those of StableHLO alone.
        if node.builtinOptions2 is None:
            continue
        user = _user(names.get(node.outputs[0], ""), module)
        operator = type(node.builtinOptions2).__name__.removesuffix("OptionsT")
        raise CompileError(_lacking_options(user, operator))


def _user(name: str, module: torch.nn.Module) -> str:
    """Return a layer as errors name it, with its class; the module if there is no such layer."""
    layer = dict(module.named_modules()).get(name)
    if not layer:
        return "the module"
    return f"layer {name!r} ({type(layer).__name__})"


def _lacking_options(user: str, operator: str) -> str:
    return (
        f"{user} has options that the device format lacks (of the operator {operator}); "
        "choose others, or replace it"
    )


def _users_of(operator: str, program: Any, prefix: str) -> str:
    """Return the layers that use an operator, with their classes."""
    users: dict[str, None] = {}
    for node in program.graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if operator in str(node.target) and stack:
            # the innermost layer: those around it only hold it
            path, layer_type = list(stack.values())[-1]
            attribute = f"{path}.".rpartition("L['self'].")[2]
            name = attribute.removeprefix(prefix).removesuffix(".") or "the module itself"
            class_name = getattr(layer_type, "__name__", str(layer_type).rpartition(".")[2])
            users[f"layer {name!r} ({class_name})"] = None
    return " or ".join(users) or "the module"
