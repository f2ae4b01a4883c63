"""Models of picked n-grams: in numpy, compiled, and by the graph in their file."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handheld.engine import Model, embed
from handheld.errors import InputError, ModelError
from handheld.projection import TextClassifier
from handheld.projection.cards import reader_of
from handheld.projection.hidden import HiddenModel
from handheld.projection.inputs import BUCKETS, Picked
from handheld.projection.ngrams import NGrams
from handheld.projection.pooled import WORTH_COMPILING, PooledModel, PooledReader, has_numba

TEXTS = [
    "what is the time",
    "hello, how are you?",
    "",
    "the time of the time",
    "\U0001f602 ok",
    "good night " * 90,
    "\ud800",
]
NGRAMS = NGrams(bits=12)


def reader(length: int = 64) -> Picked:
    return Picked(NGRAMS, np.unique(NGRAMS.of(TEXTS).hashes)[::2].astype(np.intp), length)


def table(rng: np.random.Generator, rows: int, width: int, most: int) -> np.ndarray:
    levels = rng.integers(-most, most + 1, (rows + 1, width)).astype(np.int8)
    levels[-1] = 0
    return levels


def linear(bits: int = 4, width: int = 6, classes: int = 5) -> PooledModel:
    rng = np.random.default_rng(0)
    return PooledModel(
        table(rng, reader().rows, width, 7 if bits == 4 else 127),
        rng.integers(-127, 128, (classes, width)).astype(np.int8),
        rng.uniform(0.001, 0.01, classes).astype(np.float32),
        rng.normal(size=classes).astype(np.float32),
        bits,
    )


def hidden() -> HiddenModel:
    rng = np.random.default_rng(1)
    return HiddenModel(
        table(rng, reader().rows, 8, 7),
        rng.integers(-127, 128, (6, 8)).astype(np.int8),
        np.full(6, 0.01, np.float32),
        rng.normal(size=6).astype(np.float32),
        rng.integers(-127, 128, (5, 6)).astype(np.int8),
        np.full(5, 0.01, np.float32),
        rng.normal(size=5).astype(np.float32),
        np.array([0.5], np.float32),
    )


MODELS = [linear(4), linear(8, 3), linear(8, 1), hidden()]


CARD = {"labels": [f"label {number}" for number in range(5)], "output": "logits"}


def file_of(model: PooledModel | HiddenModel, picked: Picked) -> bytes:
    return embed(model.content(picked), {**CARD, "text": picked.card()})


def test_logits_are_the_sum_of_rows_over_the_root_of_their_number():
    picked = reader(1024)
    model = linear()
    numbers, _ = picked.flat(["what is the time"])
    rows = model.table[numbers].astype(float)
    expected = model.bias + model.scale * (rows.sum(axis=0) @ model.head.T.astype(float)) / np.sqrt(
        len(numbers)
    )
    assert np.allclose(
        PooledReader(model, picked).logits(["what is the time"])[0], expected, rtol=1e-6
    )


def test_a_hidden_layer_normalises_the_sum():
    picked = reader(1024)
    model = hidden()
    numbers, _ = picked.flat(["what is the time"])
    sums = model.table[numbers].astype(float).sum(axis=0)
    normal = (sums - sums.mean()) / np.sqrt(sums.var() + 0.5)
    inner = np.maximum(model.first.astype(float) @ normal * 0.01 + model.first_bias, 0)
    expected = model.last.astype(float) @ inner * 0.01 + model.last_bias
    assert np.allclose(
        PooledReader(model, picked).logits(["what is the time"])[0], expected, atol=0.05
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_files_graph_answers_the_same(model: PooledModel | HiddenModel):
    picked = reader()
    with Model.load(file_of(model, picked)) as opened:
        for text in TEXTS:
            by_graph = opened.run(picked.of([text]))[0][0]
            by_numpy = PooledReader(model, picked).logits([text])[0]
            assert np.allclose(by_graph, by_numpy, atol=0.05), text


@pytest.mark.skipif(not has_numba(), reason="needs numba")
@pytest.mark.parametrize("model", MODELS)
def test_compiled_or_not_alone_or_not_the_numbers_are_the_same(model: PooledModel | HiddenModel):
    plain = PooledReader(model, reader())
    expected = plain.logits(TEXTS)
    compiled = PooledReader(model, reader())
    many = compiled.logits(TEXTS * (WORTH_COMPILING // len(TEXTS) + 1))
    assert np.array_equal(many[: len(TEXTS)], expected)
    for number, text in enumerate(TEXTS):
        assert np.array_equal(compiled.logits([text])[0], expected[number])
        assert np.array_equal(plain.logits([text])[0], expected[number])


@pytest.mark.skipif(not has_numba(), reason="needs numba")
def test_where_rows_are_shared_all_ways_answer_the_same():
    whole = hidden()
    model = replace(whole, table=whole.table[-4:])
    picked = replace(reader(), shared_rows=3)
    with TextClassifier(Model.load(file_of(model, picked))) as classifier:
        expected = classifier.logits(TEXTS)
        compiled = classifier.logits(TEXTS * (WORTH_COMPILING // len(TEXTS) + 1))
        by_graph = np.concatenate([classifier.model.run(picked.of([text]))[0] for text in TEXTS])
    assert np.array_equal(compiled[: len(TEXTS)], expected)
    assert np.allclose(by_graph, expected, atol=0.05)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[3]])
def test_a_file_says_all_and_a_classifier_can_be_pickled(
    model: PooledModel | HiddenModel, tmp_path: Path
):
    (tmp_path / "m.tflite").write_bytes(file_of(model, reader()))
    with TextClassifier.open(tmp_path / "m.tflite") as classifier:
        expected = classifier.probabilities(TEXTS)
        with pickle.loads(pickle.dumps(classifier)) as copy:
            assert np.array_equal(copy.probabilities(TEXTS), expected)
    assert np.allclose(expected.sum(axis=1), 1, atol=1e-6)


def test_one_text_is_no_list_of_texts(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(file_of(MODELS[0], reader()))
    with TextClassifier.open(tmp_path / "m.tflite") as classifier:
        with pytest.raises(
            InputError, match=r"expected a list of texts, got one str: put it in a list"
        ):
            classifier.probabilities("a string")
        with pytest.raises(InputError, match="expected a text, got list"):
            classifier.classify(["a string"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the model is closed"):
        classifier.probabilities(["hi"])


def test_a_temperature_on_the_card_divides_the_logits(tmp_path: Path):
    content = file_of(MODELS[0], reader())
    with TextClassifier(Model.load(content)) as classifier:
        logits = classifier.logits(TEXTS)
        card = classifier.model.card
    with TextClassifier(Model.load(embed(content, {**card, "temperature": 2.0}))) as cooler:
        shares = cooler.probabilities(TEXTS)
    halved = np.exp(logits / 2)
    assert np.allclose(shares, halved / halved.sum(axis=1, keepdims=True), atol=1e-6)


def test_a_file_without_its_buckets_is_refused():
    picked = reader()
    card = json.loads(json.dumps(picked.card()))
    with pytest.raises(InputError, match=BUCKETS):
        reader_of(card, {})
    for rows in (0, picked.rows + 1):
        with pytest.raises(InputError, match=rf"text\.rows is {rows}"):
            reader_of({**card, "rows": rows}, {BUCKETS: picked.content()})
    assert reader_of(card, {BUCKETS: picked.content()}).card() == picked.card()


def test_n_grams_take_the_rows_in_turn():
    picked = replace(reader(), shared_rows=3)
    assert picked.rows == 3
    assert picked.row_of[picked.buckets].tolist() == [
        number % 3 for number in range(len(picked.buckets))
    ]
    assert (picked.row_of >= 0).sum() == len(picked.buckets)
    for rows in (0, len(picked.buckets) + 1):
        with pytest.raises(
            InputError, match=rf"^shared_rows: expected a whole number in \[1, .*got {rows}"
        ):
            replace(picked, shared_rows=rows)


def test_a_table_with_more_or_fewer_rows_than_the_card_says_is_refused():
    picked = reader()
    content = embed(linear().content(picked), {**CARD, "text": {**picked.card(), "rows": 3}})
    with pytest.raises(ModelError, match=f"its table has {picked.rows} rows, its card says 3"):
        TextClassifier(Model.load(content))


def test_a_file_without_a_table_is_refused():
    model = hidden()
    content = file_of(model, reader())
    with Model.load(content) as opened, pytest.raises(ModelError, match="no constant 'head'"):
        PooledModel.of(opened)


def test_a_table_without_a_row_of_zeros_is_refused():
    model = linear()
    with pytest.raises(InputError, match="not of zeros"):
        PooledModel(np.ones_like(model.table), model.head, model.scale, model.bias)
