"""Chebyshev's steps, beside his polynomials."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from handheld.propagation.momentum import ChebyshevMomentum


def polynomial(degree: int, where: float) -> float:
    return float(chebyshev.chebval(where, [0] * degree + [1]))


@pytest.mark.parametrize("eigenvalue", [-0.9, -0.2, 0.5, 0.9])
def test_errors_shrink_as_the_polynomials_say(eigenvalue: float):
    """The error of an eigenvalue is T_k(eigenvalue / radius) / T_k(1 / radius) after k sweeps."""
    momentum = ChebyshevMomentum(0.9, 0.99)
    before, now = 1.0, 1.0
    for degree in range(1, 8):
        after = before + momentum.omega() * (eigenvalue * now - before)
        momentum.hear(abs((eigenvalue - 1) * now))
        before, now = now, after
        assert now == pytest.approx(
            polynomial(degree, eigenvalue / 0.9) / polynomial(degree, 1 / 0.9)
        )


def sweeps_until_still(eigenvalues: np.ndarray, radius: float) -> int:
    momentum = ChebyshevMomentum(radius, 0.99999)
    before = now = np.ones(len(eigenvalues), eigenvalues.dtype)
    for sweep in range(1, 20_000):
        change = eigenvalues * now - now
        if abs(change).max() < 1e-9:
            return sweep
        after = before + momentum.omega() * (eigenvalues * now - before)
        momentum.hear(float(abs(change).max()))
        before, now = now, after
    raise AssertionError("it never came to rest")


def test_a_radius_that_is_too_low_is_raised():
    eigenvalues = np.linspace(-0.9995, 0.9995, 200)
    known = sweeps_until_still(eigenvalues, 0.9995)
    assert known < 800  # plain sweeps need 41,000
    for radius in (0.3, 0.9, 0.99):
        assert sweeps_until_still(eigenvalues, radius) < 2 * known


def test_eigenvalues_on_a_circle_are_survived():
    circle = 0.98 * np.exp(2j * np.pi * np.arange(50) / 50)
    assert sweeps_until_still(circle, 0.98) < 2500


def test_without_a_radius_sweeps_are_plain():
    momentum = ChebyshevMomentum(0.0, 0.5)
    for change in (1.0, 0.5, 0.25):
        assert momentum.omega() == 1.0
        momentum.hear(change)
