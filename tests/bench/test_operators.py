"""Time by operator."""

import numpy as np
import pytest

from handheld.bench.operators import OperatorTime, OperatorTimes, operator_times
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
