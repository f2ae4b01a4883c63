import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_family import bare, odd, usual

from handheld.compress.family import Family, Latency
from handheld.compress.report import markdown, write_report
from handheld.compress.report.limits import limits
from handheld.compress.report.rows import half_width, rows, summary
from handheld.reports import NONE


def test_limits_are_those_that_were_asked(tmp_path: Path) -> None:
    found = {(limit.figure, round(limit.value, 6)): limit.met for limit in limits(odd(tmp_path))}
    assert found == {("size", 20_000): False, ("latency", 0.0001): False, ("accuracy", 0.6): False}
    met = [limit.met for limit in limits(usual(tmp_path)) if limit.figure == "accuracy"]
    assert met == [True, False]
    assert limits(bare(tmp_path)) == []


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
        family.teacher,
        name="teacher, int8",
        file="t8.tflite",
        precision="int8",
        size=family.teacher.size // 4,
        latency=family.teacher.latency._replace(median=family.teacher.latency.median / 3),
        accuracy=0.942,
    )
    return replace(family, quantised=alone)


def test_what_eight_bits_alone_give_stands_beside_the_members(tmp_path: Path) -> None:
    family = with_int8(tmp_path)
    names = [one.member.name for one in rows(family)]
    assert names[:2] == ["teacher", "teacher, int8"]
    assert [one.anchor for one in rows(family)][:3] == ["", "", "member-1"]
    assert "teacher, int8" in markdown(family).splitlines()[3]
    assert "int8 alone: 4.0x smaller, 3.0x faster, 94.2%" in summary(family).replace(
        "\u00a0", ""
    ).replace(" %", "%")
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
def test_how_far_an_accuracy_may_be_off(
    tmp_path: Path, right: int, count: int, expected: float
) -> None:
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
    """A member of 1.25 ms and 3.46 ms of noise was said to be 3.4 times faster than a teacher of
    4.24 ms.
    """
    family = usual(tmp_path)
    noisy = replace(family.members[0], latency=Latency(1.25e-3, 8e-3, 6.92e-3, 40))
    teacher = replace(family.teacher, latency=Latency(4.24e-3, 5e-3, 1e-4, 40))
    shown = replace(family, teacher=teacher, members=(noisy, *family.members[1:]))
    one, two = rows(shown)[1:3]
    assert (one.faster, one.speed) == (None, "about as fast")
    assert two.speed == "13x faster"
    cells = [cell.strip() for cell in markdown(shown).splitlines()[3].strip("|").split("|")]
    assert cells[6] == NONE
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
    noted = replace(
        family,
        members=(mixed, *family.members[1:]),
        record={"notes": ["it <guesses>"], "teacher": {"width": 8}},
    )
    page = write_report(noted).read_text()
    assert "<dt>left in float32</dt><dd>stage_0_conv, head</dd>" in page
    assert "it &lt;guesses&gt;." in page
    assert "<dt>width</dt><dd>8</dd>" in page


def test_recall_and_balanced_accuracy_by_hand(tmp_path: Path) -> None:
    """Eight of ten, one of two, and a class without examples: 65 % balanced, where accuracy is 75
    %.
    """
    family = usual(tmp_path)
    member = replace(family.members[0], confusion=((8, 2, 0), (1, 1, 0), (0, 0, 0)), accuracy=0.75)
    assert member.recall == (0.8, 0.5, None)
    assert member.balanced == pytest.approx(0.65)
    assert replace(member, confusion=()).balanced is None
    few = replace(
        family,
        classes=("a", "b", "c"),
        teacher=replace(family.teacher, confusion=()),
        members=(member,),
        curves={},
    )
    few.save()
    saved = json.loads((tmp_path / "family.json").read_text())["members"][0]
    assert saved["recall"] == [0.8, 0.5, None]
    assert saved["balanced"] == pytest.approx(0.65)
    assert Family.open(tmp_path).members == few.members
    page = write_report(few).read_text()
    assert "65.00 % balanced" in page
    # Wilson, eight of ten: 49.0 to 94.3 %
    assert "80.0 % <small>± 22.7 % of 10</small>" in page
