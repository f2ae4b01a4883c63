import numpy as np
import pytest

from handheld.bench import BenchProtocol, compare
from handheld.bench.compare import _interval, _ratio
from handheld.errors import InputError

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
