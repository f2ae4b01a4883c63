"""One graph, walked in the order of execution: what is read is there, what is written fits.

The walk knows the shape of each tensor as it will be at run time, and the values of integers that
shapes are computed from. Where an operator's work hangs on what only a run can tell, or no rule
covers its kernel, the walk goes on and notes a doubt: such a file is run in its own process.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.call import Call
from handheld.engine._verify.calls import callees, check_call
from handheld.engine._verify.custom import check_custom, structure
from handheld.engine._verify.flatbuffer import CorruptError, Table, fail, unsupported
from handheld.engine._verify.fold import fold
from handheld.engine._verify.operands import Operands, check_operands, doubts
from handheld.engine._verify.operators import CUSTOM, Signature, signatures
from handheld.engine._verify.options import check_options
from handheld.engine._verify.shapes import COUNTED, output_shapes
from handheld.engine._verify.tensors import (
    MAX_BYTES,
    ensure_size,
    has_data,
    is_empty,
    type_name,
)
from handheld.engine._verify.variables import Name, Variables, check_table, names_of

_INTEGERS = {"int32": "<i4", "int64": "<i8"}
_FOLDED = ("int32", "int64", "bool")
# Elements that a convolution spreads out at once; beyond, its buffer's size overflows 32 bits.
_MOST_SPREAD = 1 << 30
_UNPACKING = ("DENSIFY", "DEQUANTIZE")
_CONVOLUTIONS = ("CONV_2D", "TRANSPOSE_CONV")


class ShapeError(CorruptError):
    """Shapes do not go together; where inputs are open, those of other lengths may."""


@dataclass(frozen=True)
class FileTables:
    """What the walks of a file's graphs share."""

    graphs: Sequence[Table]
    buffers: Sequence[Table]
    numbers: Sequence[int]
    """Operator numbers, by the index of their code."""
    names: Sequence[str]
    customs: Sequence[str]
    """Names of custom operators, by the same index; "" for others."""
    variables: Variables


@dataclass
class GraphWalk:
    """One graph, and what is known of it so far.

    Args:
        unpacked: tensors that are constants in another form.
        shapes: of each tensor at run time; None: only a run can tell.
        fixed: constants and inputs of the graph, which no operator may write.
        values: of integers that are known before a run, by tensor.
        doubts: where, and why, only a process of its own may run the file.
        steady: whether the runtime knows all shapes before a run, and never moves a tensor.
        resized: whether inputs have other lengths than those in the file.
    """

    where: str
    graph: Table
    tables: FileTables
    resized: bool
    shapes: list[Shape | None]
    constants: frozenset[int]
    fixed: frozenset[int]
    ready: set[int]
    handles: dict[int, Name]
    values: dict[int, np.ndarray] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    assigned: set[Name] = field(default_factory=set)
    steady: bool = True
    extra_bytes: int = 0
    unpacked: set[int] = field(default_factory=set)

    def doubt(self, where: str, reason: str) -> None:
        """Note a doubt, once for each operator."""
        if reason:
            self.doubts.append(f"{where}: {reason}")


def check_indices(where: str, indices: Iterable[int], count: int, lowest: int = 0) -> None:
    """Refuse tensor indices out of range."""
    for i in indices:
        if not lowest <= i < count:
            fail(where, f"tensor index {i}, expected {lowest} to {count - 1}")


def walk_graph(
    where: str,
    graph: Table,
    tables: FileTables,
    done: Mapping[int, GraphWalk],
    inputs: Mapping[int, Shape | None],
) -> GraphWalk:
    """Check one graph whose tensors have passed their own checks.

    Args:
        where: its path in the file.
        graph: its table.
        tables: what all graphs share.
        done: walks of the graphs that it calls, by number.
        inputs: shapes of inputs that are other than in the file, by tensor; None: only a run can
            tell.
    """
    walk = _begin(where, graph, tables, inputs)
    for i, node in enumerate(graph["operators"]):
        _check_node(f"{where}.operators[{i}]", node, walk, done)
    if not walk.ready.issuperset(graph["outputs"]):
        fail(f"{where}.outputs", f"tensors {set(graph['outputs']) - walk.ready} are never computed")
    unwritten = walk.unpacked.intersection(graph["outputs"])
    if unwritten:
        problem = "unpack constants, which the runtime keeps to itself: the outputs are not written"
        unsupported(f"{where}.outputs", f"tensors {unwritten} {problem}")
    return walk


def _begin(
    where: str, graph: Table, tables: FileTables, inputs: Mapping[int, Shape | None]
) -> GraphWalk:
    tensors = graph["tensors"]
    for field_name in ("inputs", "outputs"):
        check_indices(f"{where}.{field_name}", graph[field_name], len(tensors))
    if len(set(graph["inputs"])) != len(graph["inputs"]):
        fail(f"{where}.inputs", f"a tensor is listed twice: {graph['inputs']}")
    constants = frozenset(i for i, t in enumerate(tensors) if has_data(t, tables.buffers))
    if not constants.isdisjoint(graph["inputs"]):
        fail(f"{where}.inputs", f"tensor {constants.intersection(graph['inputs'])} is a constant")
    standing = (i for i, t in enumerate(tensors) if t["is_variable"] or is_empty(t))
    shapes: list[Shape | None] = [tuple(tensor["shape"]) for tensor in tensors]
    for i, shape in inputs.items():
        if shape is not None:
            ensure_size(f"{where}.tensors[{i}]", shape, type_name(tensors[i]))
        shapes[i] = shape
    return GraphWalk(
        where=where,
        graph=graph,
        tables=tables,
        resized=any(shape != tuple(tensors[i]["shape"]) for i, shape in inputs.items()),
        shapes=shapes,
        constants=constants,
        fixed=constants.union(graph["inputs"]),
        ready=set(constants.union(graph["inputs"], standing)),
        handles=names_of(tables.names, graph),
    )


def _check_node(where: str, node: Table, walk: GraphWalk, done: Mapping[int, GraphWalk]) -> None:
    """Check one operator against its kernel's signature and make its outputs ready."""
    tables = walk.tables
    if node["opcode_index"] >= len(tables.numbers):
        fail(where, f"operator code {node['opcode_index']} of {len(tables.numbers)}")
    if node["builtin_options2_type"] or node["large_custom_options_offset"]:
        problem = "StableHLO options and options stored after the model are not supported"
        unsupported(where, problem)
    signature = signatures()[tables.numbers[node["opcode_index"]]]
    where = f"{where} ({signature.name})"
    _check_arity(where, node, signature, len(walk.graph["tensors"]))
    _check_flow(where, node, walk)
    check_options(where, node, signature)
    walk.ready.update(node["outputs"])
    name = signature.name
    if tables.numbers[node["opcode_index"]] == CUSTOM:
        name = tables.customs[node["opcode_index"]]
        check_custom(where, name, node)
    _settle(where, name, node, walk, done)


def _check_arity(where: str, node: Table, signature: Signature, count: int) -> None:
    inputs, outputs = node["inputs"], node["outputs"]
    check_indices(f"{where}.inputs", inputs, count, -1)
    check_indices(f"{where}.outputs", outputs, count)
    check_indices(f"{where}.intermediates", node["intermediates"], count)
    if len(inputs) not in signature.inputs or len(outputs) not in signature.outputs:
        counts = f"{len(inputs)} inputs and {len(outputs)} outputs"
        fail(where, f"{counts}, expected {_text(signature.inputs)} and {_text(signature.outputs)}")
    if -1 in inputs[: signature.optional]:
        fail(where, f"input {inputs.index(-1)} is absent")


def _text(counts: range) -> str:
    return str(counts.start) if len(counts) == 1 else f"{counts.start} to {counts.stop - 1}"


def _check_flow(where: str, node: Table, walk: GraphWalk) -> None:
    """Inputs are computed before; outputs are written once, and are neither inputs nor constants."""
    missing = {i for i in node["inputs"] if i >= 0} - walk.ready
    if missing:
        fail(where, f"reads tensors {missing} before any operator computes them")
    outputs, tensors = node["outputs"], walk.graph["tensors"]
    if not walk.fixed.isdisjoint(outputs) or len(set(outputs)) != len(outputs):
        fail(where, f"writes tensors {outputs}: an input, a constant, or one tensor twice")
    if any(i in walk.ready and not is_empty(tensors[i]) for i in outputs):
        fail(where, f"writes tensors {outputs}, of which one is already computed")


def _settle(
    where: str, name: str, node: Table, walk: GraphWalk, done: Mapping[int, GraphWalk]
) -> None:
    """Judge the operands, and note what the outputs will be."""
    tensors = walk.graph["tensors"]
    inputs = [tensors[i] if i >= 0 else None for i in node["inputs"]]
    outputs = [tensors[i] for i in node["outputs"]]
    operands = Operands(name, inputs, outputs, node["builtin_options"] or {}, walk.tables.buffers)
    check_operands(where, operands)
    check_table(where, name, node)
    if name in ("IF", "WHILE", "CALL_ONCE"):
        shapes = _called(where, name, node, walk, done)
    elif name in ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"):
        shapes = _stored(where, name, node, walk)
    else:
        shapes = _computed(where, name, node, walk)
        walk.doubt(where, doubts(operands))
    _note_shapes(where, name, node, shapes, walk)
    if name in _UNPACKING and all(
        i in walk.constants or i in walk.unpacked for i in node["inputs"]
    ):
        walk.unpacked.update(node["outputs"])
    if name in _CONVOLUTIONS:
        _check_spread(where, name, node, walk)


def _call(node: Table, walk: GraphWalk, *, constants_alone: bool) -> Call:
    values = [_value(i, walk, constants_alone=constants_alone) for i in node["inputs"]]
    return Call(
        shapes=[walk.shapes[i] if i >= 0 else None for i in node["inputs"]],
        values=values,
        options=node["builtin_options"] or {"structure": structure(node)},
        outputs=[tuple(walk.graph["tensors"][i]["shape"]) for i in node["outputs"]],
        unknown=frozenset(
            position
            for position, i in enumerate(node["inputs"])
            if i >= 0 and walk.shapes[i] is None
        ),
    )


def _value(index: int, walk: GraphWalk, *, constants_alone: bool) -> np.ndarray | None:
    """Values of an integer constant; an empty float array for other constants; None if unknown."""
    if index < 0:
        return None
    tensor = walk.graph["tensors"][index]
    if index not in walk.constants and not is_empty(tensor):
        return None if constants_alone else walk.values.get(index)
    layout = _INTEGERS.get(type_name(tensor))
    if tensor["sparsity"] or not layout or is_empty(tensor):
        return np.empty(0, layout or "f4")
    data = walk.tables.buffers[tensor["buffer"]]["data"]
    return np.asarray(data).view(layout).reshape(tensor["shape"])


def _computed(where: str, name: str, node: Table, walk: GraphWalk) -> list[Shape] | None:
    """Shapes of the outputs by the operator's own arithmetic; None: only a run can tell."""
    try:
        try:
            return output_shapes(name, _call(node, walk, constants_alone=True))
        except LookupError:
            walk.steady = False
            shapes = output_shapes(name, _call(node, walk, constants_alone=False))
    except LookupError:
        walk.doubt(where, "shapes that only a run can tell, or a kernel without a rule")
        return None
    except ValueError as error:
        _refuse_shapes(where, str(error))
    return shapes


def _refuse_shapes(where: str, problem: str) -> None:
    error = ShapeError(problem)
    error.path.append(where)
    raise error


def _note_shapes(
    where: str, name: str, node: Table, shapes: list[Shape] | None, walk: GraphWalk
) -> None:
    indices = node["outputs"]
    for position, i in enumerate(indices):
        walk.shapes[i] = None if shapes is None else tuple(shapes[position])
    if shapes is None:
        return
    for i in indices:
        _compare(where, name, i, shapes, walk)
    if len(indices) == 1:
        _fold(where, name, node, walk)


def _compare(where: str, name: str, index: int, shapes: list[Shape], walk: GraphWalk) -> None:
    """Hold a computed shape against the declared one, which the delegate believes."""
    tensor, shape = walk.graph["tensors"][index], walk.shapes[index]
    declared, signature = tuple(tensor["shape"]), tensor["shape_signature"]
    assert shape is not None
    if declared == shape:
        return
    walk.extra_bytes += ensure_size(where, shape, type_name(tensor))
    if walk.extra_bytes > MAX_BYTES:
        unsupported(where, f"tensors need more than {MAX_BYTES} bytes together")
    if _agrees(signature, shape):
        return
    counted = name in COUNTED and math.prod(declared) == math.prod(shape)
    if counted or walk.resized:
        walk.doubt(where, f"an output of shape {declared} that will be {shape}")
        return
    listed = [tuple(walk.graph["tensors"][index]["shape"])]
    problem = f"outputs are declared as {listed}, but inputs and options give {shapes}"
    _refuse_shapes(where, problem)


def _agrees(signature: Sequence[int], shape: Shape) -> bool:
    """Whether a shape differs from the file's in open sides alone."""
    # Without a signature no side is open; that of a scalar would be as long as the shape.
    return (
        bool(signature)
        and len(signature) == len(shape)
        and all(side in (-1, length) for side, length in zip(signature, shape, strict=True))
    )


def _fold(where: str, name: str, node: Table, walk: GraphWalk) -> None:
    """Note the value of an output that is computed from values that are known."""
    index = node["outputs"][0]
    tensor = walk.graph["tensors"][index]
    shape = walk.shapes[index]
    if type_name(tensor) not in _FOLDED or shape is None:
        return
    call = _call(node, walk, constants_alone=False)
    settled = Call(call.shapes, call.values, call.options, [shape], call.unknown)
    try:
        value = fold(name, settled, np.dtype(type_name(tensor)))
    except ValueError as error:
        _refuse_shapes(where, str(error))
        return
    if value is not None:
        walk.values[index] = value


def _check_spread(where: str, name: str, node: Table, walk: GraphWalk) -> None:
    """Doubt a convolution whose kernel would spread out more than its 32 bits can count."""
    picture, kernel = walk.shapes[node["outputs"][0]], walk.shapes[node["inputs"][1]]
    if name == "TRANSPOSE_CONV":
        picture = walk.shapes[node["inputs"][2]]
    if picture is None or kernel is None:
        return
    weights = kernel if name == "TRANSPOSE_CONV" else kernel[1:]
    if math.prod(picture[:3]) * math.prod(weights[:3]) > _MOST_SPREAD:
        walk.doubt(where, "a convolution that needs a buffer of more than 32 bits can count")


def _called(
    where: str, name: str, node: Table, walk: GraphWalk, done: Mapping[int, GraphWalk]
) -> list[Shape] | None:
    """Shapes that a call gives; its types have to agree, its shapes may be doubted."""
    check_call(where, name, node, walk.graph, walk.tables.graphs)
    walk.steady = False
    if name == "CALL_ONCE":
        walk.assigned |= done[callees(node)[0]].assigned
        return []
    if name == "WHILE":
        walk.doubt(where, "a loop, whose end only a run can tell")
    operands = [walk.shapes[i] for i in node["inputs"][1 if name == "IF" else 0 :]]
    results: list[list[Shape | None]] = []
    for target in callees(node)[0 if name == "IF" else 1 :]:
        callee = done[target]
        inputs = [callee.shapes[i] for i in callee.graph["inputs"]]
        if inputs != operands or None in operands:
            walk.doubt(where, f"operands {operands} for a graph that takes {inputs}")
            return None
        results.append([callee.shapes[i] for i in callee.graph["outputs"]])
    declared: list[Shape | None] = [
        tuple(walk.graph["tensors"][i]["shape"]) for i in node["outputs"]
    ]
    if any(result != declared for result in results) or (name == "WHILE" and operands != declared):
        walk.doubt(where, f"outputs {declared} of graphs that give {results}")
        return None
    return [shape for shape in declared if shape is not None]


def _stored(where: str, name: str, node: Table, walk: GraphWalk) -> list[Shape] | None:
    """Shapes that an operator on variables gives."""
    walk.steady = False
    outputs = [walk.graph["tensors"][i] for i in node["outputs"]]
    if name == "VAR_HANDLE":
        if type_name(outputs[0]) != "resource":
            fail(where, f"a handle of type {type_name(outputs[0])}, expected resource")
        return [tuple(outputs[0]["shape"])]
    if type_name(walk.graph["tensors"][node["inputs"][0]]) != "resource":
        fail(where, "a handle that is no resource")
    variable = walk.handles.get(node["inputs"][0])
    if variable is None:
        walk.doubt(where, "a handle that another graph passes on")
        return None if outputs else []
    if name == "READ_VARIABLE":
        return _read(where, variable, outputs[0], walk)
    value = node["inputs"][1]
    if walk.shapes[value] != tuple(walk.graph["tensors"][value]["shape"]):
        walk.doubt(where, "a value whose shape only a run can tell")
    walk.assigned.add(variable)
    return []


def _read(where: str, variable: Name, output: Table, walk: GraphWalk) -> list[Shape] | None:
    reason = walk.tables.variables.check_read(where, variable, output)
    if not reason and variable not in walk.assigned:
        reason = "a variable that may be read before it is assigned"
    walk.doubt(where, reason)
    return [tuple(output["shape"])] if not reason else None
