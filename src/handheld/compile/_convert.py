"""The one file that knows the converter, litert-torch."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.compile._names import layers_of, tensor_names
from handheld.compile._quiet import quiet
from handheld.compile._rewrite import renamed
from handheld.errors import CompileError, InputError, MissingDependencyError

try:
    import torch
    from torch.utils._pytree import tree_leaves, tree_leaves_with_path
except ImportError as error:
    raise MissingDependencyError("torch", "torch", "compiling a network") from error

Array = NDArray[Any]

_MOST = np.iinfo(np.int32).max


class Flat(torch.nn.Module):
    """A module that takes tensors one by one and gives a tuple of tensors, whatever structure its
    own are in.

    Args:
        module: to wrap.
        names: of its arguments where it takes them by name; else they go by place.
    """

    def __init__(self, module: torch.nn.Module, names: tuple[str, ...] = ()):
        super().__init__()
        self.module, self._names = module, names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tensors of what the module gives, in its own order."""
        given = _by_name(self.module, self._names, inputs)
        return tuple(leaf for leaf in tree_leaves(given) if leaf is not None)


def _array(part: Any) -> Array:
    if not isinstance(part, torch.Tensor):
        return np.asarray(part)
    if part.dtype == torch.bfloat16:
        raise InputError("expected a tensor that a file can hold, got bfloat16: give it as float32")
    dense = part.detach().cpu() if part.layout == torch.strided else part.detach().cpu().to_dense()
    array: Array = dense.numpy()
    return array


class _Rows(torch.nn.Linear):
    """A dense layer that reads inputs of more than three axes as rows; of others the converter
    makes what it then refuses.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Return what the layer gives."""
        if input.dim() <= 3:
            return super().forward(input)
        return super().forward(input.flatten(0, -2)).reshape(*input.shape[:-1], self.out_features)


def by_rows(network: torch.nn.Module) -> torch.nn.Module:
    """Let the dense layers of a network, changed in place, read rows."""
    for layer in network.modules():
        if type(layer) is torch.nn.Linear:
            layer.__class__ = _Rows
    return network


def names_of(example: Any) -> tuple[str, ...]:
    """Return the names of a module's arguments, where an example gives them by name."""
    return tuple(example) if isinstance(example, Mapping) else ()


def as_inputs(example: Any, names: tuple[str, ...] = ()) -> tuple[Array, ...]:
    """Return a module's inputs as arrays, in the layout of the module.

    Args:
        example: a tensor or array, or several in a tuple or by name.
        names: of the arguments, in their order; empty: as the example has them.

    Raises:
        InputError: something is no array of finite numbers, or the names are others.
    """
    if names and set(names) != set(names_of(example)):
        given = ", ".join(map(repr, names_of(example))) or "inputs without names"
        raise InputError(
            f"expected inputs by the example's names, {', '.join(map(repr, names))}, got {given}"
        )
    by_name = (
        tuple(example[name] for name in names or names_of(example)) if names_of(example) else None
    )
    parts = by_name or (example if isinstance(example, (tuple, list)) else (example,))
    arrays = tuple(map(_array, parts))
    for array in arrays:
        if array.dtype.kind not in "fiub" or not array.size:
            raise InputError(f"expected tensors of numbers, got {array.dtype} {list(array.shape)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError("an input holds values that are not finite")
        if array.dtype == np.int64 and not -_MOST <= array.min() <= array.max() <= _MOST:
            raise InputError(
                f"expected whole numbers of at most {_MOST:,}, for 32 bits, got {array.min():,} to {array.max():,}"
            )
    return arrays


def convert(module: torch.nn.Module, inputs: tuple[Array, ...]) -> bytes:
    """Return the float32 ``.tflite`` file of a module, pictures channels last, tensors named after
    the module's layers.

    Raises :class:`CompileError`.
    """
    _check_type(module, inputs)
    outputs = run(module, inputs)
    if bad := [
        position for position, output in enumerate(outputs) if not np.isfinite(output).all()
    ]:
        raise CompileError(
            f"output {bad[0]} of the module is not finite on the example: are its weights?"
        )
    converter = _converter()
    network = _channels_last(converter, module, inputs, outputs)
    prefix = ("wrapped." if network is not module else "") + (
        "module." if isinstance(module, Flat) else ""
    )
    tensors = tuple(_to_last(torch.from_numpy(np.array(array))) for array in inputs)
    exported = _export(network, tensors)
    with quiet():
        try:
            model = converter.convert(network, tensors)
        except Exception as error:
            raise CompileError(_explain(error, exported, prefix)) from error
        content = bytes(model.model_content())
    layers = layers_of(module.module if isinstance(module, Flat) else module, exported, prefix)
    return renamed(content, lambda graph: tensor_names(graph, layers))


def call(module: torch.nn.Module, inputs: tuple[Array, ...], names: tuple[str, ...] = ()) -> Any:
    """Return what a module gives, in its own structure.

    Raises :class:`CompileError` if it raises.
    """
    tensors = tuple(torch.from_numpy(np.array(array)) for array in inputs)
    try:
        with torch.inference_mode():
            return _by_name(module, names, tensors)
    except Exception as error:
        raise CompileError(
            f"the module fails on its inputs: {type(error).__name__}: {error}"
        ) from error


def run(module: torch.nn.Module, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return what a module gives, as arrays.

    Raises :class:`CompileError` if it raises, or gives no tensors.
    """
    result = call(module, inputs)
    results = tree_leaves(result)
    if other := [
        type(part).__name__ for part in results if not isinstance(part, torch.Tensor | None)
    ]:
        raise CompileError(
            f"expected a module that returns tensors, alone or in tuples and dictionaries, got {other[0]}"
        )
    if all(part is None for part in results):
        raise CompileError(
            f"expected a module that returns tensors, got {type(result).__name__} without any"
        )
    return tuple(part.numpy() for part in results if part is not None)


def is_flat(result: Any) -> bool:
    """Whether a module gave a tensor or a plain tuple of them."""
    parts = result if type(result) in (tuple, list) else (result,)
    return all(isinstance(part, torch.Tensor) for part in parts)


def output_names(result: Any) -> tuple[str, ...]:
    """Return what a module calls its outputs, ``boxes`` or ``hidden.0``; () where it gave them
    without names of their own.
    """
    if not isinstance(result, Mapping):
        return ()
    names = [
        ".".join(map(_said, path))
        for path, leaf in tree_leaves_with_path(result)
        if leaf is not None
    ]
    return tuple(names) if len(set(names)) == len(names) else ()


def _said(key: Any) -> str:
    """Return a step of a path: a dictionary's key, a place, or a field's name."""
    return next(str(getattr(key, name)) for name in ("key", "idx", "name") if hasattr(key, name))


def _by_name(
    module: torch.nn.Module, names: tuple[str, ...], inputs: tuple[torch.Tensor, ...]
) -> Any:
    return module(**dict(zip(names, inputs, strict=True))) if names else module(*inputs)


def _check_type(module: torch.nn.Module, inputs: tuple[Array, ...]) -> None:
    doubles = [
        name for name, tensor in module.state_dict().items() if tensor.dtype == torch.float64
    ]
    if doubles or any(array.dtype == np.float64 for array in inputs):
        what = f"{doubles[0].removeprefix('module.')!r}" if doubles else "an input"
        raise CompileError(
            f"{what} is float64, in which devices do not compute: compile module.float(), with float32 inputs"
        )


def _export(module: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> Any:
    """Return the exported program, to name layers by; most modules that cannot become a file fail
    here.
    """
    try:
        with quiet():
            return torch.export.export(module, tensors)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CompileError(
            f"the module cannot be exported as a graph of operators: {first}"
        ) from error


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
    pictures_in = [position for position, array in enumerate(inputs) if array.ndim == 4]
    pictures_out = [position for position, array in enumerate(outputs) if array.ndim == 4]
    if not pictures_in and not pictures_out:
        return module
    network: torch.nn.Module = converter.to_channel_last_io(
        module, args=pictures_in, outputs=pictures_out
    )
    return network


def _to_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.permute(0, 2, 3, 1).contiguous() if tensor.ndim == 4 else tensor


def _explain(error: Exception, exported: Any, prefix: str) -> str:
    """Say which layer uses the operator that the format lacks."""
    text = str(error)
    found = re.search(r"(?:Lowering not found: |torch\.ops\.)(\w+\.\w+)", text)
    if found is None:
        first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
        return f"the module cannot be converted: {first}"
    operator = found.group(1)
    program = exported.run_decompositions()
    for node in program.graph.nodes:
        if operator in str(node.target) and (stack := node.meta.get("nn_module_stack")):
            path, kind = list(stack.values())[-1]
            attribute = f"{path}.".rpartition("L['self'].")[2]
            name = attribute.removeprefix(prefix).removesuffix(".") or "the module itself"
            layer = f"layer {name!r} ({getattr(kind, '__name__', str(kind).rpartition('.')[2])})"
            return f"{layer} uses the operator {operator}, which the device format lacks; replace it by others"
    return f"the module uses the operator {operator}, which the device format lacks; replace it by others"
