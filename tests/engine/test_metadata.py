import json

import numpy as np
import pytest
import zoo
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_check import _new, spoil

from handheld.engine import Model, compact, embed
from handheld.errors import InputError, ModelError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
CARDS = st.dictionaries(st.text(), JSON, max_size=5)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=CARDS, second=CARDS)
def test_what_is_embedded_is_read_back_and_replaced(fixtures, first, second):
    content = (fixtures / "tiny_add.tflite").read_bytes()
    once = embed(content, first)
    assert Model.load(once).card == first
    assert embed(once, second) == embed(content, second)
    assert once.endswith(content)


def test_the_model_is_otherwise_the_same(fixture_file):
    content = fixture_file.read_bytes()
    before, after = Model.load(content), Model.load(embed(content, {"labels": ["hand", "手"]}))
    for name in ("inputs", "outputs", "operators", "description", "version"):
        assert getattr(before, name) == getattr(after, name)
    inputs = [np.random.default_rng(0).random(i.shape).astype(i.dtype) for i in before.inputs]
    for one, other in zip(before.run(*inputs), after.run(*inputs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_readers_understand_the_file(fixtures):
    content = embed((fixtures / "tiny_palm.tflite").read_bytes(), {"task": "palm"})
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    entry = model.metadata[-1]
    assert entry.name == b"handheld"
    assert json.loads(bytes(model.buffers[entry.buffer].data)) == {"task": "palm"}
    assert (
        CompiledModel.from_buffer(content).get_num_signatures() == 1
    )  # this reader has FlatBuffers' own verifier


def test_other_entries_stay_and_an_older_card_of_other_make_goes(fixtures):
    def annotate(model, graph):
        for name, text in (("notes", b"kept"), ("handheld", b'{"old": 1}')):
            model.buffers.append(_new("Buffer", data=np.frombuffer(text, np.uint8)))
            model.metadata = [
                *(model.metadata or []),
                _new("Metadata", name=name, buffer=len(model.buffers) - 1),
            ]

    content = spoil((fixtures / "tiny_add.tflite").read_bytes(), annotate)
    assert Model.load(content).card == {"old": 1}
    model = Model.load(embed(content, {"new": 2}))
    assert model.metadata == {"notes": b"kept", "handheld": b'{"new": 2}'}


def test_weights_keep_their_alignment():
    content = zoo.models()["conv_2d"]()
    assert (len(embed(content, {"a": "b" * 13})) - len(content)) % 16 == 0


@pytest.mark.parametrize("card", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
def test_cards_that_are_no_json(fixtures, card):
    with pytest.raises(InputError, match="cannot be written as JSON"):
        embed((fixtures / "tiny_add.tflite").read_bytes(), card)


def test_embedding_in_a_stored_form_says_what_to_do(fixtures):
    with pytest.raises(ModelError, match="embed the card first"):
        embed(compact((fixtures / "tiny_add.tflite").read_bytes()), {})


def test_embedding_in_no_model():
    with pytest.raises(ModelError, match="identifier"):
        embed(bytes(64), {})


@pytest.mark.parametrize("text", [b"no json", b"[1]", b"\xff"])
def test_a_card_that_is_no_object_is_a_model_error(fixtures, text):
    def annotate(model, graph):
        model.buffers.append(_new("Buffer", data=np.frombuffer(text, np.uint8)))
        model.metadata = [_new("Metadata", name="handheld", buffer=len(model.buffers) - 1)]

    model = Model.load(spoil((fixtures / "tiny_add.tflite").read_bytes(), annotate))
    with pytest.raises(ModelError, match="'handheld'"):
        _ = model.card
