"""Models whose weights lie behind the FlatBuffer."""

import numpy as np
import pytest
import zoo
from ai_edge_litert.compiled_model import CompiledModel

from handheld.engine import Model, embed
from handheld.engine._raw import BUFFERS, elements, slot, target
from handheld.errors import ModelError

NAMES = ("tiny_int8", "tiny_landmark", "tiny_palm")


def run(content):
    with Model.load(content) as model:
        rng = np.random.default_rng(0)
        return [
            out.tobytes()
            for out in model.run(*(rng.random(i.shape).astype(i.dtype) for i in model.inputs))
        ]


@pytest.mark.parametrize("name", NAMES)
def test_they_give_the_same_outputs_before_and_after_a_card(fixtures, name):
    content = (fixtures / f"{name}.tflite").read_bytes()
    moved = zoo.weights_behind(content)
    assert len(moved) > len(content)
    carded = embed(embed(moved, {"first": "x" * 100}), {"labels": ["a"]})
    assert carded == embed(moved, {"labels": ["a"]})
    assert run(moved) == run(carded) == run(content)
    assert Model.load(carded).card == {"labels": ["a"]}
    assert (
        CompiledModel.from_buffer(carded).get_num_signatures()
        == CompiledModel.from_buffer(content).get_num_signatures()
    )


def test_constants_that_shapes_depend_on_are_read_there():
    for name in ("reshape", "pad", "transpose", "resize_bilinear"):
        content = zoo.models()[name]()
        assert run(zoo.weights_behind(content)) == run(content)


def test_metadata_is_read_there(fixtures):
    content = embed((fixtures / "tiny_add.tflite").read_bytes(), {"labels": ["a"]})
    assert Model.load(zoo.weights_behind(content)).card == {"labels": ["a"]}


def put(content, field, number):
    """The file with another offset (1) or size (2) of its first buffer that lies behind."""
    places = (
        slot(content, buffer, field) for buffer in elements(content, target(content, 0), BUFFERS)
    )
    at = next(at for at in places if at)
    return content[:at] + number.to_bytes(8, "little") + content[at + 8 :]


@pytest.mark.parametrize(
    ("field", "number", "message"),
    [
        (1, 1 << 20, "do not fit"),
        (1, (1 << 64) - 8, "do not fit"),
        (1, 8, "no multiple of 16"),
        (1, 1, "never computed|before any operator"),
        (2, (1 << 64) - 1, "do not fit"),
        (2, 0, "0 bytes at byte"),
        (2, 9, "9 bytes of data, expected 8"),
    ],
)
def test_wrong_places(fixtures, field, number, message):
    content = zoo.weights_behind((fixtures / "tiny_int8.tflite").read_bytes())
    with pytest.raises(ModelError, match=message):
        Model.load(put(content, field, number))


def test_a_file_that_is_cut_short(fixtures):
    content = zoo.weights_behind((fixtures / "tiny_palm.tflite").read_bytes())
    with pytest.raises(ModelError, match="do not fit in the file"):
        Model.load(content[:-32])


def test_places_that_a_damaged_card_leaves_before_the_file(fixtures):
    content = embed(zoo.weights_behind((fixtures / "tiny_int8.tflite").read_bytes()), {"a": 1})
    with pytest.raises(ModelError, match="damaged"):
        embed(put(content, 1, 16), {"a": 2})
