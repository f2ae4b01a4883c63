import math

import pytest

from handheld.bench import BenchProtocol, ParetoCurve, fit_pareto
from handheld.bench.protocol import wall_time
from handheld.errors import InputError


def test_the_challenges_wall_time():
    # "20,000 images x 30 ms": ten minutes
    assert wall_time(20_000, 0.030) == 600.0


def test_the_curve_through_two_models_is_the_line_through_them():
    # 40 % in 1 ms, 60 % in e ms: slope 0.2, offset 0.4
    curve = fit_pareto([(0.001, 0.4), (0.001 * math.e, 0.6)])
    assert (curve.slope, curve.offset) == pytest.approx((0.2, 0.4))
    assert curve.at(0.001 * math.e**2) == pytest.approx(0.8)
    assert curve.gain(0.9, 0.001 * math.e**2) == pytest.approx(0.1)


def test_a_model_that_another_beats_does_not_move_it():
    results = [(0.001, 0.4), (0.001 * math.e, 0.6)]
    assert fit_pareto([*results, (0.001 * math.e, 0.1), (0.5, 0.59)]) == fit_pareto(results)


def test_by_the_sums_of_least_squares():
    # Three unbeaten models, u = log t: slope = cov(u, a) / var(u), written out.
    results = [(0.002, 0.5), (0.008, 0.61), (0.032, 0.66)]
    logs = [math.log(seconds * 1e3) for seconds, _ in results]
    shares = [share for _, share in results]
    u = sum(logs) / 3
    a = sum(shares) / 3
    products = sum((x - u) * (y - a) for x, y in zip(logs, shares, strict=True))
    slope = products / sum((x - u) ** 2 for x in logs)
    curve = fit_pareto(results)
    assert curve.slope == pytest.approx(slope)
    assert curve.offset == pytest.approx(a - slope * u)


@pytest.mark.parametrize("results", [[], [(0.01, 0.5)], [(0.01, 0.5), (0.02, 0.4)]])
def test_there_is_no_line_through_one_model(results):
    assert fit_pareto(results) is None


def test_nobody_is_measured_against_more_than_all_right():
    curve = ParetoCurve(slope=1.0, offset=0.0)
    assert curve.at(1.0) == 1.0
    assert curve.at(1e-6) == 0.0


@pytest.mark.parametrize(
    ("budgets", "message"),
    [((), "budgets: expected one number or more"), ((0.0,), r"budgets\[0\]"), ((1, -1), r"\[1\]")],
)
def test_budgets_that_are_none(budgets, message):
    with pytest.raises(InputError, match=message):
        BenchProtocol(budgets=budgets)
