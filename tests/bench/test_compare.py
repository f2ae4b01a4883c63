import sys
from dataclasses import replace

import numpy as np
import pytest

from handheld.bench import BenchProtocol, compare
from handheld.bench.compare import _interval, _ratio
from handheld.errors import InputError

# The function has the module's name.
compare_module = sys.modules["handheld.bench.compare"]
SHORT = BenchProtocol(min_queries=20, min_seconds=0)


def test_files_that_are_alike_have_no_ratio(tmp_path, make_classifier, quiet):
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    for path in paths:
        path.write_bytes(make_classifier())
    comparison = compare(paths, protocol=SHORT, tools=quiet(2.0).tools)
    assert [model.name for model in comparison.models] == ["a", "b"]
    assert [model.ratio for model in comparison.models] == [None, None]
    assert comparison.noise == 0.0
    assert comparison.rounds == 22
    assert comparison.valid


def test_a_difference_that_is_larger_than_the_noise_has_a_ratio():
    rng = np.random.default_rng(0)
    first = 1 + 0.02 * rng.standard_normal(200)
    slower = 1.4 * (1 + 0.02 * rng.standard_normal(200))
    interval = _interval(slower, first, 0)
    assert _ratio(slower, first, interval, 0.01) == pytest.approx(1.4, abs=0.02)
    assert interval[0] < 1.4 < interval[1]
    faster = _interval(first, slower, 0)
    assert _ratio(first, slower, faster, 0.01) == pytest.approx(1 / 1.4, abs=0.02)


@pytest.mark.parametrize(("factor", "floor"), [(1.0, 0.0), (1.02, 0.05), (0.98, 0.05)])
def test_a_difference_that_may_be_noise_has_none(factor, floor):
    rng = np.random.default_rng(1)
    first = 1 + 0.05 * rng.standard_normal(200)
    other = factor * (1 + 0.05 * rng.standard_normal(200))
    assert _ratio(other, first, _interval(other, first, 0), floor) is None


class DisturbedMachine:
    """A machine on which the models' times are told apart, and others use the core."""

    def __init__(self, quiet, others):
        self.machine = quiet(1.0)
        self.others = others

    @property
    def tools(self):
        return replace(self.machine.tools, snapshot=self.snapshot)

    def snapshot(self, core):
        taken = self.machine.snapshot(core)
        return replace(taken, core_busy=taken.seconds * (1 + self.others))


@pytest.mark.parametrize(("others", "ratio"), [(0.0, 1.4), (0.5, None)])
def test_no_ratio_rests_on_a_run_that_is_invalid(
    tmp_path, make_classifier, quiet, monkeypatch, others, ratio
):
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    for path in paths:
        path.write_bytes(make_classifier())
    monkeypatch.setattr(compare_module, "_ratio", lambda *_arguments: 1.4)
    comparison = compare(paths, protocol=SHORT, tools=DisturbedMachine(quiet, others).tools)
    assert comparison.valid is (others == 0.0)
    assert [model.ratio for model in comparison.models] == [None, ratio]


def test_one_model_has_nothing_beside_it(model_file):
    with pytest.raises(InputError, match="expected two models or more, got 1"):
        compare([model_file])


def test_files_of_one_name_are_told_apart(tmp_path, make_classifier, quiet):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "m.tflite")
        paths[-1].write_bytes(make_classifier())
    names = [
        model.name
        for model in compare([*paths, paths[0]], protocol=SHORT, tools=quiet(1.0).tools).models
    ]
    assert names == [str(paths[0]), str(paths[1]), f"{paths[0]} (2)"]
