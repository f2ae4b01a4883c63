"""Times of examples of unlike work, set beside themselves."""

from statistics import median

import numpy as np
import pytest

from handheld.bench.unlike import evened


def reference(warmup, wall, examples):
    """The same in plain words: a time over the median of its example in rounds of other parity."""
    rounds = len(wall) // examples
    shares = []
    first = median(wall[round_ * examples] for round_ in range(rounds))
    shares += [time / first for time in warmup]
    for number, time in enumerate(wall):
        round_, example = divmod(number, examples)
        others = [
            wall[other * examples + example] for other in range(rounds) if other % 2 != round_ % 2
        ]
        shares.append(time / median(others))
    return [share * median(wall) for share in shares]


@pytest.mark.parametrize(("rounds", "examples", "more"), [(4, 3, 0), (5, 4, 2), (2, 1, 0)])
def test_a_time_is_set_beside_its_example_in_other_rounds(rounds, examples, more):
    rng = np.random.default_rng(1)
    warmup = rng.uniform(1, 2, 3)
    wall = rng.uniform(1, 2, rounds * examples + more)
    assert evened(warmup, wall, examples) == pytest.approx(
        reference(warmup.tolist(), wall.tolist(), examples)
    )


def test_what_examples_differ_by_is_gone():
    # two examples, the second of which takes ten times as long
    wall = np.tile([1.0, 10.0], 8)
    assert evened(np.array([1.0]), wall, 2).tolist() == [5.5] * 17


def test_what_cannot_be_set_beside_anything_stays():
    wall = np.array([1.0, 2.0, 3.0])
    assert evened(np.array([4.0]), wall, 2).tolist() == [4.0, 1.0, 2.0, 3.0]
    coarse = np.array([0.0, 1.0, 0.0, 1.0])
    assert evened(np.array([4.0]), coarse, 2).tolist() == [4.0, 0.0, 1.0, 0.0, 1.0]
