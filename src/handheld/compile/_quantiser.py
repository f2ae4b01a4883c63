"""The one file that knows the quantiser, ai-edge-quantizer."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from handheld.compile._flatbuffer import unpack, with_weights_inside
from handheld.compile._graph import GraphOperator, operators_of
from handheld.compile._inputs import Array, to_device
from handheld.compile._silence import quiet
from handheld.engine import Model, TensorInfo
from handheld.errors import CompileError, InputError, MissingDependencyError

_SIGNATURE = "serving_default"  # as the converter calls the one that it writes
_LOOKUP = 7  # EMBEDDING_LOOKUP in the schema's table of operators
_DENSE = 9  # FULLY_CONNECTED
_TABLE_BITS = {"int8_tables": 8, "int4_tables": 4}
_ZERO = 1e-6  # a difference of equal numbers, as floats have it


def quantise(
    content: bytes,
    precision: str,
    samples: Sequence[tuple[Array, ...]] = (),
    keep_float: Collection[str] = (),
) -> bytes:
    """Return a float32 file in a smaller precision.

    It has float16 weights, int8 weights, or int8 weights and activations calibrated on samples, as
    in Jacob et al., "Quantization and Training of Neural Networks for Efficient
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
    kept: list[str] = []
    # Before the quantiser is imported: a wrong name is told at once.
    if keep_float:
        kept += _scopes(content, keep_float)
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise MissingDependencyError(
            "ai-edge-quantizer", "compile", "quantising a network"
        ) from error
    with quiet():
        try:
            maker = quantizer.Quantizer(bytearray(content))
            _set_recipe(maker, precision, content)
            # Behind the recipe, as later entries count.
            _keep_float(maker, kept)
            ranges = None
            if precision == "int8":
                ranges = _calibrated(maker, content, samples)
            result = maker.quantize(ranges)
        except Exception as error:
            raise CompileError(
                f"the file cannot be quantised to {precision}: {type(error).__name__}: {error}"
            ) from error
    return with_weights_inside(bytes(result.quantized_model))


def _set_recipe(maker: Any, precision: str, content: bytes) -> None:
    if precision == "float16":
        _ask_for_float16(maker)
    elif precision == "int8":
        maker.load_quantization_recipe(_int8())
    else:
        table_bits = _TABLE_BITS.get(precision)
        maker.load_quantization_recipe(_int8_weights(table_bits, content))


def _keep_float(maker: Any, scopes: Sequence[str]) -> None:
    """Leave operators in float32, by the patterns of their names."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    for scope in scopes:
        maker.update_quantization_recipe(scope, every, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _int8() -> Any:
    """Return the recipe for everything in integers.

    Of tables, whose kernel gives float32, the rows are, with a scale for each. A dense layer has
    the same scales, so a table that is a layer's weights too is stored once.
    """
    from ai_edge_quantizer import qtyping, recipe_manager

    names = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(
        regex=".*", operation_name=names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    _add_lookups(manager, ".*", 8, by_row=True)
    return manager.get_quantization_recipe()


def _int8_weights(table_bits: int | None, content: bytes) -> Any:
    """Return the recipe for convolutions and matrix products in integers, the rest in float32.

    Each activation is quantised as it comes. With ``table_bits`` embeddings have so many bits; one
    that is a dense layer's weights too is stored once, as that layer has it.

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
    if table_bits:
        # A scale for each row would be larger than a narrow row itself.
        _add_lookups(manager, ".*", table_bits, by_row=False)
        # Last, as later entries count.
        for scope in _lookups_in_layers(content):
            _add_lookups(manager, scope, 8, by_row=True)
    return manager.get_quantization_recipe()


def _add_lookups(manager: Any, scope: str, bits: int, *, by_row: bool) -> None:
    """Let tables have so many bits, with a scale for each row or one for all."""
    from ai_edge_quantizer import qtyping

    granularity = qtyping.QuantGranularity.TENSORWISE
    if by_row:
        # a row is a channel of a table
        granularity = qtyping.QuantGranularity.CHANNELWISE
    manager.add_dynamic_config(
        regex=scope,
        operation_name=qtyping.TFLOperationName.EMBEDDING_LOOKUP,
        num_bits=bits,
        granularity=granularity,
    )


def _scopes(content: bytes, layers: Collection[str]) -> Iterator[str]:
    """Yield patterns of the quantiser's names for the operators of layers.

    These are the names of their outputs, each with a semicolon.
    """
    missing = set(layers)
    for graph in unpack(content).subgraphs:
        for operator in operators_of(graph):
            holders = _holders_of(operator, graph, layers)
            if holders:
                missing -= holders
                yield _scope(operator, graph)
    if missing:
        raise InputError(
            f"keep_float: {', '.join(sorted(missing))} has no operator of its own in the file: it "
            "computes nothing, cannot be told from a layer of like name, or was fused into the "
            "layer before it; name that one"
        )


def _scope(operator: GraphOperator, graph: Any) -> str:
    """Return the pattern of the quantiser's name for an operator."""
    names = [f"{graph.tensors[index].name.decode()};" for index in operator.outputs]
    return f"^{re.escape(''.join(names))}$"


def _lookups_in_layers(content: bytes) -> Iterator[str]:
    """Yield patterns of operators that look up rows of a table which is a layer's weights too."""
    model = unpack(content)
    for graph in model.subgraphs:
        dense = {operator.weights for operator in _operators_of_code(model, graph, _DENSE)}
        for operator in _operators_of_code(model, graph, _LOOKUP):
            if operator.weights in dense:
                yield _scope(operator, graph)


def _operators_of_code(model: Any, graph: Any, code: int) -> Iterator[GraphOperator]:
    """Yield the operators of a graph that do one thing, by the schema's number of it."""
    for node, operator in zip(graph.operators, operators_of(graph), strict=True):
        if model.operatorCodes[node.opcodeIndex].builtinCode == code:
            yield operator


def _holders_of(operator: GraphOperator, graph: Any, layers: Collection[str]) -> set[str]:
    """Return those of the layers that an operator is of or in, by its weights and its outputs."""
    tensors = list(operator.outputs)
    if operator.weights is not None:
        tensors.append(operator.weights)
    holders: set[str] = set()
    for index in tensors:
        holders |= _holders(graph.tensors[index].name.decode(), layers)
    return holders


def _holders(tensor: str, layers: Collection[str]) -> set[str]:
    """Return the layers that hold a tensor; none unless all that it may be of are in one."""
    holders: set[str] = set()
    # Names end in a number where several tensors are of one layer.
    for name in re.sub(r":\d+$", "", tensor).split("|"):
        holding = {layer for layer in layers if f"{name}.".startswith(f"{layer}.")}
        if not holding:
            return set()
        holders |= holding
    return holders


def _calibrated(maker: Any, content: bytes, samples: Sequence[tuple[Array, ...]]) -> Any:
    """Return the range of each tensor over all samples.

    The quantiser's own default is a moving average of each sample's least and greatest value: of a
    tensor of one number, a score say, these are the same, and its range would shrink to a point.
    """
    from ai_edge_quantizer import calibrator, recipe_manager

    with Model.load(content) as model:
        infos = model.inputs
    feeds = [_feed(sample, infos) for sample in samples]
    recipe = recipe_manager.RecipeManager()
    recipe.load_quantization_recipe(maker.get_quantization_recipe())

    calibration = calibrator.Calibrator(content, num_threads=1, qsv_update_func=_widened)
    calibration.calibrate({_SIGNATURE: feeds}, recipe)
    ranges = calibration.get_model_qsvs()
    return {name: _with_width(bounds) for name, bounds in ranges.items()}


def _feed(sample: tuple[Array, ...], infos: Sequence[TensorInfo]) -> dict[str, Array]:
    """Return inputs as a device takes them, by their names in the signature.

    The quantiser knows inputs by these.
    """
    feed = {}
    for array, info in zip(sample, infos, strict=True):
        name = info.name.removeprefix(f"{_SIGNATURE}_").partition(":")[0]
        feed[name] = to_device(array).astype(info.dtype)
    return feed


def _widened(seen: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the range that holds both; the quantiser begins with an empty one."""
    if not seen:
        return new
    return {"min": np.minimum(seen["min"], new["min"]), "max": np.maximum(seen["max"], new["max"])}


def _with_width(bounds: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what is always 0, such as a number less itself, a range.

    From none follows a scale that no kernel can take.
    """
    if not bounds:
        return bounds
    low = np.abs(bounds["min"]).max(initial=0.0)
    high = np.abs(bounds["max"]).max(initial=0.0)
    if max(low, high) > _ZERO:
        return bounds
    return {
        **bounds,
        "min": np.full_like(bounds["min"], -1.0),
        "max": np.full_like(bounds["max"], 1.0),
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
