"""What each tensor of a file must obey: type, shape, bytes, quantisation."""

import math
from collections.abc import Sequence

import numpy as np

from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.sparse import check_sparse

MAX_BYTES = 2**31 - 1
"""Limit on one tensor, and on all activations of a graph together."""

MAX_SIDES = 8
"""Sides of a tensor; the runtime's own shapes hold no more."""

_TYPES = """
float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64
resource variant uint32 uint16 int4 bfloat16 int2 uint4 float8_e4m3fn float8_e5m2
"""
TYPES = _TYPES.split()
"""Names of the element types, by number."""

OPAQUE = ("string", "resource", "variant")
"""Types whose elements have no fixed size."""

_BITS = {
    "int4": 4,
    "uint4": 4,
    "int2": 2,
    "bfloat16": 16,
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
}
# Beyond these, kernels and delegate compute zero or infinity, and stop the process.
_SCALES = (1e-30, 1e30)
_ZERO_POINTS = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}


def bits(dtype: str) -> int:
    """Bits of one element; 0 for types whose elements have no fixed size."""
    if dtype in OPAQUE:
        return 0
    return _BITS.get(dtype) or 8 * np.dtype(dtype).itemsize


def size_in_bytes(shape: Sequence[int], dtype: str) -> int:
    """Bytes of a dense tensor."""
    return (math.prod(shape) * bits(dtype) + 7) // 8


def type_name(tensor: Table) -> str:
    """Name of a tensor's element type, whose number is in range."""
    return TYPES[tensor["type"]]


def has_data(tensor: Table, buffers: Sequence[Table]) -> bool:
    """Whether the tensor's values are in the file."""
    return bool(len(buffers[tensor["buffer"]]["data"]))


def is_empty(tensor: Table) -> bool:
    """Whether a tensor has no elements."""
    return 0 in tensor["shape"]


def open_axes(tensor: Table) -> tuple[int, ...]:
    """Axes whose length the file leaves open."""
    return tuple(i for i, side in enumerate(tensor["shape_signature"]) if side == -1)


def agrees(signature: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a shape differs from a shape signature in open sides (-1) alone."""
    if len(signature) != len(shape):
        return False
    return all(side in (-1, length) for side, length in zip(signature, shape, strict=True))


def ensure_size(path: str, shape: Sequence[int], dtype: str) -> int:
    """Bytes of a tensor, refused where a kernel's arithmetic would overflow."""
    needed = size_in_bytes(shape, dtype)
    # Kernels multiply sides one after another in 32 bits: a zero among them hides the others
    # from the product, not from the kernel.
    solid = size_in_bytes([max(side, 1) for side in shape], dtype)
    largest = max(needed, solid, *shape)
    if largest > MAX_BYTES or len(shape) > MAX_SIDES:
        limit = f"at most {MAX_SIDES} sides and {MAX_BYTES} bytes"
        unsupported(path, f"shape {tuple(shape)} of {dtype} is too large: {limit}")
    return needed


def check_tensor(path: str, tensor: Table, buffers: Sequence[Table]) -> int:
    """Check one tensor; returns the bytes that it needs at run time (0 for a constant)."""
    _check_numbers(path, tensor, len(buffers))
    dtype = type_name(tensor)
    shape = tensor["shape"]
    _check_shape(path, shape, tensor["shape_signature"])
    needed = ensure_size(path, shape, dtype)
    if tensor["quantization"]:
        _check_quantization(f"{path}.quantization", tensor["quantization"], dtype, shape)
    if has_data(tensor, buffers):
        _check_constant(path, tensor, buffers[tensor["buffer"]]["data"], needed)
        return 0
    if tensor["sparsity"]:
        fail(path, "sparse, but without data")
    return needed


def _check_numbers(path: str, tensor: Table, buffer_count: int) -> None:
    """Refuse a tensor whose type or buffer is not there: all that follows looks them up."""
    if not 0 <= tensor["type"] < len(TYPES):
        fail(path, f"element type {tensor['type']}, expected 0 to {len(TYPES) - 1}")
    if tensor["buffer"] >= buffer_count:
        fail(path, f"buffer {tensor['buffer']} of {buffer_count}")
    if tensor["external_buffer"] or tensor["variant_tensors"]:
        unsupported(path, "external buffers and variant tensors are not supported")


def _check_shape(path: str, shape: Sequence[int], signature: Sequence[int]) -> None:
    if min(shape, default=0) < 0:
        fail(path, f"shape {shape} has a negative side")
    if signature and not agrees(signature, shape):
        fail(path, f"shape signature {signature} does not agree with shape {shape}")


def _check_constant(path: str, tensor: Table, data: np.ndarray, needed: int) -> None:
    dtype = type_name(tensor)
    if tensor["is_variable"]:
        fail(path, "a variable tensor with constant data")
    if dtype == "string":
        _check_strings(path, data, math.prod(tensor["shape"]))
    elif dtype in OPAQUE:
        fail(path, f"constant of type {dtype}")
    elif tensor["sparsity"]:
        check_sparse(path, tensor, bits(dtype), len(data))
    elif len(data) != needed:
        shape = f"shape {tensor['shape']} of {dtype}"
        fail(path, f"{len(data)} bytes of data, expected {needed} for {shape}")


def _check_strings(path: str, data: np.ndarray, count: int) -> None:
    """A string tensor holds a count, then count + 1 rising offsets, then the characters."""
    head = 4 * (count + 2)
    if len(data) < head:
        fail(path, f"{len(data)} bytes of string data, expected {head} for {count} strings")
    numbers = np.frombuffer(data[:head].tobytes(), "<i4")
    offsets = numbers[1:]
    rising = (np.diff(offsets) >= 0).all()
    if numbers[0] != count or offsets[0] != head or offsets[-1] > len(data) or not rising:
        limits = f"within {len(data)} bytes for {count} strings"
        fail(path, f"string offsets are not rising {limits}")


def _check_quantization(path: str, quantization: Table, dtype: str, shape: tuple[int, ...]) -> None:
    if quantization["details_type"] > 1:
        unsupported(path, "blockwise and multi-axis quantisation are not supported")
    scales = quantization["scale"]
    zeros = quantization["zero_point"]
    # A range (min, max) without a scale tells what was seen in training, and binds no kernel.
    if not scales:
        return
    if zeros and len(zeros) != len(scales):
        fail(path, f"{len(scales)} scales but {len(zeros)} zero points")
    _check_values(path, scales, zeros, dtype)
    _check_axis(path, quantization["quantized_dimension"], len(scales), shape)


def _check_values(path: str, scales: Sequence[float], zeros: Sequence[int], dtype: str) -> None:
    low, high = _SCALES
    # One by one, not by the least and the greatest: NaN lies in no range, but is no extreme.
    if not all(low <= scale <= high for scale in scales):
        fail(path, f"scales {scales[:4]} are not all within {low} to {high}")
    # The file has 64 bits for a zero point, the runtime 32, whatever the type.
    first, last = _ZERO_POINTS.get(dtype, _ZERO_POINTS["int32"])
    for zero in zeros:
        if not first <= zero <= last:
            fail(path, f"zero point {zero} is no value of {dtype}")


def _check_axis(path: str, axis: int, count: int, shape: tuple[int, ...]) -> None:
    inside = 0 <= axis < len(shape)
    if count > 1 and (not inside or shape[axis] != count):
        fail(path, f"{count} scales along axis {axis} of shape {shape}")
    if axis and not inside:
        fail(path, f"axis {axis} of shape {shape}")
