from collections.abc import Callable

import pytest

from handheld.reports import NONE, count_text, percent, seconds_text, size_text, times


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9999, "10.0 kB"),
        (99_960, "100 kB"),
        (999_600, "1.00 MB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 µs"),
        (4e-8, "0.04 µs"),
        (0.9999e-3, "1.00 ms"),
        (1.5, "1.50 s"),
        (90, "2 min"),
        (7300, "2 h 2 min"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize("write", [size_text, count_text, seconds_text, percent, times])
def test_what_is_no_number_is_a_dash(write: Callable[[float], str]) -> None:
    assert [write(float(value)) for value in ("nan", "inf", "-inf")] == [NONE] * 3
