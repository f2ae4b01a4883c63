"""Files and JSON that somebody else wrote."""

import os
from pathlib import Path

import pytest

from handheld.untrusted import read_json, require_file


@pytest.mark.parametrize("path", ["pipe", "/dev/zero"])
def test_what_would_hang_or_never_end_is_refused(tmp_path: Path, path: str):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"it is a (pipe|device), expected a file"):
        require_file(tmp_path / path)


def test_files_folders_and_what_the_shell_opened_pass(tmp_path: Path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    reading, writing = os.pipe()
    for path in (tmp_path / "a", tmp_path / "link", tmp_path, f"/dev/fd/{reading}"):
        require_file(path)
    os.close(reading)
    os.close(writing)
    with pytest.raises(FileNotFoundError):
        require_file(tmp_path / "none")


def test_a_name_that_no_file_can_have():
    with pytest.raises(OSError, match="its name holds a NUL"):
        require_file("a\0b")


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud83d\ude00"',
        '"😀"',
        r'{"a": ["\\ud83d", 1.5, null]}',
        '"\ud7ff"',
        b'\xef\xbb\xbf"\xc3\xbc"',
    ],
)
def test_whole_letters_pass(text: str | bytes):
    read_json(text)


HALVES = [
    r'"\ud83d"',
    r'"x \ud83d y"',
    r'["a", {"\udE00": 1}]',
    r'"\ude00\ud83d"',
    '"\\uD83D',
    b'"\xed\xa0\xbd"',
    b'"\xff"',
]


@pytest.mark.parametrize("text", [*HALVES, "[" * 100_000, "", "{", b"\xff\xfe"])
def test_what_is_no_json_or_cut_is_a_value_error(text: str | bytes):
    with pytest.raises(ValueError, match=r".") as told:
        read_json(text)
    assert not isinstance(told.value, UnicodeEncodeError)


def test_a_half_is_named():
    with pytest.raises(
        ValueError,
        match=r"half a letter, \\ud83d without its other half: a text was cut there; leave it out",
    ):
        read_json(r'{"text": "good \ud83d"}')


def test_constants_are_the_callers():
    assert read_json("[NaN, -Infinity]", parse_constant=lambda name: name) == ["NaN", "-Infinity"]


def test_numbers_that_no_float_holds_are_told():
    """They ended in a traceback, or in minutes, wherever numbers are made of them."""
    assert read_json("[" + "9" * 300 + "]") == [10**300 - 1]
    for digits in ("9" * 301, "-" + "9" * 5000):
        with pytest.raises(ValueError, match=r"a number of [\d,]+ digits, -?9{9,10}\.\.\."):
            read_json(f"[{digits}]")
