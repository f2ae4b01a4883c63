import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.compress.targets import Target
from handheld.errors import InputError

TEACHER = SimpleNamespace(size=6_600_000, latency=SimpleNamespace(median=0.0054), valid=0.944)


def figures(size: int = 70_000, latency: float = 0.0002, valid: float = 0.92) -> SimpleNamespace:
    return SimpleNamespace(size=size, latency=SimpleNamespace(median=latency), valid=valid)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("70KB", Target(size=70_000)),
        ("70 KiB", Target(size=71_680)),
        ("1.5mb, 5ms", Target(size=1_500_000, latency=0.005)),
        ("1 MiB", Target(size=1_048_576)),
        ("900 b", Target(size=900)),
        ("200us", Target(latency=0.0002)),
        ("200 µs", Target(latency=0.0002)),
        ("2s", Target(latency=2.0)),
        ("94x smaller, 27x faster", Target(smaller=94, faster=27)),
        ("94× smaller", Target(smaller=94)),  # noqa: RUF001
        ("at least 92%, at most 70 kB", Target(size=70_000, accuracy=0.92)),
        (" Mobile , 70kb ,", Target(size=70_000, kind="mobile")),
        ("5ms, 3.5x slower device", Target(latency=0.005, slowdown=3.5)),
    ],
)
def test_texts(text: str, target: Target) -> None:
    assert Target.of(text) == target


BAD_TEXTS = [
    "",
    " , ",
    "mobile",
    "3x slower device",
    "70",
    "KB",
    "-5ms",
    "0KB",
    "0.0001 kB",
    "5 parsecs",
    "92% smaller",
    "5ms faster",
    "101%",
    "5ms, 3ms",
    "94x smaller, 10x smaller",
    "plain, mobile, 5ms",
    "nan ms",
    "inf ms",
    "1e3 ms",
    "9" * 20 + " MB",
    "9" * 5000 + "b",
    "5ms, 0x slower device",
    "giant, 5ms",
    "\u0665ms",
    "5 ms\x00",
    "",
    " , ",
    "plain",
    "2x slower device",
]


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_bad_texts(text: str) -> None:
    with pytest.raises(InputError):
        Target.of(text)


@given(st.text(max_size=40) | st.text(alphabet="0123456789.x% kmbsu,erpatl", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        target = Target.of(text)
    except InputError:
        return
    assert Target.of(str(target)) == target


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"size": 0},
        {"size": "70"},
        {"latency": True},
        {"size": 9, "slowdown": "2"},
        {"latency": math.nan},
        {"smaller": math.inf},
        {"size": 9, "slowdown": math.nan},
        {"size": 9, "kind": "huge"},
        {"accuracy": 92.0},
    ],
)
def test_bad_fields(fields: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        Target(**fields)


def test_the_caller_says_what_the_text_does_not() -> None:
    assert Target.of("5ms", default_kind="mobile", slowdown=2) == Target(
        latency=0.005, kind="mobile", slowdown=2
    )
    assert Target.of("5ms, plain, 3x slower device", default_kind="mobile", slowdown=2) == Target(
        latency=0.005, kind="plain", slowdown=3
    )


ratios = st.floats(0.01, 1e5)
targets = st.builds(
    Target,
    size=st.none() | st.integers(1, 10**12),
    latency=st.none() | st.floats(1e-7, 1e3),
    smaller=st.none() | ratios,
    faster=st.none() | ratios,
    accuracy=st.floats(1e-4, 1),  # one limit at least
    kind=st.sampled_from(["nested", "pruned", "mobile"]),
    slowdown=ratios,
)
members = st.builds(figures, st.integers(1, 10**9), st.floats(1e-7, 10), st.floats(0, 1))


@given(targets)
def test_a_target_is_read_back_from_its_text(target: Target) -> None:
    assert Target.of(str(target)) == target


@given(targets, members, members)
def test_excess_is_above_one_where_something_is_missed(
    target: Target, member: SimpleNamespace, teacher: SimpleNamespace
) -> None:
    assert bool(target.misses(member, teacher)) == (target.excess(member, teacher) > 1)


def test_the_tighter_limit_counts() -> None:
    assert Target(size=100_000, smaller=94).max_size(TEACHER) == pytest.approx(70212.8, abs=0.1)
    assert Target(size=50_000, smaller=94).max_size(TEACHER) == 50_000
    assert Target(accuracy=0.9).max_size(TEACHER) is None
    assert Target(accuracy=0.9).max_latency(TEACHER) is None
    assert Target(latency=0.001, faster=27).max_latency(TEACHER) == pytest.approx(0.0002)
    assert Target(latency=0.0001, faster=27).max_latency(TEACHER) == 0.0001


def test_a_slower_device_asks_for_more_here() -> None:
    assert Target(latency=0.006, slowdown=3).max_latency(TEACHER) == pytest.approx(0.002)
    assert Target(faster=27, slowdown=3).max_latency(TEACHER) == pytest.approx(
        0.0002
    )  # the teacher is slower there, too


def test_each_missed_limit_is_named() -> None:
    target = Target.of("70kB, 27x faster, 93%")
    assert target.misses(figures(), TEACHER) == ["92.00% right, 93.00% asked"]
    assert target.misses(figures(70_001, 0.0002345, 0.93), TEACHER) == [
        "70001 bytes, at most 70000 asked",
        "234.5 us here, at most 200 asked",
    ]
    assert target.misses(figures(valid=0.93), TEACHER) == []
    assert target.excess(figures(140_000, 0.0001, 0.99), TEACHER) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "target '' says no limit: expected one or more such as 70KB, 5ms"),
        ("plain", "target 'plain' says no limit"),
        (5, "target 5: expected a text such as 70KB, 5ms"),
    ],
)
def test_a_target_without_a_limit_is_told_in_its_own_words(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        Target.of(text)


def test_a_field_that_is_wrong_is_named() -> None:
    with pytest.raises(
        InputError, match=r"^size: expected a number in \(0, 1000000000000000\], got '70'"
    ):
        Target(size="70")  # type: ignore[arg-type]
