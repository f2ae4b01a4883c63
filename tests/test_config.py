"""Configurations: files that cannot be read, and entries that no field takes, each by its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from handheld import config
from handheld.config import from_table, read_config, read_toml
from handheld.errors import InputError
from handheld.ranges import whole_in_range


class Pair(NamedTuple):
    first: int
    second: float


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    steps: int = 1

    def __post_init__(self) -> None:
        whole_in_range("steps", self.steps, low=1)
        if self.rate > self.steps:
            raise InputError("a rate above the steps")


@dataclass(frozen=True)
class Needed:
    name: str


@dataclass(frozen=True)
class Whole:
    name: str
    inner: Inner = field(default_factory=Inner)
    several: tuple[Inner, ...] = ()
    sizes: tuple[int, ...] = ()
    share: float | None = None
    either: int | tuple[str, ...] = 0
    needed: Needed | None = None
    speeds: Mapping[str, float] = field(default_factory=dict)
    free: Mapping[str, Any] = field(default_factory=dict)
    pair: Pair | None = None
    made: int = field(default=0, init=False)


def test_tables_become_values():
    table = {
        "name": "x",
        "inner": {"rate": 1},
        "several": [{"steps": 2}, {}],
        "sizes": [1, 2],
        "share": 2,
        "either": ["a"],
        "needed": {"name": "y"},
        "speeds": {"phone": 3},
        "free": {"any": [1, "b"]},
        "pair": [3, 4],
    }
    whole = from_table(Whole, table, "")
    assert whole == Whole(
        "x",
        Inner(1.0),
        (Inner(steps=2), Inner()),
        (1, 2),
        2.0,
        ("a",),
        Needed("y"),
        {"phone": 3.0},
        {"any": [1, "b"]},
        Pair(3, 4.0),
    )
    # TOML tells 1 from 1.0; who writes a rate does not.
    numbers = (whole.inner.rate, whole.share, whole.speeds["phone"], whole.pair.second)
    assert all(type(number) is float for number in numbers)


KNOWN = "either, free, inner, name, needed, pair, several, share, sizes, speeds"
WRONG = [
    ({"nam": "x"}, f"run: no entry 'nam'; expected {KNOWN}"),
    ({"made": 1}, f"run: no entry 'made'; expected {KNOWN}"),
    ({"inner": {"rat": 1}}, "run.inner: no entry 'rat'; expected rate, steps"),
    ({"several": [{}, {"rat": 1}]}, "run.several[1]: no entry 'rat'; expected rate, steps"),
    ({"needed": {"nam": 1}}, "run.needed: no entry 'nam'; expected name"),
    ({"needed": {}}, "run.needed: entry 'name' is missing"),
    ({"name": 3}, "run.name: expected a text, got 3"),
    ({"share": True}, "run.share: expected a number, got True"),
    ({"share": "1"}, "run.share: expected a number, got '1'"),
    ({"inner": 3}, "run.inner: expected a table, got 3"),
    ({"inner": {"steps": 1.0}}, "run.inner.steps: expected a whole number, got 1.0"),
    ({"inner": {"steps": True}}, "run.inner.steps: expected a whole number, got True"),
    ({"several": [{}, {"steps": "2"}]}, "run.several[1].steps: expected a whole number, got '2'"),
    ({"sizes": 3}, "run.sizes: expected a list, got 3"),
    ({"sizes": [1, "2"]}, "run.sizes[1]: expected a whole number, got '2'"),
    ({"either": 1.5}, "run.either: expected a whole number or a list, got 1.5"),
    ({"speeds": {"phone": "3"}}, "run.speeds[...]: expected a number, got {'phone': '3'}"),
    ({"pair": [1]}, "run.pair: expected a list of length 2, got 1"),
    # What a class refuses is told with the path to it.
    ({"inner": {"steps": 0}}, "run.inner.steps: expected a whole number of 1 or more, got 0"),
    (
        {"several": [{"steps": 0}]},
        "run.several[0].steps: expected a whole number of 1 or more, got 0",
    ),
    ({"inner": {"rate": 2}}, "run.inner: a rate above the steps"),
]


@pytest.mark.parametrize(("entries", "message"), WRONG, ids=[message for _, message in WRONG])
def test_an_entry_that_is_wrong_is_named_by_its_path(entries: dict[str, Any], message: str):
    with pytest.raises(InputError) as caught:
        from_table(Whole, {"name": "x"} | entries, "run")
    assert str(caught.value) == message
    # Of a whole file there is no path before the entry's own.
    with pytest.raises(InputError) as caught:
        from_table(Whole, {"name": "x"} | entries, "")
    assert str(caught.value) == message.removeprefix("run").lstrip(".: ")


def test_what_is_no_table_or_lacks_an_entry_is_refused():
    with pytest.raises(InputError, match=r"^run: expected a table, got \[\]$"):
        from_table(Whole, [], "run")
    with pytest.raises(InputError, match=r"^run: entry 'name' is missing$"):
        from_table(Whole, {}, "run")


def test_fixed_values_are_taken_as_they_are_and_no_table_may_say_them():
    inner = object()  # of no type that a table could hold
    whole = from_table(Whole, {"name": "x"}, "run", inner=inner)
    assert whole.inner is inner
    with pytest.raises(InputError, match=r"^run: no entry 'inner'; expected either, free, name"):
        from_table(Whole, {"name": "x", "inner": {}}, "run", inner=inner)


def test_an_error_of_a_class_stays_reachable():
    with pytest.raises(InputError) as caught:
        from_table(Whole, {"name": "x", "inner": {"steps": 0}}, "run")
    causes = [type(caught.value)]
    cause = caught.value.__cause__
    while cause is not None:
        causes.append(type(cause))
        cause = cause.__cause__
    assert causes[-1] is InputError


FILES = {
    b"name = \n": r"Invalid value \(at line 1, column 8\)",
    b"a = 1\nb = '\xff'\n": "line 2 is not in UTF-8; save it in that encoding",
    b"name = " + 5000 * b"[": "brackets in brackets, too many to read",
}


@pytest.mark.parametrize(("content", "message"), FILES.items(), ids=list(FILES.values()))
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    expected = rf"run\.toml cannot be read as a configuration: {message}"
    with pytest.raises(InputError, match=expected):
        read_toml(path)


def test_folders_missing_files_and_large_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(InputError, match=r"none\.toml cannot be read .*: No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read as a configuration: Is a directory"):
        read_toml(tmp_path)
    for impossible in ("a\0b", "x" * 300):
        with pytest.raises(InputError, match="cannot be read as a configuration: "):
            read_toml(tmp_path / impossible)
    path = tmp_path / "run.toml"
    path.write_bytes(b"a = 1\n")
    monkeypatch.setattr(config, "_MAX_BYTES", 6)
    assert read_toml(path) == {"a": 1}
    monkeypatch.setattr(config, "_MAX_BYTES", 5)
    with pytest.raises(InputError, match="it has more than 5 bytes"):
        read_toml(path)


def test_entries_of_the_first_level_may_be_limited(tmp_path: Path):
    path = tmp_path / "run.toml"
    path.write_text("a = 1\n")
    assert read_toml(path, known=["a", "b"]) == {"a": 1}
    with pytest.raises(InputError, match=r"run\.toml: no entry 'a'; expected b, c$"):
        read_toml(path, known=["c", "b"])


def test_an_error_in_a_file_names_both(tmp_path: Path):
    path = tmp_path / "run.toml"
    path.write_text('\ufeffname = "x"\n[inner]\nsteps = 0\n', encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_config(Whole, path)
    expected = "inner.steps: expected a whole number of 1 or more, got 0"
    assert str(caught.value) == f"{path}: {expected}"
