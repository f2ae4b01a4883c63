"""The stored form of a model."""

import lzma

import numpy as np
import pytest
import zoo

from handheld.engine import Model, compact, embed
from handheld.engine._packed import unpacked
from handheld.errors import ModelError


@pytest.fixture
def content(fixtures):
    return embed((fixtures / "tiny_palm.tflite").read_bytes(), {"labels": ["hand"]})


def test_it_opens_like_the_file_whatever_its_name(content, tmp_path):
    (tmp_path / "model").write_bytes(compact(content))
    picture = np.random.default_rng(0).random((1, 192, 192, 3), np.float32)
    with Model.open(tmp_path / "model") as model, Model.load(content) as plain:
        assert (model.card, model.sha256, model.size) == (
            {"labels": ["hand"]},
            plain.sha256,
            len(content),
        )
        for one, other in zip(model.run(picture), plain.run(picture), strict=True):
            np.testing.assert_array_equal(one, other)


def test_equal_files_give_equal_bytes(content):
    packed = compact(content)
    assert packed == compact(content) == compact(packed)
    assert unpacked(packed, "x") == content


def test_sparse_weights_take_little_room():
    rng = np.random.default_rng(0)
    dense = np.round(rng.normal(0, 30, (128, 3, 3, 64))).clip(-127, 127).astype(np.float32)
    threshold = np.quantile(np.abs(dense), 0.8)
    sizes = []
    for weights in (dense, np.where(np.abs(dense) > threshold, dense, 0)):
        entry = (
            "CONV_2D",
            [(1, 6, 6, 64), weights.astype(np.int8), None],
            [(1, 6, 6, 128)],
            "Conv2DOptions",
            zoo.CONV,
        )
        sizes.append((len(file := make_int8(entry)), len(compact(file))))
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] < 0.45 * sizes[1][0]
    assert sizes[1][1] < 0.45 * sizes[0][1]


def make_int8(entry):
    graph = zoo.fixtures_module().Graph("conv")
    kind = {"dtype": "int8", "scale": [0.05], "zero_point": [0]}
    op, (shape, weights, _), (out,), options, values = entry
    source, result = graph.tensor("in", shape, **kind), graph.tensor("out", out, **kind)
    graph.op(
        op, [source, graph.constant("weights", weights, **kind), -1], result, options, **values
    )
    graph.model.operatorCodes[0].version = 3
    return bytes(graph.finish([source], [result]))


def test_every_cut_is_refused(content):
    packed = compact(content)
    for length in range(0, len(packed), 5):
        with pytest.raises(ModelError):
            Model.load(packed[:length])
    with pytest.raises(ModelError, match="cut short"):
        Model.load(packed[:-20])


def test_damage_is_refused(content):
    packed = compact(content)
    for at in range(6, len(packed), 7):
        with pytest.raises(ModelError):
            Model.load(packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :])


def test_a_bomb_is_refused():
    bomb = lzma.compress(bytes(1 << 24))
    assert len(bomb) < 4000
    with pytest.raises(ModelError, match="unpacks to more than the 1048576 bytes"):
        Model.load(bomb, unpack_limit=1 << 20)


def test_a_window_that_would_take_the_machine_s_memory_is_refused(content):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    with pytest.raises(ModelError, match="cannot be unpacked"):
        Model.load(lzma.compress(content, filters=filters))


def test_what_follows_is_refused(content):
    with pytest.raises(ModelError, match="4 bytes behind its end"):
        Model.load(compact(content) + bytes(4))


def test_a_limit_is_met_exactly(content):
    assert unpacked(compact(content), "x", len(content)) == content
    with pytest.raises(ModelError, match="unpacks to more"):
        unpacked(compact(content), "x", len(content) - 1)


@pytest.mark.parametrize("wrong", [b"", bytes(64), lzma.compress(b"no model")])
def test_only_models_are_compacted(wrong):
    with pytest.raises(ModelError, match="the model to compact"):
        compact(wrong)
