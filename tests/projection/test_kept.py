"""Sets of numbers in few bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.projection.kept import decoded, encoded, size_of


@given(st.sets(st.integers(0, 4095)))
def test_a_set_comes_back(numbers: set[int]):
    ordered = np.array(sorted(numbers), np.intp)
    content = encoded(ordered, 4096)
    assert decoded(content, 4096).tolist() == ordered.tolist()
    assert len(content) == size_of(len(ordered), 4096)


def test_a_number_takes_about_two_bits_and_the_logarithm():
    # 8,192 of 2^20: 2 + log2(128) = 9 bits each, and 8 bytes for the count
    assert size_of(8192, 1 << 20) == pytest.approx(8 + 8192 * 9 / 8, abs=2)


@pytest.mark.parametrize("numbers", [[1, 1], [2, 1], [-1], [4096]])
def test_what_is_no_rising_set_is_refused(numbers: list[int]):
    with pytest.raises(InputError, match="in rising order"):
        encoded(np.array(numbers, np.intp), 4096)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1],
        lambda c: c + b"\0",
        lambda c: b"\xff" * 8 + c[8:],
        lambda c: c[:-1] + b"\xff",
    ],
)
def test_damaged_bytes_are_refused(change):
    content = encoded(np.arange(0, 4096, 7), 4096)
    with pytest.raises(InputError, match="damaged"):
        decoded(change(content), 4096)
