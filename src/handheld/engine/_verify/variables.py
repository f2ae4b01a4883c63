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
_TABLE_TYPES = {("int64", "string"), ("string", "int64")}  # of key and value, in the runtime


@dataclass(frozen=True)
class Assigned:
    """What one operator assigns."""

    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Table) -> "Assigned":
        """What a tensor declares of itself."""
        return cls(type_name(tensor), tuple(tensor["shape"]))


@dataclass
class Variables:
    """What is assigned to each variable, anywhere in the file."""

    assigned: dict[Name, list[Assigned]] = field(default_factory=dict)

    def check_read(self, path: str, name: Name, output: Table) -> str:
        """Refuse a read that declares other than what is assigned; returns a doubt, or ""."""
        values = self.assigned.get(name)
        if not values:
            fail(path, f"reads variable {name[1]!r}, to which nothing is ever assigned")
        declared = Assigned.of(output)
        for value in values:
            if value.dtype != declared.dtype:
                fail(path, f"reads {declared.dtype} of a variable of {value.dtype}")
            if value.shape == declared.shape:
                continue
            # The runtime gives an open output the shape of what was assigned last.
            if -1 in output["shape_signature"]:
                return "a variable whose shape only a run can tell"
            fail(path, f"reads shape {declared.shape} of a variable of shape {value.shape}")
        return ""


def names_of(model_names: Sequence[str], graph: Table) -> dict[int, Name]:
    """Variables that the handles of one graph stand for, by the handle's tensor."""
    names: dict[int, Name] = {}
    for node in _operators(model_names, graph, "VAR_HANDLE"):
        options = node["builtin_options"] or {}
        name = (options.get("container") or b"", options.get("shared_name") or b"")
        # One output, if the file is right; its arity is judged later.
        names.update(dict.fromkeys(node["outputs"], name))
    return names


def collect(model_names: Sequence[str], graphs: Sequence[Table]) -> Variables:
    """Everything that the file's operators assign; indices are judged later, so none is trusted."""
    variables = Variables()
    for graph in graphs:
        names = names_of(model_names, graph)
        for node in _operators(model_names, graph, "ASSIGN_VARIABLE"):
            _collect_one(variables, names, node, graph["tensors"])
    if "VAR_HANDLE" in model_names and not set(_TABLES).isdisjoint(model_names):
        unsupported("operator_codes", "variables and hash tables in one file")
    return variables


def _collect_one(
    variables: Variables, names: dict[int, Name], node: Table, tensors: Sequence[Table]
) -> None:
    if len(node["inputs"]) != 2:
        return
    handle, value = node["inputs"]
    if handle in names and 0 <= value < len(tensors):
        entries = variables.assigned.setdefault(names[handle], [])
        entries.append(Assigned.of(tensors[value]))


def _operators(model_names: Sequence[str], graph: Table, name: str) -> Iterator[Table]:
    for node in graph["operators"]:
        index = node["opcode_index"]
        if index < len(model_names) and model_names[index] == name:
            yield node


def check_table(path: str, name: str, node: Table) -> None:
    """Refuse a hash table of types for which the runtime has none."""
    if name != "HASHTABLE":
        return
    options = node["builtin_options"] or {}
    # Both are in range, as ``options`` sees to.
    key = TYPES[options.get("key_dtype", 0)]
    value = TYPES[options.get("value_dtype", 0)]
    if (key, value) not in _TABLE_TYPES:
        problem = f"a hash table of types {(key, value)}"
        unsupported(path, f"{problem}, expected int64 and string")
