"""A file taken apart does, put together again, what the whole does."""

from pathlib import Path

import numpy as np
import pytest
import structures
import zoo

import handheld
from handheld.engine import Model
from handheld.engine.operators import single_operators
from handheld.errors import HandheldError


def together(whole, arrays):
    """Run the parts one after the other, tensors by name; outputs of the whole."""
    tensors = {info.name: array for info, array in zip(whole.inputs, arrays, strict=True)}
    for content in single_operators(whole.content):
        if content is not None:
            part = Model.load(content)
            outputs = part.run(*[tensors[info.name] for info in part.inputs])
            tensors |= {info.name: out for info, out in zip(part.outputs, outputs, strict=True)}
    return [tensors[info.name] for info in whole.outputs]


def noise_for(whole):
    rng = np.random.default_rng(3)
    return [info.to_stored(rng.random(info.shape, np.float32)) for info in whole.inputs]


@pytest.mark.parametrize("name", ["tiny_add", "tiny_int8", "tiny_landmark", "tiny_palm"])
def test_parts_together_give_what_the_whole_gives(fixtures, name):
    whole = Model.open(fixtures / f"{name}.tflite")
    arrays = noise_for(whole)
    for ours, theirs in zip(together(whole, arrays), whole.run(*arrays), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_there_is_a_part_for_each_operator(fixtures):
    whole = Model.open(fixtures / "tiny_palm.tflite")
    parts = list(single_operators(whole.content))
    assert len(parts) == len(whole.operators)
    for name, content in zip(whole.operators, parts, strict=True):
        if content is not None:
            assert Model.load(content).operators[-1] == name


@pytest.mark.parametrize("name", sorted(zoo.models()))
def test_parts_of_any_operator_are_files(name):
    for content in single_operators(zoo.models()[name]()):
        if content is not None:
            assert Model.load(content).outputs


@pytest.mark.parametrize("name", sorted(structures.models()))
def test_parts_of_any_structure_are_files_or_none(name):
    """Branches, loops and variables are nothing alone."""
    content = structures.models()[name]()
    try:
        whole = Model.load(content)
    except HandheldError:
        pytest.skip("not a file that is opened")
    parts = list(single_operators(content))
    assert len(parts) == len(whole.operators)
    for operator, part in zip(whole.operators, parts, strict=True):
        if operator in ("IF", "WHILE", "CALL_ONCE", "READ_VARIABLE", "ASSIGN_VARIABLE"):
            assert part is None


def test_weights_that_are_computed_stay_weights():
    """Half floats become whole ones by an operator of their own, once."""
    pack = Path(handheld.__file__).parent / "hands" / "assets" / "handheld"
    with Model.open(pack / "landmark.tflite") as whole:
        parts = dict(enumerate(single_operators(whole.content)))
        operators = whole.operators
    alone = [Model.load(content) for content in parts.values() if content is not None]
    assert [number for number, part in parts.items() if part is None] == [
        number for number, name in enumerate(operators) if name == "DEQUANTIZE"
    ]
    convolutions = [part for part in alone if part.operators[-1] == "CONV_2D"]
    assert {len(part.inputs) for part in convolutions} == {1}
    assert {part.operators[0] for part in convolutions} == {"DEQUANTIZE"}


def chain(length):
    """Constants from constants, each from the two before; the last one is added to the input."""
    build = structures.Builder()
    entry = build.input((1, 4))
    before, last = (build.constant([[1, 2, 3, 4]], structures.FLOAT) for _ in range(2))
    for _ in range(length):
        before, last = last, build.op("ADD", [before, last], (1, 4))
    build.output(build.op("ADD", [entry, last], (1, 4)))
    return build.finish()


def test_constants_that_come_from_each_other_are_computed_once():
    """Each carried the chains of both its operands: 3 kB of a file made gigabytes."""
    content = chain(40)
    assert len(Model.load(content).operators) == 41
    *known, last = single_operators(content)
    assert known == [None] * 40
    assert Model.load(last).operators == ("ADD",) * 41
    assert len(last) < 2 * len(content)
    ones = np.ones((1, 4), np.float32)
    assert np.array_equal(
        *map(np.asarray, (Model.load(last).run(ones), Model.load(content).run(ones)))
    )


def test_chains_of_any_length_are_no_part():
    assert list(single_operators(chain(65))) == [None] * 66
