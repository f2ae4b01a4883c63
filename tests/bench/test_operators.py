"""Time by operator."""

import numpy as np
import pytest

from handheld.bench import bench, operators
from handheld.bench.operators import OperatorTime, OperatorTimes, operator_times
from handheld.bench.run import BenchTools
from handheld.engine import Model
from handheld.errors import InputError, ModelError


def test_every_operator_has_its_row(fixtures_folder):
    path = fixtures_folder / "tiny_palm.tflite"
    times = operator_times(path, rounds=3)
    with Model.open(path) as model:
        assert tuple(operator.name for operator in times.operators) == model.operators
    assert [operator.number for operator in times.operators] == list(range(len(times.operators)))
    assert all(operator.seconds is None or operator.seconds > 0 for operator in times.operators)
    assert any(operator.output.startswith("[1, ") for operator in times.operators)
    assert times.model > 0


def test_shares_and_sums_by_name():
    rows = [("CONV_2D", 0.002), ("ADD", 0.001), ("CONV_2D", 0.003), ("IF", None)]
    operators = tuple(
        OperatorTime(number=number, name=name, output="", seconds=seconds)
        for number, (name, seconds) in enumerate(rows)
    )
    times = OperatorTimes(operators=operators, model=0.005)
    assert times.covered == pytest.approx(1.2)
    assert times.by_name() == pytest.approx({"CONV_2D": 0.005, "ADD": 0.001, "IF": 0.0})
    assert list(times.by_name()) == ["CONV_2D", "ADD", "IF"]


def test_wrong_input_is_told(fixtures_folder, tmp_path):
    with pytest.raises(InputError, match="rounds"):
        operator_times(fixtures_folder / "tiny_add.tflite", rounds=0)
    (tmp_path / "none.tflite").write_bytes(np.arange(9, dtype=np.uint8).tobytes())
    with pytest.raises(ModelError):
        operator_times(tmp_path / "none.tflite")


def test_a_run_tells_them(model_file):
    result = bench(model_file)
    assert result.operator_seconds is not None
    with Model.open(model_file) as model:
        assert set(result.operator_seconds) <= set(model.operators)
    seconds = list(result.operator_seconds.values())
    assert seconds == sorted(seconds, reverse=True)
    assert min(seconds) > 0


def test_what_runs_apart_is_not_taken_apart_here(model_file):
    def refused(path, threads, core):
        raise AssertionError("it ran here")

    result = bench(model_file, isolated=True, tools=BenchTools(operators=refused))
    assert result.operator_seconds is None


def test_operators_beyond_the_memory_take_turns_in_groups(fixtures_folder, monkeypatch):
    """All were open at once: 4 GB of a file of 10 MB whose operators share a constant."""
    path = fixtures_folder / "tiny_palm.tflite"
    together = operator_times(path, rounds=2)
    still_open = set()
    load = Model.load
    close = Model.close

    def counted(content, **options):
        assert len(still_open) <= 1, "the whole model is open too"
        single = load(content, **options)
        still_open.add(single)
        return single

    def closed(single):
        still_open.discard(single)
        close(single)

    monkeypatch.setattr(Model, "close", closed)
    monkeypatch.setattr(operators, "_MOST_OPEN", 1)
    monkeypatch.setattr(Model, "load", counted)
    apart = operator_times(path, rounds=2)
    assert apart.model > 0
    for one, other in zip(apart.operators, together.operators, strict=True):
        assert (one.number, one.name, one.output) == (other.number, other.name, other.output)
        assert (one.seconds is None) == (other.seconds is None)
