import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_family import bare, odd, usual

from handheld.compress.family import Family, Latency
from handheld.compress.report import markdown, write_report
from handheld.errors import FileError

VOID = {"meta", "link", "br", "img", "input", "hr"}
Maker = Callable[[Path], Family]


class Page(HTMLParser):
    """A page's elements; refuses tags that do not close each other, doubled ids and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(set(ids)) == len(ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def render(family: Family) -> tuple[str, Page]:
    text = write_report(family).read_text("utf-8")
    return text, Page(text)


def empty(folder: Path) -> Family:
    return replace(bare(folder), members=())


@pytest.mark.parametrize("make", [usual, odd, bare, empty])
def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path, make: Maker) -> None:
    text, page = render(make(tmp_path))
    assert text.startswith("<!doctype html>")
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"#|\./|data:,", attributes.get(name) or "#"), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in text
    assert "@import" not in text
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    targets = {"#" + str(attributes["id"]) for _, attributes in page.elements if "id" in attributes}
    assert {
        str(a["href"]) for _, a in page.elements if str(a.get("href", "")).startswith("#")
    } <= targets
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(picture.get("aria-label") or picture.get("aria-hidden") for picture in pictures)


def test_the_figures_of_every_member_are_there(tmp_path: Path) -> None:
    _, page = render(usual(tmp_path))
    for words in (
        [
            "nested_64",
            "68.1 kB",
            "97x smaller",
            "171 µs",
            "36x faster",
            "3.90 M",
            "42x fewer",
            "92.83 %",
            "93.01 %",
            "98.3 %",
            "93.06 %",
        ],
        [
            "94x smaller, 27x faster, 92 %, nested",
            "met",
            "(68,120 bytes)",
            "259 kB",
            "359 µs",
            "mixed",
            "teacher pruned to 3.1%",
        ],
        [
            "nested_256",
            "322x smaller",
            "89.21 %",
            "not met",
            "89.34% right, 90.00% asked",
            "distillation from the teacher",
        ],
        [
            "Ankle boot",
            "stage.8.conv1",
            "6 further layers together",
            "1.07x",
            "sha256:3f2a9c41d0",
            "img/0042.png",
            "Skipped: 2",
        ],
        [
            "55,000 examples to train",
            "optimiser.momentum",
            "0.9",
            "AMD EPYC 7B13",
            "40 min",
            "torch",
            "200 samples each",
        ],
    ):
        for word in words:
            assert word in page.text, word


def test_test_and_validation_are_not_mixed_up(tmp_path: Path) -> None:
    family = usual(tmp_path)
    members = tuple(
        replace(member, accuracy=0.5, accuracy_float=0.625, valid=0.75, steps=())
        for member in family.members
    )
    text, page = render(replace(family, members=members))
    assert (
        page.text.count("test accuracy 50.00 %")
        == page.text.count("validation accuracy 75.00 %")
        == len(members)
    )
    assert page.text.count("62.50 % of the test split right") == len(members)
    assert f"{members[0].name}: 349 kB, 75.00 % validation, 50.00 % test" in text
    row = next(part for part in text.split("<tr>") if ">nested_8</a>" in part)
    assert re.findall(r'data-value="(0\.[0-9]+)"', row)[1:] == [
        "0.5",
        "0.625",
        str(0.5 / 0.944),
        "0.75",
    ]


def test_the_most_accurate_on_validation_is_open(tmp_path: Path) -> None:
    _, page = render(usual(tmp_path))
    opened = [
        attributes["id"]
        for tag, attributes in page.elements
        if tag == "details" and "open" in attributes
    ]
    selected = [
        attributes["value"]
        for tag, attributes in page.elements
        if tag == "option" and "selected" in attributes
    ]
    assert opened == selected == ["member-1"]


def test_many_classes_show_the_pairs_that_are_confused_most(tmp_path: Path) -> None:
    _, page = render(odd(tmp_path))
    assert "120 classes; the 25 pairs" in page.text
    assert "and 100 more, in family.json" in page.text
    assert "6,360 in all" in page.text


@pytest.fixture(scope="module")
def usual_tags(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return {tag for tag, _ in render(usual(tmp_path_factory.mktemp("usual")))[1].elements}


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></svg>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "a\0b\x1b[31m\x85",
    "\ud800",
    "'; --",
    "&lt;b&gt;",
    "x" * 500,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(tmp_path: Path, usual_tags: set[str], name: str) -> None:
    family = usual(tmp_path)
    file = name.replace("/", "").replace("\\", "").replace("\0", "")
    member = replace(
        family.members[0],
        name=name,
        file=file,
        how=name,
        precision=name,
        target=name,
        reason=name,
        met=False,
        steps=tuple(step._replace(technique=name) for step in family.members[0].steps),
        layers=tuple(layer._replace(name=name) for layer in family.members[0].layers),
    )
    record = {
        "seed": name,
        "settings": {name: {name: [name]}},
        "seconds": {name: 3},
        "machine": name,
        "versions": {name: name},
        "data": {
            "counts": {name: 4},
            "skipped": [[name, name], name],
            "notes": [name],
            "digest": name,
        },
    }
    hostile = replace(
        family,
        classes=(name, *family.classes[1:]),
        members=(member, *family.members[1:]),
        curves={name: [(0, 1), (1, 0.5)]},
        record=record,
        teacher=replace(family.teacher, name=name + " teacher", how=name),
    )
    text, page = render(hostile)
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert {tag for tag, _ in page.elements} <= usual_tags | {"strong"}  # of the word before a note
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert all(str(attributes.get("href", "#"))[0] in "#.d" for _, attributes in page.elements)


def test_what_is_odd_about_the_data_is_said(tmp_path: Path) -> None:
    note = "3 of the 9 test examples also in the training split"
    _, page = render(
        replace(bare(tmp_path), record={"data": {"counts": {"a": 4}, "notes": [note]}})
    )
    assert f"Note: {note}." in page.text


@pytest.mark.parametrize("part", ["confusion", "layers", "steps", "curve"])
def test_each_part_may_be_missing(tmp_path: Path, part: str) -> None:
    family = usual(tmp_path)
    _, page = render(
        replace(family, members=tuple(replace(member, **{part: ()}) for member in family.members))
    )
    title = {
        "confusion": "Confusion",
        "layers": "Layers",
        "steps": "What each technique",
        "curve": "Its last training",
    }[part]
    assert title not in page.text


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", [], [3], {}, {"a": None}, {"a": {"b": []}}, [["a", "b", "c"]], True, 10**400],
)
def test_a_record_of_other_kinds_does_not_break(tmp_path: Path, value: object) -> None:
    keys = ("seed", "settings", "seconds", "machine", "versions", "joint", "data")
    render(replace(bare(tmp_path), record=dict.fromkeys(keys, value)))
    render(
        replace(
            bare(tmp_path),
            record={
                "data": dict.fromkeys(("counts", "skipped", "notes", "digest", "train"), value)
            },
        )
    )
    render(
        replace(
            bare(tmp_path),
            record={
                "joint": {"ratio": value},
                "seconds": {"x": value},
                "data": {"counts": {"x": value}},
            },
        )
    )


def test_figures_at_the_edge_do_not_break(tmp_path: Path) -> None:
    family, nothing = usual(tmp_path), Latency(0.0, 0.0, 0.0, 0)
    zero = replace(
        family.members[0],
        size=0,
        macs=0,
        latency=nothing,
        latency_float=nothing,
        accuracy=0.0,
        valid=0.0,
        size_float=0,
        confusion=((0,) * 10,) * 10,
        curve=((0, 0.0),),
        layers=(family.members[0].layers[0]._replace(size=0, macs=0),),
    )
    teacher = replace(family.teacher, accuracy=0.0, latency=nothing, size=0)
    for members in ((zero,), (zero, family.members[1])):
        render(replace(family, members=members))
        render(
            replace(
                family, members=members, teacher=teacher, curves={"flat": [(5, 2.0)], "none": []}
            )
        )


def test_operations_that_nobody_counted_are_not_compared(tmp_path: Path) -> None:
    family = usual(tmp_path)
    (known, _), (unknown, _) = (
        render(family),
        render(replace(family, teacher=replace(family.teacher, macs=0))),
    )
    assert "x fewer<" in known
    assert "fewer<" not in unknown
    assert " 0x " not in markdown(replace(family, teacher=replace(family.teacher, macs=0)))


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError):
        write_report(bare(tmp_path / "file"))
