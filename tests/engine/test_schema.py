"""Our tables of the schema against the runtime's own generated code."""

import inspect
import re

import pytest
from ai_edge_litert import schema_py_generated as generated

from handheld.engine._verify.operators import refused, signatures
from handheld.engine._verify.schema import UNIONS, tables

_LETTERS = {
    "Int8": "i1",
    "Uint8": "u1",
    "Bool": "?1",
    "Uint16": "u2",
    "Int32": "i4",
    "Uint32": "u4",
    "Int64": "i8",
}
_LETTERS |= {"Uint64": "u8", "Float32": "f4"}


def _snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[WHD])(?=Factor)", "_", name).lower()


def _generated_fields(name):
    """(slot, name, scalar letter or None) of each accessor of a generated class."""
    for accessor, method in inspect.getmembers(getattr(generated, name), inspect.isfunction):
        source = inspect.getsource(method)
        offset = re.search(r"Offset\((\d+)\)", source)
        if offset and not accessor.endswith(("AsNumpy", "Length", "IsNone")):
            scalar = re.search(r"number_types\.(\w+?)Flags, (?:o \+ self|a \+)", source)
            yield (
                (int(offset[1]) - 4) // 2,
                _snake(accessor),
                _LETTERS[scalar[1]] if scalar else None,
            )


@pytest.mark.parametrize("name", tables())
def test_fields_are_those_of_the_runtime(name):
    ours = {
        (field.slot, field.name, field.target if field.encoding in ("scalar", "vector") else None)
        for field in tables()[name]
    }
    assert ours == set(_generated_fields(name))


@pytest.mark.parametrize("name", tables())
def test_defaults_are_those_of_the_runtime(name):
    fresh = vars(getattr(generated, name + "T")())
    fresh = {_snake(key): value for key, value in fresh.items()}
    for field in tables()[name]:
        if field.encoding == "scalar":
            assert field.default == fresh[field.name], field.name


def test_options_are_numbered_as_in_the_runtime():
    theirs = {
        number: name
        for name, number in vars(generated.BuiltinOptions).items()
        if isinstance(number, int)
    }
    assert theirs == {0: "NONE", **dict(enumerate(UNIONS["builtin_options"], 1))}


def test_operators_are_numbered_as_in_the_runtime():
    theirs = vars(generated.BuiltinOperator)
    assert {s.name: n for n, s in signatures().items()} == {
        s.name: theirs[s.name] for s in signatures().values()
    }
    assert {s.options for s in signatures().values()} <= {"", *UNIONS["builtin_options"]}


def test_every_operator_of_the_runtime_is_accepted_or_refused_by_name():
    theirs = {n: name for name, n in vars(generated.BuiltinOperator).items() if isinstance(n, int)}
    assert theirs.keys() == signatures().keys() | refused().keys()
    assert refused() == {number: theirs[number] for number in refused()}
    assert not signatures().keys() & refused().keys()
