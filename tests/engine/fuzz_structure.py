"""Change model files by structure, and count what becomes of those that the checks accept.

Where ``fuzz`` damages bytes, this writes well-formed files that say something else: shapes that
are computed at run time, variables, branches, options of custom operators, operands, types,
quantisation. A file that the checks accept without a doubt runs in a forked process twice, with
fresh memory filled by two patterns; a death, an endless run, or outputs that differ are findings.

By hand: ``python tests/engine/fuzz_structure.py --cases 100000 [FILE.tflite ...]``; findings go to
``--save`` in the smallest form that still shows them.
"""

import argparse
import ctypes
import hashlib
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import structures
import zoo
from ai_edge_litert import schema_py_generated as schema

_M_PERTURB = -6  # mallopt's number, <malloc.h>
_SECONDS = 20
_MEMORY = 6 << 30
_LARGE = 1 << 26
_SIDES = (0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 16, 17, 64, 1000, 65536, 1 << 20, (1 << 31) - 1)
_NUMBERS = (-(1 << 31), -65537, -9, -2, -1, 0, 0, 1, 1, 2, 3, 4, 7, 8, 100, 65536, (1 << 31) - 1)
_TYPES = (0, 0, 0, 2, 2, 3, 4, 6, 7, 9, 9, 1, 5, 8, 10, 13, 17)

Rng = np.random.Generator


def unpack(content: bytes) -> Any:
    """The object form of a file."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack(model: Any) -> bytes:
    """The file of an object form; raises what flatbuffers does for numbers that do not fit."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _any(rng: Rng, items: Sequence[Any] | None) -> Any:
    return items[rng.integers(len(items))] if items is not None and len(items) else None


def _graph(model: Any, rng: Rng) -> Any:
    return _any(rng, model.subgraphs)


def _integers(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def change_shape(model: Any, rng: Rng) -> None:
    """Another side, one more, one fewer, or wholly other sides of one tensor."""
    tensor = _any(rng, _graph(model, rng).tensors)
    shape = _integers(tensor.shape)
    kind = rng.integers(4)
    if kind == 0 and shape:
        shape[rng.integers(len(shape))] = int(rng.choice(_SIDES))
    elif kind == 1:
        shape.insert(int(rng.integers(len(shape) + 1)), int(rng.choice(_SIDES[:8])))
    elif kind == 2 and shape:
        del shape[rng.integers(len(shape))]
    else:
        shape = [int(rng.choice(_SIDES[:10])) for _ in range(rng.integers(7))]
    _reshape(model, tensor, shape)


def _reshape(model: Any, tensor: Any, shape: list[int]) -> None:
    """Give a tensor a shape, and a constant as many bytes as it then needs, if they are few."""
    tensor.shape = shape
    tensor.shapeSignature = None
    buffer = model.buffers[tensor.buffer]
    size = int(np.prod([float(side) for side in shape])) if shape else 1
    if buffer.data is None or not len(buffer.data) or size > 1 << 16:
        return
    width = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8}.get(tensor.type, 4)
    buffer.data = np.resize(np.asarray(buffer.data, np.uint8), size * width)


def open_sides(model: Any, rng: Rng) -> None:
    """Leave sides of one tensor open."""
    tensor = _any(rng, _graph(model, rng).tensors)
    shape = _integers(tensor.shape)
    tensor.shapeSignature = [-1 if rng.random() < 0.5 else side for side in shape]


def change_type(model: Any, rng: Rng) -> None:
    """Another element type of one tensor, or of all of an operator's."""
    graph = _graph(model, rng)
    dtype = int(rng.choice(_TYPES))
    node = _any(rng, graph.operators)
    if node is not None and rng.random() < 0.5:
        for i in (*_integers(node.inputs), *_integers(node.outputs)):
            if 0 <= i < len(graph.tensors) and rng.random() < 0.9:
                graph.tensors[i].type = dtype
    else:
        _any(rng, graph.tensors).type = dtype


def change_numbers(model: Any, rng: Rng) -> None:
    """Other values in an integer constant: shapes, axes, indices, sizes, pads."""
    graph = _graph(model, rng)
    constants = [
        t for t in graph.tensors if t.type in (2, 4) and model.buffers[t.buffer].data is not None
    ]
    tensor = _any(rng, constants)
    if tensor is None:
        return
    kind = "<i4" if tensor.type == 2 else "<i8"
    data = np.array(model.buffers[tensor.buffer].data, np.uint8)
    values = data[: len(data) // 8 * 8 if tensor.type == 4 else len(data) // 4 * 4].view(kind)
    if len(values):
        values[rng.integers(len(values))] = rng.choice(_NUMBERS)
        model.buffers[tensor.buffer].data = data


def compute_constant(model: Any, rng: Rng) -> None:
    """Put an operator between an integer constant and its reader: known, but not to the loader."""
    graph = _graph(model, rng)
    node = _any(rng, graph.operators)
    if node is None:
        return
    constants = [
        position
        for position, i in enumerate(_integers(node.inputs))
        if 0 <= i < len(graph.tensors)
        and graph.tensors[i].type in (2, 4)
        and model.buffers[graph.tensors[i].buffer].data is not None
    ]
    position = _any(rng, constants)
    if position is None:
        return
    source = _integers(node.inputs)[position]
    copy = _copy_tensor(graph.tensors[source])
    graph.tensors.append(copy)
    inputs = _integers(node.inputs)
    inputs[position] = len(graph.tensors) - 1
    node.inputs = inputs
    between = structures.operator(model, str(rng.choice(["NEG", "ABS", "SQUARE"])))
    between.inputs, between.outputs = [source], [len(graph.tensors) - 1]
    graph.operators.insert(graph.operators.index(node), between)


def _copy_tensor(tensor: Any) -> Any:
    copy = schema.TensorT()
    copy.shape, copy.type, copy.name = tensor.shape, tensor.type, b"computed"
    copy.buffer = 0
    return copy


def feed_input(model: Any, rng: Rng) -> None:
    """Make an integer constant an input of the graph: known only at run time."""
    graph = model.subgraphs[0]
    constants = [
        i
        for i, t in enumerate(graph.tensors)
        if t.type in (2, 4) and model.buffers[t.buffer].data is not None
    ]
    index = _any(rng, constants)
    if index is not None:
        graph.tensors[index].buffer = 0
        graph.inputs = [*_integers(graph.inputs), index]


def change_operands(model: Any, rng: Rng) -> None:
    """Swap, drop, repeat, blank or redirect one operand, or an output."""
    graph = _graph(model, rng)
    node = _any(rng, graph.operators)
    if node is None:
        return
    field = "outputs" if rng.random() < 0.15 else "inputs"
    values = _integers(getattr(node, field))
    kind = rng.integers(5)
    if kind == 0 and values:
        del values[rng.integers(len(values))]
    elif kind == 1:
        values.append(int(rng.integers(-1, len(graph.tensors))))
    elif kind == 2:
        rng.shuffle(values)
    elif values:
        values[rng.integers(len(values))] = int(rng.integers(-1, len(graph.tensors)))
    setattr(node, field, values)


def change_option(model: Any, rng: Rng) -> None:
    """Another value of one builtin option."""
    node = _any(rng, _graph(model, rng).operators)
    options = None if node is None else node.builtinOptions
    if options is None or not vars(options):
        return
    name = str(rng.choice(sorted(vars(options))))
    value = getattr(options, name)
    if isinstance(value, bool):
        setattr(options, name, not value)
    elif isinstance(value, int):
        setattr(options, name, int(rng.choice([*_NUMBERS, *range(-3, 12)])))
    elif isinstance(value, float):
        setattr(options, name, float(rng.choice([0, -1, 1e30, 1e-30, np.inf, 0.5])))
    elif value is not None and not isinstance(value, str | bytes) and len(value):
        numbers = [float(v) if isinstance(v, float) else int(v) for v in value]
        numbers[rng.integers(len(numbers))] = int(rng.choice(_NUMBERS))
        setattr(options, name, numbers)


def drop_options(model: Any, rng: Rng) -> None:
    """Take an operator's options away, builtin or custom."""
    node = _any(rng, _graph(model, rng).operators)
    if node is not None:
        node.builtinOptionsType, node.builtinOptions, node.customOptions = 0, None, None


def change_custom_options(model: Any, rng: Rng) -> None:
    """Cut, grow or overwrite the bytes of custom options."""
    nodes = [n for n in _graph(model, rng).operators if n.customOptions is not None]
    node = _any(rng, nodes)
    if node is None or not len(node.customOptions):
        return
    data = bytearray(int(v) for v in node.customOptions)
    kind = rng.integers(4)
    if kind == 0:
        del data[rng.integers(len(data)) :]
    elif kind == 1:
        data += bytes(rng.integers(0, 256, rng.integers(1, 40), np.uint8))
    else:
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = int(rng.integers(256))
    node.customOptions = list(data)


def change_operator(model: Any, rng: Rng) -> None:
    """Make an operator into another that takes as many operands."""
    from handheld.engine._verify.operators import signatures

    node = _any(rng, _graph(model, rng).operators)
    if node is None:
        return
    counts = len(_integers(node.inputs)), len(_integers(node.outputs))
    names = [
        entry.name
        for entry in signatures().values()
        if counts[0] in entry.inputs and counts[1] in entry.outputs and entry.name != "CUSTOM"
    ]
    version = int(rng.integers(1, 6))
    other = structures.operator(model, str(rng.choice(names)), version=version)
    node.opcodeIndex = other.opcodeIndex
    node.builtinOptionsType, node.builtinOptions = other.builtinOptionsType, other.builtinOptions


def change_quantization(model: Any, rng: Rng) -> None:
    """Add or remove scales and zero points, or turn their axis."""
    tensor = _any(rng, _graph(model, rng).tensors)
    if tensor.quantization is None or rng.random() < 0.2:
        tensor.quantization = schema.QuantizationParametersT()
    count = int(rng.choice([0, 1, 1, 1, 2, 3, 4, 8]))
    if rng.random() < 0.5 and len(_integers(tensor.shape)):
        axis = int(rng.integers(len(tensor.shape)))
        tensor.quantization.quantizedDimension = axis
        count = min(int(tensor.shape[axis]), 64)
    tensor.quantization.scale = [float(rng.choice([0.05, 0.1, 1.0, 1e-9, 1e9]))] * count
    tensor.quantization.zeroPoint = [int(rng.choice([0, 0, 1, -128, 127]))] * count


def change_variable(model: Any, rng: Rng) -> None:
    """Turn a tensor's mark as a variable, or share another tensor's buffer."""
    graph = _graph(model, rng)
    tensor = _any(rng, graph.tensors)
    if rng.random() < 0.6:
        tensor.isVariable = not tensor.isVariable
    else:
        tensor.buffer = _any(rng, graph.tensors).buffer


def change_ends(model: Any, rng: Rng) -> None:
    """Another input or output of a graph."""
    graph = _graph(model, rng)
    field = "outputs" if rng.random() < 0.6 else "inputs"
    values = _integers(getattr(graph, field))
    if rng.random() < 0.5 or not values:
        values.append(int(rng.integers(len(graph.tensors))))
    else:
        values[rng.integers(len(values))] = int(rng.integers(len(graph.tensors)))
    setattr(graph, field, values)


def move_operator(model: Any, rng: Rng) -> None:
    """Run an operator earlier, later, or twice."""
    operators = _graph(model, rng).operators
    if operators:
        node = operators.pop(rng.integers(len(operators)))
        operators.insert(int(rng.integers(len(operators) + 1)), node)


def call_other(model: Any, rng: Rng) -> None:
    """Let a call lead to another graph."""
    for graph in model.subgraphs:
        for node in graph.operators:
            for name in vars(node.builtinOptions or object()) if node.builtinOptions else ():
                if name.endswith("SubgraphIndex") and rng.random() < 0.5:
                    target = int(rng.integers(len(model.subgraphs)))
                    setattr(node.builtinOptions, name, target)


_KINDS = (0, 0, 0, 0, 9, 9, 2, 2, 4, 6, 3, 7)
_LENGTHS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 6)


def generate(model: Any, rng: Rng) -> None:
    """Put one operator of any kind in the place of all, its operands of any rank and type."""
    from handheld.engine._verify.operators import signatures

    b = structures.Builder()
    names = [entry.name for entry in signatures().values() if entry.name not in _GENERATED_NEVER]
    name = str(rng.choice(names))
    entry = next(entry for entry in signatures().values() if entry.name == name)
    dtype = int(rng.choice(_KINDS))
    base = [int(rng.integers(1, 6)) for _ in range(rng.choice(_LENGTHS))]
    count = int(rng.choice(entry.inputs[: 4 if len(entry.inputs) > 4 else None]))
    inputs = [_operand(b, position, base, dtype, rng) for position in range(count)]
    node = structures.operator(b.model, name, version=int(rng.integers(1, 6)))
    outputs = int(rng.choice(entry.outputs[:3]))
    other = int(rng.choice([dtype, dtype, dtype, 0, 2, 6, 4]))
    node.inputs, node.outputs = inputs, [b.tensor(base, other) for _ in range(outputs)]
    for index in node.outputs:
        _scale(b.sub.tensors[index], rng)
    for key, value in vars(node.builtinOptions).items() if node.builtinOptions else ():
        if isinstance(value, int) and not isinstance(value, bool):
            setattr(node.builtinOptions, key, int(rng.integers(0, 4)))
        elif isinstance(value, bool):
            setattr(node.builtinOptions, key, bool(rng.random() < 0.3))
    for key in ("numSplits", "num", "valuesCount"):
        if hasattr(node.builtinOptions, key):
            setattr(node.builtinOptions, key, count if key == "valuesCount" else outputs)
    b.sub.operators.append(node)
    b.output(*node.outputs)
    for key, value in vars(b.model).items():
        setattr(model, key, value)


_GENERATED_NEVER = (
    "CUSTOM",
    "IF",
    "WHILE",
    "CALL_ONCE",
    "RANDOM_UNIFORM",
    "RANDOM_STANDARD_NORMAL",
)


def _operand(b: structures.Builder, position: int, base: list[int], dtype: int, rng: Rng) -> int:
    """An input like the others, one that broadcasts, a constant of them, or a list of integers."""
    if position and rng.random() < 0.4:
        length = int(rng.choice([0, 1, 1, 2, len(base), len(base), 2 * len(base)]))
        values = rng.integers(-1, 5, length) if length else rng.integers(-1, 5)
        if length == 2 * len(base) and length:
            values = values.reshape(len(base), 2)
        return b.constant(np.maximum(values, 0) if rng.random() < 0.7 else values)
    shape = list(base)
    kind = rng.random()
    if kind < 0.3:
        shape = [side if rng.random() < 0.5 else 1 for side in shape][rng.integers(2) :]
    elif kind < 0.5:
        shape = [int(rng.integers(1, 6)) for _ in range(rng.choice(_LENGTHS))]
    other = int(rng.choice(_KINDS)) if rng.random() < 0.1 else dtype
    index = b.input(shape, other)
    tensor = b.sub.tensors[index]
    _scale(tensor, rng)
    if position and rng.random() < 0.3:
        b.sub.inputs.remove(index)
        width = {0: 4, 2: 4, 4: 8, 7: 2}.get(other, 1)
        buffer = schema.BufferT()
        size = int(np.prod(shape, dtype=np.int64)) * width
        buffer.data = np.resize(np.array([1, 0, 0, 0, 0, 0, 0, 0][:width], np.uint8), size)
        b.model.buffers.append(buffer)
        tensor.buffer = len(b.model.buffers) - 1
    return index


def _scale(tensor: Any, rng: Rng) -> None:
    if tensor.type not in (3, 7, 9) or rng.random() < 0.1:
        return
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = [float(rng.choice([0.05, 0.1, 0.5, 1 / 256]))]
    tensor.quantization.zeroPoint = [int(rng.choice([0, 0, 3])) if tensor.type != 7 else 0]


def repair(model: Any, rng: Rng) -> None:
    """Declare the shapes that the rules compute, so that the change before is believed."""
    from handheld.engine._verify import written
    from handheld.engine._verify.buffers import fill_buffers
    from handheld.engine._verify.check import check_model
    from handheld.engine._verify.flatbuffer import Reader, RefusedError

    content = pack(model)
    computed: list[tuple[str, int, tuple[int, ...]]] = []

    def note(step: Any, index: int, shapes: Any) -> None:
        computed.append((step.path, index, step.walk.shapes[index]))

    compare = written._compare
    written._compare = note
    try:
        table = Reader(content).root("Model", b"TFL3")
        fill_buffers(table, content)
        check_model(table)
    except RefusedError:
        pass
    finally:
        written._compare = compare
    for where, index, shape in computed:
        number = int(where.partition("[")[2].partition("]")[0])
        tensor = model.subgraphs[number].tensors[index]
        tensor.shape, tensor.shapeSignature = list(shape), None


CHANGES: list[Callable[[Any, Rng], None]] = [
    change_shape,
    change_shape,
    change_shape,
    open_sides,
    change_type,
    change_type,
    change_numbers,
    change_numbers,
    compute_constant,
    feed_input,
    change_operands,
    change_option,
    change_option,
    drop_options,
    change_custom_options,
    change_operator,
    change_operator,
    change_quantization,
    change_variable,
    change_ends,
    move_operator,
    call_other,
]

_GENERATED = 0.5  # share of the cases that are made from nothing

Plan = list[tuple[Callable[[Any, Rng], None], int]]


def plan(seed: int, generated: float = _GENERATED) -> Plan:
    """The changes of case ``seed``, each with a seed of its own so that others may be left out."""
    rng = np.random.default_rng(seed)
    steps: Plan = []
    if rng.random() < generated:
        return [(generate, int(rng.integers(1 << 30))), (repair, 0)]
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
        steps.append((CHANGES[rng.integers(len(CHANGES))], int(rng.integers(1 << 30))))
        if rng.random() < 0.6:
            steps.append((repair, 0))
    return steps


def apply(content: bytes, steps: Plan) -> bytes | None:
    """The file with the changes, or None where flatbuffers cannot write it."""
    model = unpack(content)
    try:
        for change, seed in steps:
            change(model, np.random.default_rng(seed))
        return pack(model)
    except (TypeError, ValueError, OverflowError, IndexError, AttributeError, MemoryError):
        return None


def run_once(content: bytes, pattern: int, *, doubtful: bool) -> str:
    """Open and run a file in a forked process: what became of it, with a digest of its outputs."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        os.write(writer, _work(content, pattern, doubtful).encode())
        os._exit(0)
    os.close(writer)
    answer = b""
    while chunk := os.read(reader, 4096):
        answer += chunk
    os.close(reader)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hung" if number == signal.SIGALRM else f"died {signal.Signals(number).name}"
    return answer.decode() or f"ended {status}"


def _work(content: bytes, pattern: int, doubtful: bool) -> str:
    from handheld.engine._file import read
    from handheld.engine._litert import Runtime
    from handheld.errors import ModelError

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    ctypes.CDLL(None).mallopt(_M_PERTURB, pattern)
    signal.alarm(_SECONDS)
    try:
        file = read(content, "case")
    except ModelError as error:
        return "unsupported" if "seems whole" in str(error) else "rejected"
    if file.doubts and not file.unsized and not doubtful:
        return "doubted"
    rng = np.random.default_rng(0)
    digest = hashlib.sha256()
    if file.unsized:
        _run_resized(content, file, digest, rng)
        return f"ran {digest.hexdigest()[:16]}"
    try:
        types = [info.dtype.name for info in file.outputs]
        runtime = Runtime(content, threads=1, steady=file.steady, layout=file.layout, types=types)
        _digest(runtime, digest, rng)
        for signature in file.signatures.values():
            names = [info.name for info in signature.inputs]
            arrays = [_values(info.shape, info.dtype, rng) for info in signature.inputs]
            outputs = {info.name: info.dtype.name for info in signature.outputs}
            for output in runtime.call(signature.key, names, arrays, outputs):
                digest.update(output.tobytes())
    except (ValueError, RuntimeError, MemoryError):
        return "refused"
    _run_resized(content, file, digest, rng)
    return f"ran {digest.hexdigest()[:16]}"


def _values(shape: Sequence[int], dtype: Any, rng: Rng) -> np.ndarray:
    return rng.integers(-2, 6, shape).astype(dtype)


def _digest(runtime: Any, digest: Any, rng: Rng) -> None:
    for _ in range(2):
        for array in runtime.inputs:
            array[...] = _values(array.shape, array.dtype, rng)
        for output in runtime.invoke():
            digest.update(output.tobytes())


def _run_resized(content: bytes, file: Any, digest: Any, rng: Rng) -> None:
    """Run with other lengths of open axes, where the checks accept them without a doubt."""
    from handheld.engine._file import resized
    from handheld.engine._litert import Runtime
    from handheld.errors import ModelError

    shapes = {
        position: tuple(
            int(rng.integers(1, 9)) if axis in info.open_axes else side
            for axis, side in enumerate(info.shape)
        )
        for position, info in enumerate(file.inputs)
        if info.open_axes
    }
    if not shapes:
        return
    try:
        other = resized(file, shapes, "case")
        if not other.doubts:
            types = [info.dtype.name for info in other.outputs]
            runtime = Runtime(
                content,
                threads=1,
                steady=other.steady,
                layout=other.layout,
                types=types,
                shapes=shapes,
            )
            _digest(runtime, digest, rng)
    except (ModelError, ValueError, RuntimeError, MemoryError):
        return


def judge(content: bytes, *, doubtful: bool = False) -> str:
    """What becomes of a file: "died ...", "hung" and "leaked" are findings."""
    first = _run_once(content, 0x55, doubtful)
    second = _run_once(content, 0xAA, doubtful) if first.startswith("ran") else first
    if not second.startswith("ran"):
        return second
    if first == second:
        return "ran"
    return "random" if _is_random(content) else "leaked"


def _run_once(content: bytes, pattern: int, doubtful: bool) -> str:
    """As ``run_once``; gigabytes that are filled, computed and hashed may take their time."""
    verdict = run_once(content, pattern, doubtful=doubtful)
    return "slow" if verdict == "hung" and _bytes(content) > _LARGE else verdict


def _bytes(content: bytes) -> int:
    """Bytes of all tensors together."""
    from handheld.engine._file import read
    from handheld.engine._verify.tensors import size_in_bytes, type_name

    graphs = read(content, "case").table["subgraphs"]
    tensors = [tensor for graph in graphs for tensor in graph["tensors"]]
    return sum(size_in_bytes(tensor["shape"], type_name(tensor)) for tensor in tensors)


def _is_random(content: bytes) -> bool:
    """Whether outputs may differ from run to run by the file's own will."""
    from handheld.engine._file import read

    return any(
        name.startswith(("RANDOM", "MULTINOMIAL")) for name in read(content, "case").operators
    )


def is_finding(verdict: str) -> bool:
    """Whether the checks have let something through."""
    return verdict.startswith(("died", "ended")) or verdict in ("hung", "leaked")


def shrink(content: bytes, steps: Plan, verdict: str) -> Plan:
    """The fewest of the changes that still show a finding."""
    for i in reversed(range(len(steps))):
        fewer = steps[:i] + steps[i + 1 :]
        case = apply(content, fewer)
        if case is not None and is_finding(judge(case)):
            steps = fewer
    return steps


def seeds() -> dict[str, bytes]:
    """Every small model that the tests can build, by name."""
    models = {name: make() for name, make in zoo.models().items()}
    models |= {name: make() for name, make in structures.models().items()}
    for path in sorted(zoo.FIXTURES.glob("*.tflite")):
        models[path.stem] = path.read_bytes()
    return models


def campaign(
    models: dict[str, bytes],
    first: int,
    last: int,
    save: Path | None = None,
    generated: float = _GENERATED,
) -> tuple[Counter[str], list[str]]:
    """Run the cases ``first`` to ``last``; counts by verdict, and the findings' names."""
    names = sorted(models)
    counts: Counter[str] = Counter()
    findings: list[str] = []
    for number in range(first, last):
        name = names[number % len(names)]
        steps = plan(number, generated)
        case = apply(models[name], steps)
        if case is None:
            counts["unwritable"] += 1
            continue
        verdict = judge(case)
        counts[verdict] += 1
        if is_finding(verdict):
            steps = shrink(models[name], steps, verdict)
            label = f"{name}-{number}-{verdict.replace(' ', '_')}"
            done = "+".join(change.__name__ for change, _ in steps)
            findings.append(f"{label}: {done}")
            print(findings[-1], flush=True)
            if save is not None:
                smallest = apply(models[name], steps)
                assert smallest is not None
                save.mkdir(parents=True, exist_ok=True)
                (save / f"{label}.tflite").write_bytes(smallest)
    return counts, findings


def main() -> None:
    """Fuzz what the tests build, and the files that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--save", type=Path)
    parser.add_argument(
        "--generated", type=float, default=_GENERATED, help="share of new operators"
    )
    options = parser.parse_args()
    import ai_edge_litert.interpreter  # noqa: F401  # once, before the processes fork

    models = seeds()
    models |= {str(i) + path.stem: path.read_bytes() for i, path in enumerate(options.files)}
    started = time.monotonic()
    total: Counter[str] = Counter()
    count = 0
    for first in range(options.first, options.first + options.cases, 1000):
        last = min(first + 1000, options.first + options.cases)
        counts, findings = campaign(models, first, last, options.save, options.generated)
        total += counts
        count += len(findings)
        seconds = round(time.monotonic() - started)
        print(
            f"{last - options.first} cases, {seconds} s: {dict(total)}, {count} findings",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
