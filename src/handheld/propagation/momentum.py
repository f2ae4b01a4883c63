"""How far each sweep goes: Chebyshev's semi-iteration, which adapts to what it sees.

Golub and Varga, "Chebyshev semi-iterative methods" (Numerische Mathematik 3, 1961); the estimate of
the spectral radius is raised as in Hageman and Young, "Applied Iterative Methods" (1981, chapter
5). Plain sweeps need a number that grows with 1 / (1 - radius), these with its square root. Only
the largest change of a sweep is looked at, so that all threads and workers together do the same.
"""

import math

# Sweeps before an estimate is judged: the first changes of a cycle say little.
_PATIENCE = 8
# Log of the factor by then: an estimate from less overshot, which costs more sweeps.
_PROMISE = 1.5
# Hageman and Young's F, 0.65 to 0.85 in their tests.
_DAMPING = 0.7
# Of changes, from which on sweeps diverge; while they converge they may grow tenfold.
_GROWTH = 30
# Log of a promise which, where a higher radius would not help, no real eigenvalue breaks.
_BROKEN = 6
# To 0.8 of the radius each, before sweeps become plain, which always converge.
_RETREATS = 3
_RETREAT = 0.8
# How much nearer to 1 a new estimate has to be: a restart costs some sweeps.
_WORTH = 0.9
# Logs from which on exp() is so large that acosh(x) is log(2 x) to the last bit.
_LARGE = 20


class ChebyshevMomentum:
    """Says how far the next sweep goes.

    With a radius below the true one sweeps converge, but slower; with eigenvalues that are not
    real (of directed graphs) they may diverge, and the radius is lowered. At 0 sweeps are plain.

    Args:
        radius: estimate of the spectral radius of plain sweeps, [0, 1).
        highest: bound of the radius, [0, 1).
    """

    def __init__(self, radius: float, highest: float):
        self._radius = min(radius, highest)
        self._highest = highest
        self._retreats = 0
        self._restart()

    def _restart(self) -> None:
        self._steps = 0
        self._omega = 1.0
        self._first = 0.0

    def omega(self) -> float:
        """Return how far the next sweep goes from the masses before the last ones."""
        if self._steps == 0:
            self._omega = 1.0
        elif self._steps == 1:
            self._omega = 1 / (1 - self._radius**2 / 2)
        else:
            self._omega = 1 / (1 - self._radius**2 * self._omega / 4)
        return self._omega

    def hear(self, change: float) -> None:
        """Learn the largest change that a plain sweep would have made where the last one began."""
        if self._steps == 0:
            self._first = change
        elif change > _GROWTH * self._first:
            self._lower()
            return
        elif self._steps >= _PATIENCE and self._radius > 0 and change > 0:
            self._judge(math.log(change / self._first))
            return
        self._steps += 1

    def _judge(self, log_ratio: float) -> None:
        """Choose another radius if changes fall much more slowly than this one promises."""
        angle = math.acosh(1 / self._radius) * self._steps
        # log of Chebyshev's polynomial at 1 / radius, the factor by which changes should fall
        promised = angle + math.log1p(math.exp(-2 * angle)) - math.log(2)
        if promised >= _PROMISE and log_ratio > -_DAMPING * promised:
            seen = _acosh_exp(log_ratio + promised)
            radius = min(self._radius * math.cosh(seen / self._steps), self._highest)
            if 1 - radius < _WORTH * (1 - self._radius):
                self._radius = radius
                self._restart()
                return
            if promised > _BROKEN and log_ratio > -promised / 4:
                self._lower()
                return
        self._steps += 1

    def _lower(self) -> None:
        self._retreats += 1
        if self._retreats <= _RETREATS:
            self._radius *= _RETREAT
        else:
            self._radius = 0.0
        # no higher again: what diverged once would do so again
        self._highest = self._radius
        self._restart()


def _acosh_exp(log: float) -> float:
    """Return acosh(exp(log)), 0 for logs below 0, also where exp would overflow."""
    if log > _LARGE:
        return log + math.log(2)
    return math.acosh(max(1.0, math.exp(log)))
