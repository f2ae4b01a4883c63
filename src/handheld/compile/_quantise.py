"""The one file that knows the quantiser, ai-edge-quantizer."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from handheld.compile._convert import Array
from handheld.compile._names import largest_constant
from handheld.compile._quiet import quiet
from handheld.compile._rewrite import unpack, with_weights_inside
from handheld.engine import Model
from handheld.errors import CompileError, InputError, MissingDependencyError

_SIGNATURE = "serving_default"
_LOOKUP, _DENSE = 7, 9  # EMBEDDING_LOOKUP and FULLY_CONNECTED in the schema's table of operators
_NOTHING = 1e-6  # a difference of equal numbers, as floats have it


def quantise(
    content: bytes,
    precision: str,
    samples: Sequence[tuple[Array, ...]] = (),
    keep_float: Collection[str] = (),
) -> bytes:
    """Return a float32 file with float16 weights, int8 weights, or int8 weights and activations
    calibrated on samples.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", arXiv 1712.05877: weights by channel and symmetric,
    activations by tensor and asymmetric.

    Args:
        content: a file whose tensors are named after layers, as ``convert`` makes it.
        precision: float16, int8_weights, int8_tables, int4_tables or int8.
        samples: for int8.
        keep_float: names of layers that stay in float32, with all that they hold.

    Raises:
        InputError: a name in ``keep_float`` has no operator.
        CompileError: the quantiser cannot do it.
    """
    kept = list(_scopes(content, keep_float)) if keep_float else []
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise MissingDependencyError(
            "ai-edge-quantizer", "compile", "quantising a network"
        ) from error
    with quiet():
        try:
            maker = quantizer.Quantizer(bytearray(content))
            _ask(maker, precision, content)
            _keep(maker, kept)
            result = maker.quantize(
                _calibrated(maker, content, samples) if precision == "int8" else None
            )
        except Exception as error:
            raise CompileError(
                f"the file cannot be quantised to {precision}: {type(error).__name__}: {error}"
            ) from error
    return with_weights_inside(bytes(result.quantized_model))


def _ask(maker: Any, precision: str, content: bytes) -> None:
    if precision == "float16":
        _ask_for_float16(maker)
    elif precision == "int8":
        maker.load_quantization_recipe(_int8())
    else:
        tables = {"int8_tables": 8, "int4_tables": 4}.get(precision)
        maker.load_quantization_recipe(_int8_weights(tables, content))


def _keep(maker: Any, kept: Sequence[str]) -> None:
    """Leave operators in float32, by the patterns of their names."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    for scope in kept:
        every = qtyping.TFLOperationName.ALL_SUPPORTED
        maker.update_quantization_recipe(scope, every, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _int8() -> Any:
    """Everything in integers; of tables, whose kernel gives float32, the rows, with a scale for
    each.

    A dense layer has the same scales, so a table that is a layer's weights too is stored once.
    """
    from ai_edge_quantizer import qtyping, recipe_manager

    names = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(
        regex=".*", operation_name=names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    manager.add_dynamic_config(
        regex=".*",
        operation_name=names.EMBEDDING_LOOKUP,
        num_bits=8,
        granularity=qtyping.QuantGranularity.CHANNELWISE,
    )
    return manager.get_quantization_recipe()


def _int8_weights(tables: int | None, content: bytes) -> Any:
    """Convolutions and matrix products in integers, quantising each activation as it comes; the
    rest in float32.

    With ``tables`` embeddings have so many bits; one that is a dense layer's weights too is stored
    once, as that layer has it.

    LiteRT 2.3 runs ``residual`` networks of ``handheld.compress`` 2.2 to 3.3 times as fast so as
    with weights made float again first, but a depthwise convolution three times as slowly: it has
    no fast kernel for that.
    """
    from ai_edge_quantizer import qtyping, recipe_manager

    names = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    manager.add_weight_only_config(regex=".*", operation_name=names.ALL_SUPPORTED, num_bits=8)
    for operation in (names.CONV_2D, names.FULLY_CONNECTED):
        manager.add_dynamic_config(regex=".*", operation_name=operation, num_bits=8)
    if tables:  # by tensor: a scale for each row would be larger than a narrow row itself
        manager.add_dynamic_config(
            regex=".*",
            operation_name=names.EMBEDDING_LOOKUP,
            num_bits=tables,
            granularity=qtyping.QuantGranularity.TENSORWISE,
        )
        for scope in _lookups_in_layers(content):  # last, as later entries count
            manager.add_dynamic_config(
                regex=scope,
                operation_name=names.EMBEDDING_LOOKUP,
                num_bits=8,
                granularity=qtyping.QuantGranularity.CHANNELWISE,
            )
    return manager.get_quantization_recipe()


def _scopes(content: bytes, layers: Collection[str]) -> Iterator[str]:
    """Patterns of the quantiser's names for the operators of layers: the names of their outputs,
    each with a semicolon.
    """
    missing = set(layers)
    for graph in unpack(content).subgraphs:
        for node in graph.operators:
            own = [i for i in (largest_constant(node, graph), *node.outputs) if i is not None]
            if kept := {
                layer for i in own for layer in _holders(graph.tensors[i].name.decode(), layers)
            }:
                missing -= kept
                yield _scope(node, graph)
    if missing:
        raise InputError(
            f"keep_float: {', '.join(sorted(missing))} has no operator of its own in the file: it computes nothing, cannot be"
            " told from a layer of like name, or was fused into the layer before it; name that one"
        )


def _scope(node: Any, graph: Any) -> str:
    """Return the pattern of the quantiser's name for an operator."""
    outputs = "".join(f"{graph.tensors[i].name.decode()};" for i in node.outputs)
    return f"^{re.escape(outputs)}$"


def _lookups_in_layers(content: bytes) -> Iterator[str]:
    """Yield patterns of operators that look up rows of a table which is a layer's weights too."""
    model = unpack(content)
    for graph in model.subgraphs:
        weights = {kind: _constants(model, graph, kind) for kind in (_DENSE, _LOOKUP)}
        dense = {tensor for _, tensor in weights[_DENSE]}
        for node, tensor in weights[_LOOKUP]:
            if tensor in dense:
                yield _scope(node, graph)


def _constants(model: Any, graph: Any, kind: int) -> list[tuple[Any, int | None]]:
    """Return the operators of a kind, each with the constant that it reads."""
    nodes = [
        node
        for node in graph.operators
        if model.operatorCodes[node.opcodeIndex].builtinCode == kind
    ]
    return [(node, largest_constant(node, graph)) for node in nodes]


def _holders(tensor: str, layers: Collection[str]) -> set[str]:
    """Those of the layers that a tensor is of or in, if every layer that it may be of is in one."""
    possible = re.sub(r":\d+$", "", tensor).split("|")
    holders = [
        {layer for layer in layers if f"{name}.".startswith(f"{layer}.")} for name in possible
    ]
    return set().union(*holders) if all(holders) else set()


def _calibrated(maker: Any, content: bytes, samples: Sequence[tuple[Array, ...]]) -> Any:
    """Return the range of each tensor over all samples.

    The quantiser's own default is a moving average of each sample's least and greatest value: of a
    tensor of one number, a score say, these are the same, and its range would shrink to a point.
    """
    from ai_edge_quantizer import calibrator, recipe_manager

    with Model.load(content) as model:
        names = [
            info.name.removeprefix(f"{_SIGNATURE}_").partition(":")[0] for info in model.inputs
        ]
        types = [info.dtype for info in model.inputs]
    feeds = [
        {
            name: array.astype(kind)
            for name, kind, array in zip(names, types, map(to_device, sample), strict=True)
        }
        for sample in samples
    ]
    recipe = recipe_manager.RecipeManager()
    recipe.load_quantization_recipe(maker.get_quantization_recipe())
    ranges = calibrator.Calibrator(content, num_threads=1, qsv_update_func=_widened)
    ranges.calibrate({_SIGNATURE: feeds}, recipe)
    return {name: _opened(found) for name, found in ranges.get_model_qsvs().items()}


def _widened(seen: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    return (
        {"min": np.minimum(seen["min"], new["min"]), "max": np.maximum(seen["max"], new["max"])}
        if seen
        else new
    )


def _opened(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what is always 0, such as a number less itself, a range: from none follows a scale that
    no kernel can take.
    """
    if (
        not found
        or max(np.abs(found["min"]).max(initial=0.0), np.abs(found["max"]).max(initial=0.0))
        > _NOTHING
    ):
        return found
    return {
        **found,
        "min": np.full_like(found["min"], -1.0),
        "max": np.full_like(found["max"], 1.0),
    }


def _ask_for_float16(maker: Any) -> None:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    maker.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )


def to_device(array: Array) -> Array:
    """Return a picture (batch, channels, height, width) channels last, anything else as it is."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if array.ndim == 4 else array
