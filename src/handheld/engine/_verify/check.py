"""What a decoded model must obey before the runtime may see it.

The runtime's loader and kernels trust the converter: an index, a shape or an arity that is wrong in the file makes
them read outside their arrays or stop the process. Each function here checks one part and raises ``CorruptError``.
"""

import math
from collections.abc import Iterable
from itertools import chain

import numpy as np

from handheld.engine._verify.flatbuffer import Table, fail
from handheld.engine._verify.operands import check_operands
from handheld.engine._verify.operators import CUSTOM, Signature, signatures
from handheld.engine._verify.options import check_options

MAX_BYTES = 2**31 - 1
"""Limit on one tensor, and on all activations of a graph together."""

_TYPES = """
float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant
uint32 uint16 int4 bfloat16 int2 uint4 float8_e4m3fn float8_e5m2
"""
TYPES = _TYPES.split()
"""Names of the element types, by number."""

_BITS = {"int4": 4, "uint4": 4, "int2": 2, "bfloat16": 16, "float8_e4m3fn": 8, "float8_e5m2": 8}
_SCALES = (1e-30, 1e30)  # beyond, kernels and delegate compute zero or infinity, and stop the process
_OPAQUE = ("string", "resource", "variant")
_ZERO_POINTS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}


def bits(kind: str) -> int:
    """Bits of one element; 0 for types whose elements have no fixed size."""
    return 0 if kind in _OPAQUE else _BITS.get(kind) or 8 * np.dtype(kind).itemsize


def check_model(model: Table) -> bool:
    """Check a decoded ``Model`` table, its buffers filled by ``fill_buffers``.

    Returns:
        Whether all shapes of the main graph are known before it runs, so that the runtime never moves a tensor.
    """
    if model["version"] != 3:
        fail("version", f"schema version {model['version']}, expected 3")
    if not model["subgraphs"]:
        fail("subgraphs", "none; a model has at least one")
    if model["external_buffers"] or model["external_buffer_groups"]:
        fail("external_buffers", "weights in other files are not supported; export the model as one file")
    for i, code in enumerate(model["operator_codes"]):
        _check_code(f"operator_codes[{i}]", code)
    for i, entry in enumerate(model["metadata"]):
        if entry["name"] is None or entry["buffer"] >= len(model["buffers"]):
            fail(f"metadata[{i}]", f"entry named {entry['name']} in buffer {entry['buffer']}")
    steady = [_check_graph(f"subgraphs[{i}]", graph, model) for i, graph in enumerate(model["subgraphs"])]
    _check_calls(model)
    for i, signature in enumerate(model["signature_defs"]):
        _check_signature(f"signature_defs[{i}]", signature, model)
    return steady[0]


def _check_code(where: str, code: Table) -> None:
    number = operator_number(code)
    if number not in signatures():
        fail(where, f"operator number {number} is not one that this version of handheld knows")
    if number == CUSTOM and not code["custom_code"]:
        fail(where, "custom operator without a name")
    if code["version"] < 1:
        fail(where, f"operator version {code['version']}, expected 1 or more")


def operator_number(code: Table) -> int:
    """An operator code's number: newer files use a second field, for numbers above 127."""
    return int(max(code["deprecated_builtin_code"], code["builtin_code"]))


def _check_graph(where: str, graph: Table, model: Table) -> bool:
    """Check one graph; whether all of its shapes are known."""
    tensors, total, steady = graph["tensors"], 0, True
    for i, tensor in enumerate(tensors):
        total += _check_tensor(f"{where}.tensors[{i}]", tensor, model)
        if total > MAX_BYTES:
            fail(where, f"tensors need more than {MAX_BYTES} bytes together")
    for field in ("inputs", "outputs"):
        _check_indices(f"{where}.{field}", graph[field], len(tensors))
    if len(set(graph["inputs"])) != len(graph["inputs"]):
        fail(f"{where}.inputs", f"a tensor is listed twice: {graph['inputs']}")
    constant = {i for i, tensor in enumerate(tensors) if has_data(tensor, model)}
    if not constant.isdisjoint(graph["inputs"]):
        fail(f"{where}.inputs", f"tensor {constant.intersection(graph['inputs'])} is a constant")
    ready = constant.union(graph["inputs"], (i for i, t in enumerate(tensors) if t["is_variable"] or _is_empty(t)))
    for i, node in enumerate(graph["operators"]):
        steady &= _check_node(f"{where}.operators[{i}]", node, graph, model, ready, constant)
    if not ready.issuperset(graph["outputs"]):
        fail(f"{where}.outputs", f"tensors {set(graph['outputs']) - ready} are never computed")
    return steady


def _check_indices(where: str, indices: Iterable[int], count: int, lowest: int = 0) -> None:
    for i in indices:
        if not lowest <= i < count:
            fail(where, f"tensor index {i}, expected {lowest} to {count - 1}")


def _is_empty(tensor: Table) -> bool:
    return 0 in tensor["shape"]


def has_data(tensor: Table, model: Table) -> bool:
    """Whether the tensor's values are in the file."""
    return bool(len(model["buffers"][tensor["buffer"]]["data"]))


def _check_tensor(where: str, tensor: Table, model: Table) -> int:
    """Check one tensor; returns the bytes that it needs at run time (0 for a constant)."""
    if not 0 <= tensor["type"] < len(TYPES):
        fail(where, f"element type {tensor['type']}, expected 0 to {len(TYPES) - 1}")
    if tensor["buffer"] >= len(model["buffers"]):
        fail(where, f"buffer {tensor['buffer']} of {len(model['buffers'])}")
    if tensor["external_buffer"] or tensor["variant_tensors"]:
        fail(where, "external buffers and variant tensors are not supported")
    shape, signature, kind = tensor["shape"], tensor["shape_signature"], TYPES[tensor["type"]]
    if any(side < 0 for side in shape):
        fail(where, f"shape {shape} has a negative side")
    if signature and (len(signature) != len(shape) or any(s not in (-1, n) for s, n in zip(signature, shape, strict=True))):
        fail(where, f"shape signature {signature} does not agree with shape {shape}")
    needed = (math.prod(shape) * bits(kind) + 7) // 8
    if needed > MAX_BYTES or len(shape) > 8:
        fail(where, f"shape {shape} of {kind} is too large: at most 8 sides and {MAX_BYTES} bytes")
    if tensor["quantization"]:
        _check_quantization(f"{where}.quantization", tensor["quantization"], kind, shape)
    if has_data(tensor, model):
        _check_constant(where, tensor, model["buffers"][tensor["buffer"]], kind, needed)
        return 0
    if tensor["sparsity"]:
        fail(where, "sparse, but without data")
    return needed


def _check_constant(where: str, tensor: Table, buffer: Table, kind: str, needed: int) -> None:
    if tensor["is_variable"]:
        fail(where, "a variable tensor with constant data")
    data = buffer["data"]
    if kind == "string":
        _check_strings(where, data, math.prod(tensor["shape"]))
    elif kind in _OPAQUE:
        fail(where, f"constant of type {kind}")
    elif tensor["sparsity"]:
        fail(where, "sparse constants are not supported; export the model with dense weights")
    elif len(data) != needed:
        fail(where, f"{len(data)} bytes of data, expected {needed} for shape {tensor['shape']} of {kind}")


def _check_strings(where: str, data: np.ndarray, count: int) -> None:
    """A string tensor holds a count, then count + 1 rising offsets, then the characters."""
    head = 4 * (count + 2)
    if len(data) < head:
        fail(where, f"{len(data)} bytes of string data, expected at least {head} for {count} strings")
    numbers = np.frombuffer(data[:head].tobytes(), "<i4")
    if numbers[0] != count or numbers[1] != head or numbers[-1] > len(data) or (np.diff(numbers[1:]) < 0).any():
        fail(where, f"string offsets are not rising within {len(data)} bytes for {count} strings")


def _check_quantization(where: str, quantization: Table, kind: str, shape: tuple[int, ...]) -> None:
    if quantization["details_type"] > 1:
        fail(where, "blockwise and multi-axis quantisation are not supported")
    scales, zeros, axis = quantization["scale"], quantization["zero_point"], quantization["quantized_dimension"]
    if not scales:
        return
    if zeros and len(zeros) != len(scales):
        fail(where, f"{len(scales)} scales but {len(zeros)} zero points")
    if not all(_SCALES[0] <= scale <= _SCALES[1] for scale in scales):
        fail(where, f"scales {scales[:4]} are not all within {_SCALES[0]} to {_SCALES[1]}")
    low, high = _ZERO_POINTS.get(kind, (-(2**31), 2**31 - 1))
    if not all(low <= zero <= high for zero in zeros):
        fail(where, f"zero point {next(z for z in zeros if not low <= z <= high)} is no value of {kind}")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        fail(where, f"{len(scales)} scales along axis {axis} of shape {shape}")
    if axis and not 0 <= axis < len(shape):
        fail(where, f"axis {axis} of shape {shape}")


def _check_node(where: str, node: Table, graph: Table, model: Table, ready: set[int], constant: set[int]) -> bool:
    """Check one operator against its kernel\'s signature and make its outputs ready; whether their shapes are known."""
    if node["opcode_index"] >= len(model["operator_codes"]):
        fail(where, f"operator code {node['opcode_index']} of {len(model['operator_codes'])}")
    number = operator_number(model["operator_codes"][node["opcode_index"]])
    if node["builtin_options2_type"] or node["large_custom_options_offset"]:
        fail(where, "StableHLO options and options stored after the model are not supported")
    signature = signatures()[number]
    where = f"{where} ({signature.name})"
    _check_arity(where, node, signature, len(graph["tensors"]))
    missing = {i for i in node["inputs"] if i >= 0} - ready
    if missing:
        fail(where, f"reads tensors {missing} before any operator computes them")
    outputs = node["outputs"]
    if not constant.union(graph["inputs"]).isdisjoint(outputs) or len(set(outputs)) != len(outputs):
        fail(where, f"writes tensors {outputs}: an input, a constant, or one tensor twice")
    if any(i in ready and not _is_empty(graph["tensors"][i]) for i in outputs):
        fail(where, f"writes tensors {outputs}, of which one is already computed")
    check_options(where, node, signature)
    ready.update(outputs)
    return check_operands(where, signature.name, node, graph["tensors"], model["buffers"])


def _check_arity(where: str, node: Table, signature: Signature, count: int) -> None:
    inputs, outputs = node["inputs"], node["outputs"]
    _check_indices(f"{where}.inputs", inputs, count, -1)
    _check_indices(f"{where}.outputs", outputs, count)
    _check_indices(f"{where}.intermediates", node["intermediates"], count)
    if len(inputs) not in signature.inputs or len(outputs) not in signature.outputs:
        counts = f"{len(inputs)} inputs and {len(outputs)} outputs"
        fail(where, f"{counts}, expected {_text(signature.inputs)} and {_text(signature.outputs)}")
    if -1 in inputs[: signature.optional]:
        fail(where, f"input {inputs.index(-1)} is absent")


def _text(counts: range) -> str:
    return str(counts.start) if len(counts) == 1 else f"{counts.start} to {counts.stop - 1}"


def _callees(node: Table) -> list[int]:
    options = node["builtin_options"] or {}
    return [int(value) for key, value in options.items() if key.endswith("subgraph_index")]


def _check_calls(model: Table) -> None:
    """Subgraphs may call one another, but never in a circle: the runtime would recurse without end."""
    count = len(model["subgraphs"])
    calls = [set(chain.from_iterable(map(_callees, graph["operators"]))) for graph in model["subgraphs"]]
    for i, callees in enumerate(calls):
        if any(not 0 <= callee < count for callee in callees):
            fail(f"subgraphs[{i}]", f"calls subgraphs {callees} of {count}")
    done: set[int] = set()
    while len(done) < count:
        leaves = {i for i in range(count) if i not in done and calls[i] <= done}
        if not leaves:
            fail("subgraphs", f"{set(range(count)) - done} call one another in a circle")
        done |= leaves


def _check_signature(where: str, signature: Table, model: Table) -> None:
    if signature["signature_key"] is None or signature["subgraph_index"] >= len(model["subgraphs"]):
        fail(where, f"key {signature['signature_key']}, subgraph {signature['subgraph_index']}")
    graph = model["subgraphs"][signature["subgraph_index"]]
    for field in ("inputs", "outputs"):
        for entry in signature[field]:
            if entry["name"] is None or entry["tensor_index"] not in graph[field]:
                fail(f"{where}.{field}", f"{entry['name']} is tensor {entry['tensor_index']}, not in {graph[field]}")
