import gzip
import json
from pathlib import Path

import pytest

from handheld.errors import InputError
from handheld.reply import Message, read_conversations
from handheld.reply.conversation import LONGEST, canonical, context_of, own_texts, read_message

LINE = json.dumps(
    {"id": "a", "turns": [["ann", "hi"], ["ann", "there"], ["bob", " hello "], ["ann", ""]]}
)


@pytest.mark.parametrize(
    ("messages", "count", "expected"),
    [
        ("hi", 3, ["hi"]),
        (Message("hi"), 1, ["hi"]),
        (["one", "two"], 3, ["one\ntwo"]),  # plain texts are all of the other person
        ([Message("a"), Message("b", True), Message("c")], 3, ["c", "b", "a"]),
        ([Message("a"), Message("b", True), Message("c")], 2, ["c", "b"]),
        ([Message("a"), Message("b"), Message("c", True), Message("d", True)], 3, ["c\nd", "a\nb"]),
    ],
)
def test_messages_in_a_row_are_one(messages, count, expected):
    assert context_of(messages, count) == expected


@pytest.mark.parametrize("messages", [[], [3], 3, None, [b"hi"]])
def test_what_is_no_conversation_is_refused(messages):
    with pytest.raises(InputError, match="expected"):
        context_of(messages, 3)


def test_long_messages_are_cut():
    assert len(context_of("a" * 100_000, 1)[0]) == LONGEST
    assert context_of(["start" * 1000, "end"], 1)[0].endswith("end")
    both = context_of("begins" + "a" * 100_000 + "ends", 1)[0]
    assert (both[:6], both[-4:]) == ("begins", "ends")  # something grave may stand in either


@pytest.mark.parametrize("text", ["me: hi", "Me: hi", "ME:hi", "  me:  hi"])
def test_ones_own_messages_are_marked_in_any_case(text):
    assert read_message(text) == Message("hi", mine=True)
    assert read_message(f"tell {text}").mine is False


def test_what_the_user_said():
    assert own_texts([Message("a"), Message("b", True), "c"]) == ["b"]
    assert own_texts("a") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Yes, I do!!", "yes i do"), ("?!", "? !"), ("", ""), ("It's 5", "it is 5")],
)
def test_case_and_marks_do_not_matter(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_is_read(tmp_path: Path, pack):
    path = tmp_path / "talk"
    path.write_bytes(pack(f"{LINE}\n\n{LINE}\n".encode()))
    read = read_conversations(path)
    assert [conversation.turns for conversation in read.conversations] == [
        (("ann", "hi there"), ("bob", "hello"))
    ] * 2
    assert read.skipped == []


@pytest.mark.parametrize(
    "broken",
    [
        "no json",
        "[]",
        "{}",
        '{"turns": 3}',
        '{"turns": [["a"]]}',
        '{"turns": [["a", 3]]}',
        '{"turns": [{"a": "b"}]}',
        "\udcff",
    ],
)
def test_broken_lines_are_named_and_left_out(tmp_path: Path, broken):
    path = tmp_path / "talk.jsonl"
    path.write_bytes(f"{LINE}\n{broken}\n{LINE}\n".encode("utf-8", "surrogateescape"))
    read = read_conversations(path)
    assert len(read.conversations) == 2
    assert [skipped.name for skipped in read.skipped] == [f"{path}:2"]
    assert read.skipped[0].reason


def test_a_file_that_ends_early_keeps_what_came_before(tmp_path: Path):
    path = tmp_path / "talk.jsonl.gz"
    lines = "".join(
        json.dumps({"id": str(n), "turns": [["a", f"text {n} {n * n}"], ["b", "ok"]]}) + "\n"
        for n in range(5000)
    )
    packed = gzip.compress(lines.encode())
    path.write_bytes(packed[: len(packed) // 2])
    read = read_conversations(path)
    assert read.conversations[0].id == "0"
    assert "ends early" in read.skipped[-1].reason


@pytest.mark.parametrize("content", [b"", b"\n\n", b"nothing\n"])
def test_a_file_without_conversations_is_refused(tmp_path: Path, content):
    path = tmp_path / "talk.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no conversation"):
        read_conversations(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read"):
        read_conversations(tmp_path / "nowhere.jsonl")
