"""How far each sweep goes: Chebyshev's semi-iteration, which adapts to what it sees.

Golub and Varga, "Chebyshev semi-iterative methods" (Numerische Mathematik 3, 1961); the estimate of
the spectral radius is raised as in Hageman and Young, "Applied Iterative Methods" (1981), chapter 5.
Plain sweeps need a number that grows with 1 / (1 - radius), these with its square root. Only the
largest change of a sweep is looked at, so that all threads and workers together do the same.
"""

import math

_PATIENCE = 8  # sweeps before an estimate is judged: the first changes of a cycle say little
_DAMPING = 0.7  # Hageman and Young's F, 0.65 to 0.85 in their tests
_GROWTH = 1e3  # of changes, from which on sweeps diverge; while they converge they may grow tenfold


class Momentum:
    """Says how far the next sweep goes.

    With a radius below the true one sweeps converge, but slower; with eigenvalues that are not
    real (of directed graphs) they may diverge, and the radius is halved. At 0 sweeps are plain.

    Args:
        radius: estimate of the spectral radius of plain sweeps, [0, 1).
        highest: bound of the radius, [0, 1).
    """

    def __init__(self, radius: float, highest: float):
        self._radius = min(radius, highest)
        self._highest = highest
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
            self._highest = self._radius = self._radius / 2
            self._restart()
            return
        elif self._steps >= _PATIENCE and self._radius > 0 and self._raise(change / self._first):
            self._restart()
            return
        self._steps += 1

    def _raise(self, ratio: float) -> bool:
        """Raise the radius if changes fall much more slowly than it promises; return whether."""
        angle = math.acosh(1 / self._radius) * self._steps
        # log of Chebyshev's polynomial at 1 / radius, the factor by which changes should fall
        promised = angle + math.log1p(math.exp(-2 * angle)) - math.log(2)
        if ratio <= 0 or math.log(ratio) < -_DAMPING * promised + math.log(1.5):
            return False
        seen = max(0.0, math.log(ratio) + promised + math.log(2))  # about acosh, where it is large
        radius = min(self._radius * math.cosh(seen / self._steps), self._highest)
        # a restart costs some sweeps: not for a radius that is hardly another
        if 1 - radius > 0.9 * (1 - self._radius):
            return False
        self._radius = radius
        return True
