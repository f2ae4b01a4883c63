"""Graphs that call one another: IF, WHILE and CALL_ONCE.

The runtime copies between the caller's tensors and the callee's without a look at their types.
"""

from collections.abc import Sequence
from itertools import chain

from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.tensors import TYPES

# Every call of a graph allocates it anew, so calls that fork at each level take for ever: 3,000
# IFs inside one another never ended. Real files have some dozens.
_MOST_CALLS = 4096
_MOST_DEPTH = 64


def callees(node: Table) -> list[int]:
    """Numbers of the graphs that an operator calls."""
    options = node["builtin_options"] or {}
    return [int(value) for key, value in options.items() if key.endswith("subgraph_index")]


def call_order(graphs: Sequence[Table]) -> list[int]:
    """Graphs in an order in which every one comes after those that it calls.

    Raises:
        CorruptError: a call leads outside, or they call one another in a circle.
        UnsupportedError: calls are nested too deeply, or fork too often.
    """
    count = len(graphs)
    calls = [list(chain.from_iterable(map(callees, graph["operators"]))) for graph in graphs]
    for i, targets in enumerate(calls):
        if any(not 0 <= target < count for target in targets):
            fail(f"subgraphs[{i}]", f"calls subgraphs {targets} of {count}")
    order: list[int] = []
    depth: dict[int, int] = {}
    total: dict[int, int] = {}
    while len(order) < count:
        leaves = [i for i in range(count) if i not in depth and all(t in depth for t in calls[i])]
        if not leaves:
            circle = set(range(count)) - set(order)
            fail("subgraphs", f"{circle} call one another in a circle")
        for i in leaves:
            depth[i] = 1 + max((depth[t] for t in calls[i]), default=0)
            total[i] = 1 + sum(total[t] for t in calls[i])
            if depth[i] > _MOST_DEPTH or total[i] > _MOST_CALLS:
                limits = f"at most {_MOST_DEPTH} deep and {_MOST_CALLS} in all"
                unsupported(f"subgraphs[{i}]", f"calls nested {depth[i]} deep; {limits}")
        order += leaves
    return order


def check_call(where: str, name: str, node: Table, graph: Table, graphs: Sequence[Table]) -> None:
    """Refuse a call whose tensors differ from the callee's in number or type."""
    tensors = graph["tensors"]
    inputs = [tensors[i]["type"] for i in node["inputs"] if i >= 0]
    outputs = [tensors[i]["type"] for i in node["outputs"]]
    if len(inputs) != len(node["inputs"]):
        fail(where, "an operand of a call is absent")
    targets = callees(node)
    if name == "IF":
        for target in targets:
            _expect(where, graphs[target], inputs[1:], outputs)
        if inputs[:1] != [TYPES.index("bool")]:
            fail(where, "a condition that is no bool")
    elif name == "WHILE":
        condition, body = targets
        _expect(where, graphs[condition], inputs, [TYPES.index("bool")])
        _expect(where, graphs[body], inputs, inputs)
        if outputs != inputs:
            fail(where, f"outputs of types {outputs}, expected those of the inputs {inputs}")
    elif name == "CALL_ONCE":
        _expect(where, graphs[targets[0]], [], [])


def _expect(where: str, callee: Table, inputs: list[int], outputs: list[int]) -> None:
    tensors = callee["tensors"]
    theirs = [tensors[i]["type"] for i in callee["inputs"]]
    results = [tensors[i]["type"] for i in callee["outputs"]]
    if theirs != inputs or results != outputs:
        wanted = f"types {inputs} -> {outputs}"
        fail(where, f"calls for {wanted} a graph of types {theirs} -> {results}")
