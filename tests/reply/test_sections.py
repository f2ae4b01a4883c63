from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.reply.sections import SectionLine, expanded, read_sections


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hello", ["hello"]),
        ("(hi|hello) there", ["hi there", "hello there"]),
        ("(a|b)(|!)", ["a", "a!", "b", "b!"]),
        ("so (very |)good", ["so very good", "so good"]),
    ],
)
def test_choices_are_written_out(line, expected):
    assert expanded(line, 100) == expected


@given(st.integers(1, 40))
def test_at_most_so_many_are_taken_from_all_over(most):
    every = expanded("(a|b|c) (d|e|f) (g|h|i)", 27)
    found = expanded("(a|b|c) (d|e|f) (g|h|i)", most)
    assert len(found) == len(set(found)) == min(27, most)
    assert set(found) <= set(every)
    assert most < 3 or {text[0] for text in found} == {"a", "b", "c"}


def test_lines_belong_to_the_section_above(tmp_path: Path):
    path = tmp_path / "sections.txt"
    path.write_text("# a comment\n[one]\nfirst\n\nsecond\n[two; three]\nthird\n", encoding="utf-8")
    assert read_sections(path) == [
        SectionLine("one", "first"),
        SectionLine("one", "second"),
        SectionLine("two; three", "third"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"line\n", r"sections.txt:1: expected a \[section\]"), (b"\xff", "cannot be read")],
)
def test_bad_files_are_named(tmp_path: Path, content, expected):
    path = tmp_path / "sections.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        read_sections(path)
