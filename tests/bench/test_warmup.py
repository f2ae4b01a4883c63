import numpy as np
import pytest

from handheld.bench.warmup import warmup_length


@pytest.mark.parametrize(
    ("times", "length"),
    [
        ([], 0),
        ([1.0], 0),
        ([1] * 10, 0),
        ([9, 3, 1, 1, 1, 1, 1, 1, 1, 1], 2),
        # a call that was disturbed later on is none of it
        ([9, 1, 1, 1, 5, 1, 1, 1, 1, 1], 1),
        # nor is one quick call among slow ones the end of it
        ([9, 9, 1, 9, 9, 9, 1, 1, 1, 1, 1, 1, 1, 1], 6),
        # a machine that starts quickly and then slows down did not warm up
        ([1, 1, 1, 2, 2, 2, 2, 2], 0),
        # within 2 % is steady
        ([1.019, 1, 1, 1, 1, 1], 0),
        ([1.021, 1, 1, 1, 1, 1], 1),
    ],
)
def test_where_it_ends(times, length):
    assert warmup_length(np.array(times, float)) == length


def test_one_that_never_ends_is_longer_than_half():
    times = np.linspace(10, 1, 100)
    assert warmup_length(times) > 50
