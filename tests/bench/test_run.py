import json
import math
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from handheld.bench import BenchProtocol, ClassificationTask, bench
from handheld.bench.memory import peak_memory
from handheld.bench.run import BenchTools
from handheld.data import Dataset
from handheld.engine.measure import last_core
from handheld.errors import InputError, ModelError

SHORT = BenchProtocol(min_queries=20, min_seconds=0, budgets=(1.0,))


def colours(count=12):
    labels = np.arange(count) % 3
    pictures = np.zeros((count, 2, 2, 3), np.uint8)
    pictures[np.arange(count), 0, 0, labels] = 255
    return ClassificationTask.of(Dataset(pictures, labels, ("red", "green", "blue")))


def test_figures_of_a_run_by_hand(model_file, quiet):
    # opening takes a call of the clock; the harness warms up with six calls, then counts
    machine = quiet(50.0, 9.0, 5.0, *[2.0] * 100)
    result = bench(model_file, colours(), protocol=SHORT, tools=machine.tools)
    latency = result.latency
    assert latency.open == 50.0
    assert latency.first == 9.0
    assert (latency.warmup_calls, latency.warmup_seconds) == (2, 14.0)
    assert (latency.p50.value, latency.p99.value, latency.mean) == (2.0, 2.0, 2.0)
    # 20 and a reserve of a tenth, which is not cut off as the warm-up was short
    assert (latency.calls, latency.seconds) == (22, 44.0)
    assert result.verdict.valid
    assert (result.accuracy.value, result.examples, result.metric) == (1.0, 12, "accuracy")


def test_the_budget_counts_the_first_round_of_the_examples(model_file, quiet):
    # 12 examples x 1 s: the first is free, six of 2 s are reached
    result = bench(model_file, colours(), protocol=SHORT, tools=quiet(2.0).tools)
    (score,) = result.scores
    assert (score.reached, score.examples) == (7, 12)
    assert score.score.value == 7 / 12
    assert result.accuracy.value == 1.0


def test_several_budgets(model_file, quiet):
    protocol = replace(SHORT, budgets=(1.0, 2.0))
    result = bench(model_file, colours(), protocol=protocol, tools=quiet(2.0).tools)
    assert [score.reached for score in result.scores] == [7, 12]


def test_the_file_says_what_it_is(model_file, quiet):
    result = bench(model_file, protocol=SHORT, tools=quiet(2.0).tools, name="mine")
    model = result.model
    # 12 inputs, 3 outputs
    assert (model.name, model.macs, model.parameters) == ("mine", 36, 39)
    assert model.bytes == model_file.stat().st_size
    assert model.operators == {"RESHAPE": 1, "FULLY_CONNECTED": 1}
    assert model.precision == "float32"
    assert result.accuracy is None
    assert result.scores == ()


def test_a_model_of_another_task_is_refused_or_timed(model_file, quiet):
    data = Dataset(np.zeros((4, 2, 2, 3), np.uint8), np.arange(4), tuple("abcd"))
    task = ClassificationTask.of(data)
    with pytest.raises(ModelError, match="3 scores come out, for 4 classes"):
        bench(model_file, task, protocol=SHORT, tools=quiet(2.0).tools)
    result = bench(model_file, task, protocol=SHORT, tools=quiet(2.0).tools, strict=False)
    assert "3 scores come out" in result.refusal
    assert result.accuracy is None
    assert result.latency.calls == 22


def test_other_load_makes_it_invalid(model_file, quiet):
    class Busy(quiet):
        def snapshot(self, core):
            made = super().snapshot(core)
            # a machine on which another process takes as much as we do
            return replace(made, core_busy=2 * self.now, all_busy=3 * self.now)

    result = bench(model_file, protocol=SHORT, tools=Busy(2.0).tools)
    assert not result.verdict.valid
    assert any("others used 100% of its core" in reason for reason in result.verdict.reasons)


def test_it_can_be_run_on_real_clocks(model_file):
    protocol = BenchProtocol(min_queries=20, min_seconds=0)
    result = bench(model_file, colours(), protocol=protocol, tools=BenchTools())
    assert result.latency.p50.value > 0
    assert result.core == last_core()
    assert result.accuracy.value == 1.0
    values = json.loads(json.dumps(result.to_json()))
    assert values["model"]["name"] == "tiny"
    assert values["verdict"]["valid"] is result.verdict.valid
    assert values["machine"]["handheld"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin threads")
def test_a_core_that_is_not_there(model_file):
    with pytest.raises(InputError, match="core 4000 cannot be used"):
        bench(model_file, protocol=replace(SHORT, core=4000))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_that_of_a_process_of_its_own(model_file):
    memory = peak_memory(model_file)
    # what numpy and LiteRT take, and less than a run of the whole package would
    assert 10 << 20 < memory.process < 1 << 30
    assert 0 <= memory.model < memory.process


def test_memory_of_what_is_no_model(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"nothing")
    assert peak_memory(tmp_path / "a.tflite") is None


def test_energy_of_a_call(model_file, quiet):
    class Metered(quiet):
        def snapshot(self, core):
            # one and a half joules a second
            return replace(super().snapshot(core), joules=(self.now, self.now / 2))

    result = bench(model_file, protocol=SHORT, tools=Metered(2.0).tools)
    assert result.joules == pytest.approx(3.0)
    assert math.isfinite(result.conditions.joules)


def test_many_threads_keep_to_no_core(model_file, quiet):
    result = bench(model_file, protocol=replace(SHORT, threads=2), tools=quiet(2.0).tools)
    assert result.core is None
    assert any("no thread to a core" in note for note in result.verdict.notes)


def test_a_model_that_fails_when_it_runs(tmp_path, make_graph, quiet):
    # noise asks for rows that a table of one row has not
    graph = make_graph("gather")
    rows = graph.tensor("rows", (64,), "int32")
    table = graph.constant("table", np.ones((1, 4), np.float32))
    out = graph.tensor("out", (64, 4))
    graph.op("GATHER", [table, rows], out, "GatherOptions", axis=0)
    path = tmp_path / "gather.tflite"
    path.write_bytes(bytes(graph.finish([rows], [out])))
    with pytest.raises(ModelError, match=r"gather\.tflite: the runtime failed"):
        bench(path, protocol=SHORT, tools=quiet(2.0).tools)
