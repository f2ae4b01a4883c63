"""Variables that outlive a run, and the handles that operators reach them by.

The runtime copies as many bytes out of a variable as the reader declares, whatever was assigned to
it: what is read must be what every assignment writes. Handles are numbers, which variables and
hash tables share: a file with both could take one for the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.tensors import TYPES, type_name

Name = tuple[bytes, bytes]
"""Container and shared name, which together name a variable."""

_TABLES = ("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE")
_TABLE_TYPES = {("int64", "string"), ("string", "int64")}


@dataclass(frozen=True)
class Assigned:
    """What one operator assigns."""

    dtype: str
    shape: tuple[int, ...]


@dataclass
class Variables:
    """What is assigned to each variable, anywhere in the file."""

    assigned: dict[Name, list[Assigned]] = field(default_factory=dict)

    def check_read(self, where: str, name: Name, output: Table) -> str:
        """Refuse a read that declares other than what is assigned; returns a doubt, or ""."""
        entries = self.assigned.get(name)
        if not entries:
            fail(where, f"reads variable {name[1]!r}, to which nothing is ever assigned")
        declared = Assigned(type_name(output), tuple(output["shape"]))
        for entry in entries:
            if entry.dtype != declared.dtype:
                fail(where, f"reads {declared.dtype} of a variable of {entry.dtype}")
            if entry.shape == declared.shape:
                continue
            if -1 in output["shape_signature"]:
                return "a variable whose shape only a run can tell"
            fail(where, f"reads shape {declared.shape} of a variable of shape {entry.shape}")
        return ""


def names_of(model_names: Sequence[str], graph: Table) -> dict[int, Name]:
    """Variables that the handles of one graph stand for, by the handle's tensor."""
    names: dict[int, Name] = {}
    for node in _operators(model_names, graph, "VAR_HANDLE"):
        options = node["builtin_options"] or {}
        name = (options.get("container") or b"", options.get("shared_name") or b"")
        names.update(dict.fromkeys(node["outputs"], name))
    return names


def collect(model_names: Sequence[str], graphs: Sequence[Table]) -> Variables:
    """Everything that the file's operators assign; indices are judged later, so none is trusted."""
    variables = Variables()
    for graph in graphs:
        names = names_of(model_names, graph)
        for node in _operators(model_names, graph, "ASSIGN_VARIABLE"):
            _collect_one(variables, names, node, graph["tensors"])
    if "VAR_HANDLE" in model_names and any(table in model_names for table in _TABLES):
        unsupported("operator_codes", "variables and hash tables in one file")
    return variables


def _collect_one(
    variables: Variables, names: dict[int, Name], node: Table, tensors: Sequence[Table]
) -> None:
    inputs = node["inputs"]
    if len(inputs) != 2 or inputs[0] not in names or not 0 <= inputs[1] < len(tensors):
        return
    value = tensors[inputs[1]]
    entry = Assigned(type_name(value), tuple(value["shape"]))
    variables.assigned.setdefault(names[inputs[0]], []).append(entry)


def _operators(model_names: Sequence[str], graph: Table, name: str) -> Iterator[Table]:
    for node in graph["operators"]:
        index = node["opcode_index"]
        if index < len(model_names) and model_names[index] == name:
            yield node


def check_table(where: str, name: str, node: Table) -> None:
    """Refuse a hash table of types for which the runtime has none."""
    if name != "HASHTABLE":
        return
    options = node["builtin_options"] or {}
    numbers = (options.get("key_dtype", 0), options.get("value_dtype", 0))
    types = tuple(TYPES[number] for number in numbers if 0 <= number < len(TYPES))
    if types not in _TABLE_TYPES:
        unsupported(where, f"a hash table of types {types}, expected int64 and string")
