"""The one file that knows the quantiser, ai-edge-quantizer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from handheld.compile._convert import Array
from handheld.compile._quiet import quiet
from handheld.engine import Model
from handheld.errors import CompileError, MissingDependencyError

_SIGNATURE = "serving_default"


def quantise(content: bytes, precision: str, samples: Sequence[tuple[Array, ...]]) -> bytes:
    """Return a float32 file with float16 weights, or with int8 weights and activations calibrated on samples.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    arXiv 1712.05877: weights by channel and symmetric, activations by tensor and asymmetric.
    """
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise MissingDependencyError("ai-edge-quantizer", "train", "quantising a network") from error
    with quiet():
        try:
            maker = quantizer.Quantizer(bytearray(content))
            if precision == "float16":
                _ask_for_float16(maker)
                result = maker.quantize()
            else:
                result = _int8(maker, content, samples)
        except Exception as error:
            raise CompileError(f"the file cannot be quantised to {precision}: {type(error).__name__}: {error}") from error
    return bytes(result.quantized_model)


def _int8(maker: Any, content: bytes, samples: Sequence[tuple[Array, ...]]) -> Any:
    from ai_edge_quantizer import recipe

    maker.load_quantization_recipe(recipe.static_wi8_ai8())
    with Model.load(content) as model:
        names = [name.removeprefix(f"{_SIGNATURE}_").partition(":")[0] for name in (info.name for info in model.inputs)]
    feeds = [
        {name: array.astype(np.float32) for name, array in zip(names, map(to_device, sample), strict=True)}
        for sample in samples
    ]
    return maker.quantize(maker.calibrate({_SIGNATURE: feeds}))


def _ask_for_float16(maker: Any) -> None:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    maker.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        ),
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )


def to_device(array: Array) -> Array:
    """Return a picture (batch, channels, height, width) channels last, and anything else as it is."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if array.ndim == 4 else array
