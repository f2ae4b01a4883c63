import copy
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handheld.compress.assembly import marked
from handheld.compress.family import Family, Latency, Layer, Member, TechniqueStep
from handheld.compress.targets import Target
from handheld.errors import FileError, HandheldError, InputError, ModelError

FAST, SLOW = Latency(0.0001, 0.00012, 0.00001, 40), Latency(0.01, 0.011, 0.001, 40)
TEACHER = Member(
    "teacher",
    "teacher.tflite",
    "big",
    "float32",
    1000,
    10**6,
    250,
    SLOW,
    0.94,
    0.94,
    0.95,
    1000,
    SLOW,
)
SMALL = Member(
    "small",
    "small.tflite",
    "the \u00fc half",
    "int8",
    100,
    9,
    99,
    FAST,
    0.9,
    0.91,
    0.92,
    400,
    SLOW,
    "10x smaller, nested",
    False,
    "why",
    True,
    (TechniqueStep("joint", 0.93, 400), TechniqueStep("int8", 0.92, 100)),
    (Layer("conv", 60, 8),),
    ((5, 1), (0, 6)),
    ((1, 2.5), (2, 1.0)),
)
TINY = replace(SMALL, name="tiny", file="tiny.tflite", size=10, valid=0.8)
EVEN = replace(SMALL, name="even", file="even.tflite", size=50)


@pytest.fixture
def family(tmp_path: Path) -> Family:
    record = {
        "seed": 3,
        "data": {"skipped": [["a\u00e4.png", "damaged"]]},
        "joint": {"ratio": 1.05},
        "none": None,
    }
    return Family(
        tmp_path,
        ("cat", "d\u00f6g"),
        TEACHER,
        (SMALL, EVEN, TINY),
        {"joint": [(1, 2.0), (5, 1)]},
        record,
    )


def test_what_is_saved_is_opened(family: Family) -> None:
    assert family.save() == family.folder / "family.json"
    assert Family.open(family.folder) == family
    assert Family.open(str(family.folder)).members[0].steps[1] == TechniqueStep("int8", 0.92, 100)
    assert os.listdir(family.folder) == ["family.json"]


def test_a_folder_that_moved_is_opened(family: Family, tmp_path: Path) -> None:
    family.save()
    moved = family.folder.rename(tmp_path.parent / f"{tmp_path.name}_moved")
    assert Family.open(moved) == replace(family, folder=moved)


def test_pick_takes_the_most_accurate_on_validation_and_of_equals_the_smallest(
    family: Family,
) -> None:
    assert family.pick(Target.of("1kB")).name == "even"
    assert family.pick(Target.of("20b")).name == "tiny"
    unlucky = replace(family, members=(replace(SMALL, valid=0.91, accuracy=0.99), EVEN))
    assert unlucky.pick(Target.of("1kB")).name == "even", "the test split does not choose"


def test_pick_names_the_nearest(family: Family) -> None:
    with pytest.raises(
        InputError,
        match=r"no member fits 0\.005 kB, nested; the nearest is tiny: 10 bytes, at most 5 asked",
    ):
        family.pick(Target(size=5))
    with pytest.raises(InputError, match=r"nearest is small: 92\.00% right, 99.00% asked"):
        family.pick(Target(accuracy=0.99))
    with pytest.raises(InputError, match="has none"):
        replace(family, members=()).pick(Target(size=5))


def test_copy(family: Family, tmp_path: Path) -> None:
    (family.folder / "small.tflite").write_bytes(b"model")
    assert family.copy(SMALL, tmp_path / "new" / "out.tflite").read_bytes() == b"model"
    (tmp_path / "there").mkdir()
    assert family.copy(SMALL, tmp_path / "there") == tmp_path / "there" / "small.tflite"
    assert family.copy(SMALL, family.folder / "small.tflite").read_bytes() == b"model", (
        "onto itself"
    )


def test_copy_is_all_or_nothing(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "copies" / "out.tflite"
    with pytest.raises(ModelError, match="is gone"):
        family.copy(SMALL, out)
    (family.folder / "small.tflite").write_bytes(b"model")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError):
        family.copy(SMALL, tmp_path / "file" / "out.tflite")
    out.parent.mkdir()
    out.write_bytes(b"old")

    def half(_source: Path, target: Path) -> None:
        target.write_bytes(b"mo")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("handheld.compress.family.shutil", SimpleNamespace(copyfile=half))
    with pytest.raises(FileError, match="what was there before is kept"):
        family.copy(SMALL, out)
    assert out.read_bytes() == b"old"
    assert os.listdir(out.parent) == ["out.tflite"]


WRONG: list[dict[str, object]] = [
    {"file": name}
    for name in ("", ".", "..", "../secret", "/etc/passwd", "sub/x.tflite", "..\\x", "nul\0.tflite")
] + [
    {"accuracy": math.nan},
    {"valid": 1.01},
    {"accuracy_float": -0.1},
    {"size": -1},
    {"macs": -1},
    {"parameters": -1},
    {"latency": FAST._replace(median=math.inf)},
    {"latency_float": FAST._replace(iqr=math.nan)},
    {"steps": (TechniqueStep("x", 2.0, 1),)},
    {"layers": (Layer("x", -1, 1),)},
    {"confusion": ((-1, 0), (0, 1))},
    {"curve": ((1, math.nan),)},
]


@pytest.mark.parametrize("change", WRONG)
def test_a_member_is_checked(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"members": (SMALL, SMALL)},
        {"members": (replace(SMALL, name="other"), SMALL)},
        {"classes": ("cat",)},
        {"curves": {"joint": [(1, math.inf)]}},
        {"members": (replace(SMALL, confusion=((1, 2), (3,))),)},
    ],
)
def test_a_family_is_checked(family: Family, change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        replace(family, **change)


@pytest.mark.parametrize("value", [math.nan, {"x": {1, 2}}, Path("x"), "\ud800"])
def test_a_record_that_json_cannot_hold_is_refused_and_what_was_there_is_kept(
    family: Family, value: object
) -> None:
    family.save()
    with pytest.raises(InputError, match="JSON"):
        replace(family, record={"value": value}).save()
    assert Family.open(family.folder) == family


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"format": 2}',
        b'{"format": 1}',
        b"[" * 100_000,
        b'{"format": NaN}',
        b'{"format": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_family_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "family.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"family\.json"):
        Family.open(tmp_path)


def test_a_folder_without_a_family_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none", Path(__file__)):
        with pytest.raises(ModelError, match="finished"):
            Family.open(folder)
    (tmp_path / "family.json").mkdir()
    with pytest.raises(ModelError, match="damaged"):
        Family.open(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"valid": 0.92', '"valid": NaN'),
        ('"valid": 0.92', '"valid": 1e999'),
        ('"small.tflite"', '"../small.tflite"'),
        ('"small.tflite"', '"\\ud800"'),
        ('"size": 100', '"size": 100.5'),
        ('"size": 100', '"size": "100"'),
        ('"size": 100', '"size": true'),
        ('"met": false', '"met": 0'),
        ('"why"', "7"),
        ('"name": "tiny"', '"name": "small"'),
        ('"seed": 3', '"seed": -Infinity'),
    ],
)
def test_a_changed_value_is_refused(family: Family, old: str, new: str) -> None:
    path = family.save()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match="damaged"):
        Family.open(family.folder)


ODD = [None, True, -1, 0.5, 1e308, 10**400, "", "x", [], [[]], {}, {"a": 1}, math.inf]


def test_no_damage_raises_anything_else(family: Family) -> None:
    path, rng = family.save(), np.random.default_rng(0)
    whole, refused = json.loads(path.read_text()), 0
    for _ in range(500):
        damaged = copy.deepcopy(whole)
        spots = list(spots_of(damaged))
        holder, key = spots[rng.integers(len(spots))]
        if rng.random() < 0.3:
            del holder[key]
        else:
            holder[key] = ODD[rng.integers(len(ODD))]
        path.write_text(json.dumps(damaged))
        try:
            opened = Family.open(family.folder)
        except ModelError:
            refused += 1
            continue
        again = opened.save()
        assert Family.open(again.parent) == opened
    assert refused > 250


def test_no_cut_or_flipped_byte_raises_anything_else(family: Family) -> None:
    path, rng = family.save(), np.random.default_rng(1)
    whole = path.read_bytes()
    for _ in range(400):
        damaged = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        if damaged:
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            Family.open(family.folder)
        except HandheldError as error:
            assert isinstance(error, ModelError)  # noqa: PT017


def spots_of(value: object) -> list[tuple[object, object]]:
    """Return every (holder, key or index) of what came from JSON."""
    keys = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found: list[tuple[object, object]] = []
    for key, inner in keys:
        found += [(value, key), *spots_of(inner)]
    return found


def test_latencies_differ_where_their_middle_halves_do_not_overlap():
    """201 and 219 microseconds, each +- 17: no difference; +- 8: one."""
    for half, differs in ((17e-6, False), (8e-6, True)):
        one, other = (Latency(median, median, 2 * half, 40) for median in (201e-6, 219e-6))
        assert one.clearly_below(other) == differs
        assert not other.clearly_below(one)


def test_a_latency_below_the_noise_makes_no_member_of_the_pareto_set():
    """Larger and less accurate than another, and faster by 18 of +- 17 microseconds."""
    one = replace(
        TINY,
        name="one",
        file="one.tflite",
        size=100,
        valid=0.726,
        latency=Latency(219e-6, 0, 34e-6, 40),
    )
    other = replace(
        one,
        name="other",
        file="other.tflite",
        size=200,
        valid=0.519,
        latency=Latency(201e-6, 0, 34e-6, 40),
    )
    assert [member.pareto for member in marked([one, other])] == [True, False]
    quick = replace(other, latency=Latency(150e-6, 0, 34e-6, 40))
    assert [member.pareto for member in marked([one, quick])] == [True, True]
