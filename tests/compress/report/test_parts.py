import doctest
import importlib
import json
import math
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_family import bare, odd, usual

from handheld.compress.family import Family, Latency
from handheld.compress.report import heat, markdown, write_report
from handheld.compress.report.labels import Box, place, shorten
from handheld.compress.report.limits import arrange, limits
from handheld.compress.report.pareto import front
from handheld.compress.report.rows import half_width, rows, summary
from handheld.drawing import amounts
from handheld.drawing.axes import Axis


@pytest.mark.parametrize("name", ["drawing.amounts", "drawing.curves", "compress.report.pareto", "compress.report.record"])
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"handheld.{name}"))
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.00 kB"), (9999, "10.0 kB"), (99_960, "100 kB"), (999_600, "1.00 MB")],
)
def test_sizes(size: int, text: str) -> None:
    assert amounts.size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 µs"), (4e-8, "0.04 µs"), (0.9999e-3, "1.00 ms"), (1.5, "1.50 s"), (90, "2 min"), (7300, "2 h 2 min")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert amounts.seconds_text(seconds) == text


@given(st.floats(1e-9, 1e12), st.floats(1e-9, 1e12), st.booleans(), st.integers(3, 9))
def test_ticks_are_few_and_within(one: float, other: float, log: bool, most: int) -> None:
    axis = Axis.around([one, other], 10, 200, log=log)
    ticks = axis.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(10 - 1e-6 <= axis.at(tick) <= 200 + 1e-6 for tick in ticks)
    assert axis.at(one) <= axis.at(other) if one <= other else axis.at(one) >= axis.at(other)


def test_an_axis_of_nothing_holds_something() -> None:
    assert Axis.around([math.nan, 0.0], 0, 1, log=True).at(0) == 0
    assert 0 in Axis.around([0.0], 0, 1).ticks(5)


points = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=15)


@given(points)
def test_the_front_is_what_no_point_beats(given_points: list[tuple[int, int]]) -> None:
    found = front(given_points)
    beaten = {p for p in given_points if any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in given_points)}
    assert sorted(found) == found == sorted(set(given_points) - beaten)


def test_names_do_not_cover_each_other_or_a_point() -> None:
    near = [(100.0 + 9 * i, 100.0 - 14 * (i % 3)) for i in range(6)]
    labels = place(near, [f"member_{i}" for i in range(6)], Box(0, 0, 300, 200))
    assert all(one.box.overlap(other.box) == 0 for one, other in combinations(labels, 2))
    assert all(label.box.overlap(Box(x - 5, y - 5, x + 5, y + 5)) == 0 for label in labels for x, y in near)
    assert all(label.box.left >= 0 and label.box.right <= 300 for label in labels)


def test_shorten() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abc efgh", 5) == "abc…"


def test_limits_are_those_that_were_asked(tmp_path: Path) -> None:
    found = {(limit.figure, round(limit.value, 6)): limit.met for limit in limits(odd(tmp_path))}
    assert found == {("size", 20_000): False, ("latency", 0.0001): False, ("accuracy", 0.6): False}
    met = [limit.met for limit in limits(usual(tmp_path)) if limit.figure == "accuracy"]
    assert met == [True, False]
    assert limits(bare(tmp_path)) == []


def test_texts_of_limits_are_in_rows_of_their_own() -> None:
    rows = [ceiling.row for ceiling in arrange([(100, "1 kB", True), (110, "2 kB", True), (300, "3 kB", False)])]
    assert rows == [0, 1, 0]


def test_cells_by_hand() -> None:
    cells = heat.cells(((90, 10, 0), (0, 100, 0), (5, 0, 95)))
    assert [(cell.count, cell.kind, cell.level) for cell in cells[0]] == [(90, "right", 9), (10, "wrong", 10), (0, "wrong", 0)]
    assert cells[2][0].level == 5


def test_worst_pairs_by_hand() -> None:
    pairs = heat.worst_pairs(((5, 3, 2), (0, 9, 1), (0, 4, 0)), ("a", "b", "c"))
    assert [(pair.true, pair.answered, pair.count, pair.share) for pair in pairs] == [
        ("c", "b", 4, 1.0),
        ("a", "b", 3, 0.3),
        ("a", "c", 2, 0.2),
        ("b", "c", 1, 0.1),
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_stands_in_cells_can_be_read(theme: str) -> None:
    assert all(heat.contrast(back, text) >= 4.5 for back, text in heat.colours(theme).values())


def test_words_can_be_read_in_both_themes() -> None:
    style = (Path(amounts.__file__).parent / "templates" / "style.css").read_text()
    for block in style.split("}")[0:2]:
        colours = {name: rgb(value) for name, value in re.findall(r"--([a-z0-9]+): #([0-9a-f]+)", block)}
        for name in ("ink", "dim", "blue", "red", "green"):
            assert min(heat.contrast(colours[name], colours[back]) for back in ("panel", "back")) >= 4.5, name
        for name in ("orange", *(f"c{number}" for number in range(6))):
            assert heat.contrast(colours[name], colours["panel"]) >= 3, name


def rgb(digits: str) -> tuple[int, ...]:
    wide = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    return tuple(bytes.fromhex(wide))


def test_markdown(tmp_path: Path) -> None:
    lines = markdown(usual(tmp_path)).splitlines()
    assert len(lines) == 2 + 7
    assert len({len(line) for line in lines}) == 1
    cells = [cell.strip() for cell in lines[6].strip("|").split("|")]
    assert cells == [
        "nested_64",
        "teacher's first 33% of channels, pictures of 28",
        "int8",
        "68.1 kB",
        "97x",
        "171 µs (10.3 µs)",
        "36x",
        "3.90 M",
        "42x",
        "92.83 %",
        "92.54 %",
        "93.01 %",
        "98.3 %",
        "94x smaller, 27x faster, 92 %, nested",
        "yes",
    ]
    assert "| no: 89.34% right, 90.00% asked" in lines[-1]


def test_markdown_of_hostile_names(tmp_path: Path) -> None:
    text = markdown(odd(tmp_path))
    assert r"\<b\>limit\</b\>" in text
    assert not re.search(r"(?<!\\)<", text)


def with_int8(folder: Path) -> Family:
    family = usual(folder)
    alone = replace(
        family.teacher, name="teacher, int8", file="t8.tflite", precision="int8", size=family.teacher.size // 4,
        latency=family.teacher.latency._replace(median=family.teacher.latency.median / 3), accuracy=0.942,
    )  # fmt: skip
    return replace(family, quantised=alone)


def test_what_eight_bits_alone_give_stands_beside_the_members(tmp_path: Path) -> None:
    family = with_int8(tmp_path)
    names = [one.member.name for one in rows(family)]
    assert names[:2] == ["teacher", "teacher, int8"]
    assert [one.anchor for one in rows(family)][:3] == ["", "", "member-1"]
    assert "teacher, int8" in markdown(family).splitlines()[3]
    assert "int8 alone: 4.0x smaller, 3.0x faster, 94.2%" in summary(family).replace("\u00a0", "").replace(" %", "%")
    page = write_report(family).read_text("utf-8")
    assert "what eight bits alone give" in page
    family.save()
    assert Family.open(tmp_path).quantised == family.quantised


def test_a_family_without_it_is_read_as_before(tmp_path: Path) -> None:
    usual(tmp_path).save()
    content = json.loads((tmp_path / "family.json").read_text())
    del content["quantised"]
    (tmp_path / "family.json").write_text(json.dumps(content))
    assert Family.open(tmp_path).quantised is None


@pytest.mark.parametrize(
    ("right", "count", "expected"),
    [(50, 100, 0.0962), (198, 208, 0.0300), (208, 208, 0.0091)],  # Wilson's interval, by hand
)
def test_how_far_an_accuracy_may_be_off(tmp_path: Path, right: int, count: int, expected: float) -> None:
    family = bare(tmp_path)
    table = np.zeros((len(family.classes), len(family.classes)), int)
    table[0, 0], table[0, 1] = right, count - right
    confusion = tuple(tuple(row.tolist()) for row in table)
    teacher = replace(family.teacher, accuracy=right / count, confusion=confusion)
    assert half_width(replace(family, teacher=teacher)) == pytest.approx(expected, abs=2e-4)
    assert half_width(replace(family, teacher=replace(teacher, confusion=()))) is None


def test_a_latency_that_varies_makes_its_ratio_doubtful(tmp_path: Path) -> None:
    family = usual(tmp_path)
    wild = replace(family.members[0], latency=Latency(0.00125, 0.005, 0.00346, 100))
    family = replace(family, members=(wild, *family.members[1:]))
    lines = markdown(family).splitlines()
    assert "x? " in lines[3]
    assert "?" not in lines[4]
    assert "faster?" in write_report(family).read_text("utf-8")


def test_a_ratio_of_latencies_within_their_noise_is_not_shown(tmp_path: Path) -> None:
    """A member of 1.25 ms and 3.46 ms of noise was said to be 3.4 times faster than a teacher of 4.24 ms."""
    family = usual(tmp_path)
    noisy = replace(family.members[0], latency=Latency(1.25e-3, 8e-3, 6.92e-3, 40))
    teacher = replace(family.teacher, latency=Latency(4.24e-3, 5e-3, 1e-4, 40))
    shown = replace(family, teacher=teacher, members=(noisy, *family.members[1:]))
    one, two = rows(shown)[1:3]
    assert (one.faster, one.speed) == (None, "about as fast")
    assert two.speed == "13x faster"
    cells = [cell.strip() for cell in markdown(shown).splitlines()[3].strip("|").split("|")]
    assert cells[6] == amounts.NONE
    assert rows(shown)[0].faster == 1
    assert "about as fast" in write_report(shown).read_text()


@pytest.mark.parametrize(
    ("folder", "title"),
    [("family", "Family"), ("digits", "Family of digits"), ("family_2", "Family_2")],
)
def test_a_family_of_family_is_a_family(tmp_path: Path, folder: str, title: str) -> None:
    (tmp_path / folder).mkdir()
    assert f"<title>{title}</title>" in write_report(usual(tmp_path / folder)).read_text()


def test_layers_in_float32_and_notes_are_named(tmp_path: Path) -> None:
    family = usual(tmp_path)
    mixed = replace(family.members[0], precision="mixed", kept_float=("stage_0_conv", "head"))
    noted = replace(family, members=(mixed, *family.members[1:]), record={"notes": ["it <guesses>"], "teacher": {"width": 8}})
    page = write_report(noted).read_text()
    assert "<dt>left in float32</dt><dd>stage_0_conv, head</dd>" in page
    assert "it &lt;guesses&gt;." in page
    assert "<dt>width</dt><dd>8</dd>" in page


def test_recall_and_balanced_accuracy_by_hand(tmp_path: Path) -> None:
    """Eight of ten, one of two, and a class without examples: 65 % balanced, where accuracy is 75 %."""
    family = usual(tmp_path)
    member = replace(family.members[0], confusion=((8, 2, 0), (1, 1, 0), (0, 0, 0)), accuracy=0.75)
    assert member.recall == (0.8, 0.5, None)
    assert member.balanced == pytest.approx(0.65)
    assert replace(member, confusion=()).balanced is None
    few = replace(family, classes=("a", "b", "c"), teacher=replace(family.teacher, confusion=()), members=(member,), curves={})
    few.save()
    saved = json.loads((tmp_path / "family.json").read_text())["members"][0]
    assert saved["recall"] == [0.8, 0.5, None]
    assert saved["balanced"] == pytest.approx(0.65)
    assert Family.open(tmp_path).members == few.members
    page = write_report(few).read_text()
    assert "65.00 % balanced" in page
    # Wilson, eight of ten: 49.0 to 94.3 %
    assert "80.0 % <small>± 22.7 % of 10</small>" in page
