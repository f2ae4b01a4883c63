"""What is known of a graph while its operators are walked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.flatbuffer import Table
from handheld.engine._verify.variables import Name, Variables

Item = TypeVar("Item")


@dataclass(frozen=True)
class FileTables:
    """What the walks of a file's graphs share.

    Args:
        graphs, buffers: of the file.
        numbers: of operators, by the index of their code.
        names: of operators, by the same index.
        customs: names of custom operators, by the same index; "" for others.
        variables: what is assigned anywhere in the file.
    """

    graphs: Sequence[Table]
    buffers: Sequence[Table]
    numbers: Sequence[int]
    names: Sequence[str]
    customs: Sequence[str]
    variables: Variables


# Not frozen: a walk is where the checks of one file gather what they learn, operator by operator.
@dataclass
class GraphWalk:
    """One graph, and what is known of it so far.

    Args:
        graph: its table.
        tables: what all graphs share.
        resized: whether inputs have other lengths than those in the file.
        shapes: of each tensor at run time; None: only a run can tell.
        constants: tensors whose values are in the file.
        fixed: constants and inputs of the graph, which no operator may write.
        ready: tensors that may be read.
        handles: variables that handles stand for, by the handle's tensor.
        values: of integers that are known before a run, by tensor.
        doubts: where, and why, only a process of its own may run the file.
        assigned: variables to which a value is assigned by now.
        unpacked: tensors that are constants in another form.
        steady: whether the runtime knows all shapes before a run, and never moves a tensor.
        extra_bytes: of tensors that are larger than the file says.
    """

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
    unpacked: set[int] = field(default_factory=set)
    steady: bool = True
    extra_bytes: int = 0

    def is_constant(self, index: int) -> bool:
        """Whether a tensor's values are those of the file, packed or unpacked."""
        return index in self.constants or index in self.unpacked

    def shapes_of(self, field_name: str) -> list[Shape | None]:
        """Shapes of the graph's ``inputs`` or ``outputs``."""
        return list(map(self.shapes.__getitem__, self.graph[field_name]))


# Not frozen, like ``Operands``: one is made for each operator, and frozen ones take longer.
@dataclass
class Step:
    """One operator of a walk.

    Args:
        path: its path in the file.
        name: its own, also of a custom operator.
        node: its table.
        walk: of its graph.

    Attributes:
        inputs: tensors that it reads; None: absent.
        outputs: tensors that it writes.
        options: its builtin options, {} if it has none.
    """

    path: str
    name: str
    node: Table
    walk: GraphWalk
    inputs: list[Table | None] = field(init=False)
    outputs: list[Table] = field(init=False)
    options: Table = field(init=False)

    def __post_init__(self) -> None:
        tensors = self.walk.graph["tensors"]
        self.inputs = _entries(tensors, self.node["inputs"])
        self.outputs = [tensors[i] for i in self.node["outputs"]]
        self.options = self.node["builtin_options"] or {}

    def shapes_of(self, field_name: str) -> list[Shape | None]:
        """Shapes at run time of its ``inputs`` or ``outputs``; None: absent, or unknown."""
        return _entries(self.walk.shapes, self.node[field_name])

    def declared_shapes(self) -> list[Shape]:
        """Shapes of its outputs as the file has them."""
        return [tuple(tensor["shape"]) for tensor in self.outputs]

    def doubt(self, reason: str) -> None:
        """Note why only a process of its own may run the operator; "": no reason."""
        if reason:
            self.walk.doubts.append(f"{self.path}: {reason}")


def _entries(values: Sequence[Item], indices: Sequence[int]) -> list[Item | None]:
    """Return entries by index; None for -1, which stands for an operand that is left out."""
    entries: list[Item | None] = []
    for i in indices:
        # Asked for and not left to the list, where -1 is the last one.
        if i < 0:
            entries.append(None)
        else:
            entries.append(values[i])
    return entries
