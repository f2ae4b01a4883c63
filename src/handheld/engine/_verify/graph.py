"""One graph, walked in the order of execution: what is read is there, what is written fits.

The walk knows the shape of each tensor as it will be at run time, and the values of integers that
shapes are computed from. Where an operator's work hangs on what only a run can tell, or no rule
covers its kernel, the walk goes on and notes a doubt: such a file is run in its own process.
"""

from collections.abc import Iterable, Mapping, Sequence

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.calls import callees, check_call
from handheld.engine._verify.custom import check_custom
from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.operands import Operands, check_operands, doubts
from handheld.engine._verify.operators import CUSTOM, Signature, signatures
from handheld.engine._verify.options import check_options
from handheld.engine._verify.tensors import ensure_size, has_data, is_empty, type_name
from handheld.engine._verify.variables import Name, check_table, names_of
from handheld.engine._verify.walk import FileTables, GraphWalk, Step
from handheld.engine._verify.written import SPREADING, check_spread, computed_shapes, note_shapes

_UNPACKING = ("DENSIFY", "DEQUANTIZE")
_CALLS = ("IF", "WHILE", "CALL_ONCE")
_VARIABLES = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def check_indices(path: str, indices: Iterable[int], count: int, lowest: int = 0) -> None:
    """Refuse tensor indices out of range."""
    for i in indices:
        if not lowest <= i < count:
            fail(path, f"tensor index {i}, expected {lowest} to {count - 1}")


def walk_graph(
    path: str,
    graph: Table,
    tables: FileTables,
    done: Mapping[int, GraphWalk],
    inputs: Mapping[int, Shape | None],
) -> GraphWalk:
    """Check one graph whose tensors have passed their own checks.

    Args:
        path: its path in the file.
        graph: its table.
        tables: what all graphs share.
        done: walks of the graphs that it calls, by number.
        inputs: shapes of inputs that are other than in the file, by tensor; None: only a run can
            tell.
    """
    _check_ends(path, graph)
    walk = _begin(path, graph, tables, inputs)
    for i, node in enumerate(graph["operators"]):
        _check_node(f"{path}.operators[{i}]", node, walk, done)
    outputs = set(graph["outputs"])
    missing = outputs - walk.ready
    if missing:
        fail(f"{path}.outputs", f"tensors {missing} are never computed")
    unwritten = walk.unpacked & outputs
    if unwritten:
        problem = "unpack constants, which the runtime keeps to itself: the outputs are not written"
        unsupported(f"{path}.outputs", f"tensors {unwritten} {problem}")
    return walk


def _check_ends(path: str, graph: Table) -> None:
    for field in ("inputs", "outputs"):
        check_indices(f"{path}.{field}", graph[field], len(graph["tensors"]))
    if len(set(graph["inputs"])) != len(graph["inputs"]):
        fail(f"{path}.inputs", f"a tensor is listed twice: {graph['inputs']}")


def _begin(
    path: str, graph: Table, tables: FileTables, inputs: Mapping[int, Shape | None]
) -> GraphWalk:
    """The walk before the first operator: constants and inputs are ready."""
    tensors = graph["tensors"]
    constants = frozenset(i for i, t in enumerate(tensors) if has_data(t, tables.buffers))
    for index in graph["inputs"]:
        if index in constants:
            fail(f"{path}.inputs", f"tensor {index} is a constant")
    declared: list[Shape | None] = [tuple(tensor["shape"]) for tensor in tensors]
    shapes = _resized_shapes(path, graph, declared, inputs)
    fixed = constants.union(graph["inputs"])
    return GraphWalk(
        graph=graph,
        tables=tables,
        resized=shapes != declared,
        shapes=shapes,
        constants=constants,
        fixed=fixed,
        ready=_standing(tensors) | fixed,
        handles=names_of(tables.names, graph),
    )


def _resized_shapes(
    path: str,
    graph: Table,
    declared: Sequence[Shape | None],
    inputs: Mapping[int, Shape | None],
) -> list[Shape | None]:
    """The declared shapes, but for those of ``inputs``."""
    shapes = list(declared)
    for i, shape in inputs.items():
        if shape is not None:
            ensure_size(f"{path}.tensors[{i}]", shape, type_name(graph["tensors"][i]))
        shapes[i] = shape
    return shapes


def _standing(tensors: Sequence[Table]) -> set[int]:
    """Tensors that may be read though no operator writes them.

    Variables keep what the run before left in them; of a tensor without elements nothing is read.
    """
    return {i for i, tensor in enumerate(tensors) if tensor["is_variable"] or is_empty(tensor)}


def _check_node(path: str, node: Table, walk: GraphWalk, done: Mapping[int, GraphWalk]) -> None:
    """Check one operator against its kernel's signature and make its outputs ready."""
    tables = walk.tables
    index = node["opcode_index"]
    if index >= len(tables.numbers):
        fail(path, f"operator code {index} of {len(tables.numbers)}")
    if node["builtin_options2_type"] or node["large_custom_options_offset"]:
        problem = "StableHLO options and options stored after the model are not supported"
        unsupported(path, problem)
    number = tables.numbers[index]
    signature = signatures()[number]
    path = f"{path} ({signature.name})"
    _check_arity(path, node, signature, len(walk.graph["tensors"]))
    _check_flow(path, node, walk)
    check_options(path, node, signature)
    walk.ready.update(node["outputs"])
    name = signature.name
    if number == CUSTOM:
        name = tables.customs[index]
        check_custom(path, name, node)
    _settle(Step(path, name, node, walk), done)


def _check_arity(path: str, node: Table, signature: Signature, count: int) -> None:
    inputs = node["inputs"]
    outputs = node["outputs"]
    check_indices(f"{path}.inputs", inputs, count, -1)
    check_indices(f"{path}.outputs", outputs, count)
    check_indices(f"{path}.intermediates", node["intermediates"], count)
    if len(inputs) not in signature.inputs or len(outputs) not in signature.outputs:
        counts = f"{len(inputs)} inputs and {len(outputs)} outputs"
        expected = f"{_range_text(signature.inputs)} and {_range_text(signature.outputs)}"
        fail(path, f"{counts}, expected {expected}")
    # -1 stands for an operand that is left out.
    if -1 in inputs[: signature.optional]:
        fail(path, f"input {inputs.index(-1)} is absent")


def _range_text(counts: range) -> str:
    if len(counts) == 1:
        return str(counts.start)
    return f"{counts.start} to {counts.stop - 1}"


def _check_flow(path: str, node: Table, walk: GraphWalk) -> None:
    """Inputs are computed before; outputs are written once, and are no inputs or constants."""
    missing = set(node["inputs"]) - walk.ready - {-1}
    if missing:
        fail(path, f"reads tensors {missing} before any operator computes them")
    outputs = node["outputs"]
    if not walk.fixed.isdisjoint(outputs) or len(set(outputs)) != len(outputs):
        fail(path, f"writes tensors {outputs}: an input, a constant, or one tensor twice")
    for i in walk.ready.intersection(outputs):
        # A tensor without elements is ready from the start, and may still be written.
        if not is_empty(walk.graph["tensors"][i]):
            fail(path, f"writes tensors {outputs}, of which one is already computed")


def _settle(step: Step, done: Mapping[int, GraphWalk]) -> None:
    """Judge the operands, and note what the outputs will be."""
    walk = step.walk
    operands = Operands(
        name=step.name,
        inputs=step.inputs,
        outputs=step.outputs,
        options=step.options,
        buffers=walk.tables.buffers,
    )
    check_operands(step.path, operands)
    check_table(step.path, step.name, step.node)
    if step.name in _CALLS:
        shapes = _called_shapes(step, done)
    elif step.name in _VARIABLES:
        shapes = _variable_shapes(step)
    else:
        shapes = computed_shapes(step)
        step.doubt(doubts(operands))
    note_shapes(step, shapes)
    if step.name in _UNPACKING and all(map(walk.is_constant, step.node["inputs"])):
        walk.unpacked.update(step.node["outputs"])
    if step.name in SPREADING:
        check_spread(step)


def _called_shapes(step: Step, done: Mapping[int, GraphWalk]) -> list[Shape] | None:
    """Shapes that a call gives; its types have to agree, its shapes may be doubted."""
    walk = step.walk
    check_call(step.path, step.name, step.node, walk.graph, walk.tables.graphs)
    walk.steady = False
    targets = [done[number] for number in callees(step.node)]
    if step.name == "CALL_ONCE":
        walk.assigned |= targets[0].assigned
        return []
    operands = step.shapes_of("inputs")
    if step.name == "IF":
        return _agreed_shapes(step, targets, operands[1:])  # without the condition
    step.doubt("a loop, whose end only a run can tell")
    shapes = _agreed_shapes(step, targets[1:], operands)  # the first graph is the condition
    # What one turn gives is what the next one takes.
    if shapes is not None and operands != shapes:
        step.doubt(f"outputs {shapes} of a loop that takes {operands}")
        return None
    return shapes


def _agreed_shapes(
    step: Step, targets: Sequence[GraphWalk], operands: list[Shape | None]
) -> list[Shape] | None:
    """The declared shapes, if every graph that may be called takes and gives them."""
    declared = step.declared_shapes()
    results = []
    for target in targets:
        takes = target.shapes_of("inputs")
        if takes != operands or None in operands:
            step.doubt(f"operands {operands} for a graph that takes {takes}")
            return None
        results.append(target.shapes_of("outputs"))
    if results != [declared] * len(targets):
        step.doubt(f"outputs {declared} of graphs that give {results}")
        return None
    return declared


def _variable_shapes(step: Step) -> list[Shape] | None:
    """Shapes that an operator on variables gives."""
    walk = step.walk
    walk.steady = False
    if step.name == "VAR_HANDLE":
        (output,) = step.outputs
        if type_name(output) != "resource":
            fail(step.path, f"a handle of type {type_name(output)}, expected resource")
        return step.declared_shapes()
    handle = step.node["inputs"][0]
    if type_name(walk.graph["tensors"][handle]) != "resource":
        fail(step.path, "a handle that is no resource")
    # Handles are known by the graph that makes them; one that is passed on may be of any variable.
    variable = walk.handles.get(handle)
    if variable is None:
        step.doubt("a handle that another graph passes on")
        if not step.outputs:
            return []
        return None
    if step.name == "READ_VARIABLE":
        return _read_shapes(step, variable)
    value = step.node["inputs"][1]
    declared = tuple(walk.graph["tensors"][value]["shape"])
    if walk.shapes[value] != declared:
        step.doubt("a value whose shape only a run can tell")
    # From here on in the order of execution it may be read.
    walk.assigned.add(variable)
    return []


def _read_shapes(step: Step, variable: Name) -> list[Shape] | None:
    walk = step.walk
    reason = walk.tables.variables.check_read(step.path, variable, step.outputs[0])
    if not reason and variable not in walk.assigned:
        reason = "a variable that may be read before it is assigned"
    step.doubt(reason)
    # What stands in a variable of which one knows nothing may be of any shape.
    if reason:
        return None
    return step.declared_shapes()
