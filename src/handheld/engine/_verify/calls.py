"""Graphs that call one another: IF, WHILE and CALL_ONCE.

The runtime copies between the caller's tensors and the callee's without a look at their types.
"""

from collections.abc import Iterable, Sequence

from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.tensors import TYPES

# Every call of a graph allocates it anew, so calls that fork at each level take for ever: 3,000
# IFs inside one another never ended. Real files have some dozens.
_MOST_CALLS = 4096
_MOST_DEPTH = 64

_BOOL = TYPES.index("bool")


def callees(node: Table) -> list[int]:
    """Numbers of the graphs that an operator calls."""
    options = node["builtin_options"] or {}
    # In the order of the schema: then and else, condition and body.
    return [int(value) for key, value in options.items() if key.endswith("subgraph_index")]


def call_order(graphs: Sequence[Table]) -> list[int]:
    """Graphs in an order in which every one comes after those that it calls.

    Raises:
        CorruptError: a call leads outside, or they call one another in a circle.
        UnsupportedError: calls are nested too deeply, or fork too often.
    """
    calls = list(map(_called, graphs))
    for i, targets in enumerate(calls):
        if not set(targets) <= set(range(len(graphs))):
            fail(f"subgraphs[{i}]", f"calls subgraphs {targets} of {len(graphs)}")
    depth: dict[int, int] = {}
    total: dict[int, int] = {}
    # From the leaves on, and not by recursion: a hostile chain of calls would exhaust the stack.
    while len(depth) < len(graphs):
        leaves = _leaves(calls, depth)
        if not leaves:
            circle = set(range(len(graphs))) - depth.keys()
            fail("subgraphs", f"{circle} call one another in a circle")
        for i in leaves:
            targets = calls[i]
            depth[i] = 1 + max(map(depth.__getitem__, targets), default=0)
            total[i] = 1 + sum(map(total.__getitem__, targets))
            _check_limits(f"subgraphs[{i}]", depth[i], total[i])
    return list(depth)


def _called(graph: Table) -> list[int]:
    targets = []
    for node in graph["operators"]:
        targets += callees(node)
    return targets


def _leaves(calls: Sequence[list[int]], settled: Iterable[int]) -> list[int]:
    """Graphs that are not settled, and call none but those that are."""
    done = set(settled)
    return [i for i, targets in enumerate(calls) if i not in done and done.issuperset(targets)]


def _check_limits(path: str, depth: int, total: int) -> None:
    if depth > _MOST_DEPTH or total > _MOST_CALLS:
        limits = f"at most {_MOST_DEPTH} deep and {_MOST_CALLS} in all"
        unsupported(path, f"calls nested {depth} deep; {limits}")


def check_call(path: str, name: str, node: Table, graph: Table, graphs: Sequence[Table]) -> None:
    """Refuse a call whose tensors differ from the callee's in number or type."""
    if -1 in node["inputs"]:
        fail(path, "an operand of a call is absent")
    inputs = _types(graph, node["inputs"])
    outputs = _types(graph, node["outputs"])
    targets = [graphs[number] for number in callees(node)]
    if name == "IF":
        for target in targets:
            _expect(path, target, inputs[1:], outputs)
        if inputs[:1] != [_BOOL]:
            fail(path, "a condition that is no bool")
    elif name == "WHILE":
        condition, body = targets
        _expect(path, condition, inputs, [_BOOL])
        _expect(path, body, inputs, inputs)
        if outputs != inputs:
            problem = f"outputs of types {outputs}"
            fail(path, f"{problem}, expected those of the inputs {inputs}")
    elif name == "CALL_ONCE":
        _expect(path, targets[0], [], [])


def _types(graph: Table, indices: Iterable[int]) -> list[int]:
    return [graph["tensors"][index]["type"] for index in indices]


def _expect(path: str, callee: Table, inputs: list[int], outputs: list[int]) -> None:
    takes = _types(callee, callee["inputs"])
    gives = _types(callee, callee["outputs"])
    if takes != inputs or gives != outputs:
        expected = f"types {inputs} -> {outputs}"
        fail(path, f"calls for {expected} a graph of types {takes} -> {gives}")
