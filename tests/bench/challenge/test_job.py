"""A measurement, in this process; the model itself runs in one of its own."""

import hashlib
import json
import multiprocessing
import os
import time

import numpy as np
import pytest
from structures import Builder, branches, custom, loop, mfcc, nested, variable

from handheld.bench.challenge.files import ModelFiles
from handheld.bench.challenge.job import (
    RESULT_FILE,
    _snapshot_with_children,
    measure_submission,
)
from handheld.errors import HandheldError, ModelError


@pytest.fixture
def measure(challenge, tmp_path):
    """Measure a file as a job does; return what came out."""

    def run(content, data="public", **changes):
        folder = tmp_path / "job"
        for name in ("work", "result"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "sent.tflite"
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        ModelFiles(tmp_path / "models").put(path, digest)
        spec = {
            "challenge": str(challenge.root),
            "files": str(tmp_path / "models"),
            "sha256": digest,
            "data": data,
            "device": "reference",
        }
        measure_submission(folder, spec | changes, lambda _fraction, _message: None)
        return json.loads((folder / "result" / RESULT_FILE).read_text())

    return run


def test_the_sample_family_is_measured(measure, sample):
    """A float network and two of int8, made for other stripes."""
    results = {name: measure(sample(f"family_{name}")) for name in ("teacher", "nested", "plain")}
    assert results["teacher"]["accuracy"] > 0.98
    assert results["nested"]["accuracy"] > 0.97
    assert 0.6 < results["plain"]["accuracy"] < 0.9
    types = {
        name: json.loads(values["result"])["model"]["precision"] for name, values in results.items()
    }
    assert types["teacher"] == "float32"
    assert types["nested"] == types["plain"] == "int8"


def test_samples_are_told_apart(measure, sample):
    linear = measure(sample("linear"))
    assert linear["accuracy"] > 0.8
    assert (linear["reached"], linear["examples"]) == (200, 200)
    assert linear["score"] == linear["accuracy"]
    blind = measure(sample("blind"))
    assert blind["accuracy"] == 0.25, "a class of four, always the same"
    # some milliseconds each, with 2 ms for each: how many are reached depends on the machine
    slow = measure(sample("slow"))
    assert slow["accuracy"] == linear["accuracy"]
    assert slow["score"] <= linear["score"]
    # what was not reached counts as wrong, and a fast machine may reach all of it
    assert (slow["score"] < slow["accuracy"]) == (slow["reached"] < 200)


def test_no_copy_of_the_model_remains(measure, sample, tmp_path):
    measure(sample("blind"))
    assert list((tmp_path / "job" / "work").iterdir()) == []
    with pytest.raises(ModelError):
        measure(b"no model at all")
    assert list((tmp_path / "job" / "work").iterdir()) == []


def test_the_hidden_part_is_another_one(measure, sample, challenge):
    public = json.loads(measure(sample("linear"))["result"])
    hidden = json.loads(measure(sample("linear"), data="hidden")["result"])
    assert public["data_digest"] == challenge.data("public").digest
    assert hidden["data_digest"] == challenge.data("hidden").digest


def test_nothing_of_the_server_is_in_a_result(measure, sample, challenge):
    text = json.dumps(measure(sample("linear")))
    assert str(challenge.root.parent) not in text


def picture_model(add):
    """A model of a picture (1, 16, 16, 3) whose four scores ``add`` makes."""
    builder = Builder()
    picture = builder.input((1, 16, 16, 3))
    builder.output(add(builder, picture))
    return builder


def scores_of(builder, picture, classes=4):
    row = builder.op("RESHAPE", [picture, builder.constant([1, 768])], (1, 768))
    weights = builder.constant(np.zeros((classes, 768)), 0)
    return builder.op("FULLY_CONNECTED", [row, weights, -1], (1, classes))


def endless():
    """A model that takes part in all ways but one: it never ends."""
    from structures import BOOL, FLOAT, INT, operator

    builder = picture_model(scores_of)
    scores = builder.sub.outputs.pop()
    count = builder.constant(0, INT)
    node = operator(builder.model, "WHILE")
    node.inputs = [count, scores]
    node.outputs = [builder.tensor((), INT), builder.tensor((1, 4))]
    node.builtinOptions.condSubgraphIndex, node.builtinOptions.bodySubgraphIndex = 1, 2
    builder.sub.operators.append(node)
    builder.output(node.outputs[1])
    builder.graph()
    count, scores = builder.input((), INT), builder.input((1, 4))
    builder.output(builder.op("EQUAL", [count, count], (), BOOL))
    builder.graph()
    count, scores = builder.input((), INT), builder.input((1, 4))
    step = builder.op("ADD", [count, builder.constant(1)], (), INT)
    builder.output(step, builder.op("ADD", [scores, builder.constant(1, FLOAT)], (1, 4)))
    return builder.finish()


def huge():
    """A model whose file is small and whose tensors take 40 GB."""

    def add(builder, picture):
        side = 100_000
        wide = builder.op("RESHAPE", [picture, builder.constant([768, 1])], (768, 1))
        tall = builder.op("TILE", [wide, builder.constant([1, 13 * side])], (768, 13 * side))
        flat = builder.op("MEAN", [tall, builder.constant([0, 1])], (), keepDims=False)
        spread = builder.op("RESHAPE", [flat, builder.constant([1, 1])], (1, 1))
        return builder.op("TILE", [spread, builder.constant([1, 4])], (1, 4))

    return picture_model(add).finish()


def not_a_number():
    def add(builder, picture):
        scores = scores_of(builder, picture)
        return builder.op("DIV", [scores, scores], (1, 4))

    return picture_model(add).finish()


def wrong_classes():
    return picture_model(lambda builder, picture: scores_of(builder, picture, 7)).finish()


HOSTILE = {
    "empty": b"",
    "text": b"hello, world" * 100,
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "identifier alone": b"\x1c\0\0\0TFL3" + bytes(40),
    "zip": b"PK\x03\x04" + bytes(100),
    "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "branches of other types": branches(dtypes=(0, 4)),
    "branches of other shapes": branches(shapes=((4,), (400,))),
    "variable larger than assigned": variable(read=(4000,)),
    "variable of 400 MB": variable(read=(10**8,)),
    "Mfcc without options": mfcc(None),
    "operator that nobody knows": custom("Nonsense", None, [((4,),)], [((4,),)]),
    "loop without a picture": loop(endless=True),
    "3000 branches in branches": nested(3000),
    "tensors of 40 GB": huge(),
    "no number comes out": not_a_number(),
    "other classes": wrong_classes(),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_words(measure, content, tmp_path):
    with pytest.raises(HandheldError) as caught:
        measure(content)
    words = str(caught.value)
    assert 10 < len(words) < 2000
    assert str(tmp_path) not in words, "the server's paths are nobody's business"


@pytest.fixture(params=["bubblewrap", "limits alone"])
def held(request, monkeypatch):
    """What holds models: as installed here, or as where bubblewrap is not."""
    if request.param == "limits alone":
        monkeypatch.setattr("handheld.engine._sandbox.bubblewrap", lambda: "")
    return request.param


@pytest.mark.usefixtures("held")
def test_a_model_is_measured_with_and_without_bubblewrap(measure, sample):
    assert measure(sample("linear"))["accuracy"] > 0.8


@pytest.mark.usefixtures("held")
def test_a_model_without_an_end_is_ended(measure, challenge, with_rules):
    with_rules(challenge, run_seconds=1)
    with pytest.raises(ModelError, match="took longer than 1 s and was stopped"):
        measure(endless())


@pytest.mark.parametrize("position", range(0, 12_000, 1500))
def test_a_file_that_is_cut_short_is_refused(measure, sample, position):
    with pytest.raises(HandheldError):
        measure(sample("linear")[:position])


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bits_are_refused_or_measured(measure, sample, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(sample("linear"))
    for position in rng.integers(0, len(content), 8):
        content[position] ^= 1 << int(rng.integers(8))
    try:
        outcome = measure(bytes(content))
    except HandheldError:
        return
    assert 0 <= outcome["accuracy"] <= 1


def test_a_file_that_is_larger_than_the_rules_allow(measure, challenge, sample, with_rules):
    with_rules(challenge, model_bytes=1000)
    with pytest.raises(ModelError, match="at most 1,000 are allowed"):
        measure(sample("linear"))


def test_turns_of_a_model_s_own_process_are_no_stranger_s(measure, sample):
    conditions = json.loads(measure(sample("linear"))["result"])["conditions"]
    assert (conditions["preemptions"], conditions["pressure"]) == (None, None)
    # a share, of the time that is left when the model's own is taken off
    assert 0 <= conditions["core_others"] <= 1


def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_time_of_a_model_s_own_process_is_no_stranger_s():
    before = _snapshot_with_children(0).own_cpu
    own = time.process_time()
    worker = multiprocessing.get_context("spawn").Process(target=busy, args=(0.5,))
    worker.start()
    while worker.is_alive():
        grown = _snapshot_with_children(0).own_cpu - before - (time.process_time() - own)
        if grown >= 0.3:
            break
        os.sched_yield()
    worker.join()
    assert grown >= 0.3
