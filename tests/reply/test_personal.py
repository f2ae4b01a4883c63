import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import FileError, ModelError
from handheld.reply import PersonalState, personal, style
from handheld.reply.personal import FORMAT

GENERAL = style.counts_of(
    ["Yes, I do.", "I think so.", "No, thank you!", "It was great.", "Really?"] * 200
)
BITS = 8 * 14
SIGNS = np.arange(8, dtype=np.uint64) << np.uint64(14)  # eight functions of fourteen bits, all 0


def some(count: int) -> PersonalState:
    personal = PersonalState()
    for number in range(count):
        personal = personal.learned([number] * 8, number % 5, f"reply {number}")
    return personal


@pytest.mark.parametrize(
    ("flipped", "expected"),
    [(0, 2.0), (16, 2.0), (28, 2 * ((np.cos(np.pi / 4) - 0.4) / 0.4) ** 2), (56, 0.0), (112, 0.0)],
)
def test_a_choice_speaks_up_as_far_as_the_message_is_alike(flipped, expected):
    personal = PersonalState().learned(SIGNS.tolist(), 2, "sure")
    other = SIGNS.copy()
    for bit in range(flipped):
        other[bit % 8] ^= np.uint64(1 << bit // 8)
    assert personal.boosts(other, BITS, 4) == pytest.approx([0, 0, expected, 0])
    assert PersonalState().boosts(other, BITS, 4).tolist() == [0, 0, 0, 0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=200))
def test_no_number_of_picks_moves_an_intent_by_more_than_two(picks):
    personal = PersonalState()
    for number, pick in enumerate(picks):
        personal = personal.learned([*SIGNS.tolist()[:7], SIGNS.tolist()[7] + number], pick, "sure")
    assert personal.boosts(SIGNS, BITS, 4).max() <= 2
    assert np.abs(personal.preference(GENERAL, ["sure"], ["sure", "Never!", ""])).max() <= 1.5


def test_style_counts_as_far_as_the_user_writes_like_that():
    personal = PersonalState()
    for number in range(60):
        personal = personal.learned([number] * 8, -1, "haha yeah lol")
    replies = ["haha lol", "Yes, I do."]
    casual, formal = (
        personal.preference(GENERAL, [own], replies) for own in ("lol yeah haha", "Yes, I do.")
    )
    assert casual[0] > casual[1] + 0.5
    assert formal == pytest.approx([0, 0])  # it is not this user who writes
    assert PersonalState().preference(GENERAL, [], replies).tolist() == [0, 0]


def test_it_stays_small_and_is_read_again(tmp_path: Path):
    path = tmp_path / "me.json"
    personal = some(5000)
    personal.write(path)
    assert path.stat().st_size < 16_000
    again = PersonalState.read(path)
    assert again.choices == personal.choices
    assert again.counts == pytest.approx(personal.counts)
    assert again.choices[-1].reply == "reply 4999"


def test_a_reply_is_forgotten_with_its_part_in_the_style():
    before = some(3)
    after = before.learned([9] * 8, 1, "quite another reply").without("quite another reply")
    assert after.choices == before.choices
    assert after.counts == pytest.approx(before.counts)


def test_an_answer_that_another_one_replaced_leaves_nothing_to_forget():
    before = some(3)
    # The same reply to the same message again, and another one in its place.
    twice = before.learned([9] * 8, 1, "my own words").learned([9] * 8, 1, "my own words")
    assert twice.without("my own words").counts == pytest.approx(before.counts)
    instead = twice.learned([9] * 8, 1, "quite another reply")
    assert instead.without("quite another reply").counts == pytest.approx(before.counts)
    # To another message it counts as well, and goes with the first.
    other = twice.learned([8] * 8, 1, "my own words")
    assert other.counts.sum() > twice.counts.sum()
    assert other.without("my own words").counts == pytest.approx(before.counts)


@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o400])
def test_its_owner_alone_can_read_the_file(tmp_path: Path, before):
    path = tmp_path / "me.json"
    if before is not None:
        path.write_text("{}", encoding="utf-8")
        path.chmod(before)
    some(2).write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["me.json"]


def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "me.json"
    some(1).write(path)
    old = path.read_bytes()
    monkeypatch.setattr(
        Path, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "No space"))
    )
    with pytest.raises(FileError, match="what was there before is kept"):
        some(3).write(path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["me.json"]


def test_no_file_means_nothing_known(tmp_path: Path):
    assert PersonalState.read(tmp_path / "none.json").choices == ()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"format": 2}',
        "\x00",
        '{"format": 1, "choices": [[[1], 0, "cut \\ud83d"]], "counts": {}}',
        '{"format": 1, "choices": [[1]], "counts": {}}',
        '{"format": 1, "choices": [], "counts": {"999999": 1}}',
        '{"format": 1, "choices": [], "counts": {"0": -1}}',
        '{"format": 1, "choices": [], "counts": {"0": 1e999}}',
        # numbers that are compared with each message as 64 bits, and raised there
        '{"format": 1, "choices": [[[-1], 0, "a"]], "counts": {}}',
        '{"format": 1, "choices": [[[18446744073709551616], 0, "a"]], "counts": {}}',
        '{"format": 1, "choices": [[[1.5], 0, "a"]], "counts": {}}',
        '{"format": 1, "choices": [["12", 0, "a"]], "counts": {}}',
        '{"format": 1, "choices": [[[1], 0.5, "a"]], "counts": {}}',
        '{"format": 1, "choices": [[[1], 0, 5]], "counts": {}}',
        '{"format": 1, "choices": [], "counts": {"-1": 1}}',
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content):
    path = tmp_path / "me.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"me\.json"):
        PersonalState.read(path)


def test_the_file_is_plain_json(tmp_path: Path):
    some(2).write(tmp_path / "me.json")
    assert (
        json.loads((tmp_path / "me.json").read_text(encoding="utf-8"))["choices"][0][2] == "reply 0"
    )


@pytest.mark.parametrize(
    "text", ["", "Hello.", "hello", "HA!!", "…", "don't, ok?", "word " * 500, "🎉"]
)
def test_every_text_has_one_of_each_form(text):
    counts = style.counts_of([text])
    assert counts.shape == (style.SIZE,)
    assert counts[: style._FORMS].sum() == 5


DAMAGED = {
    "an endless number": '{"format": 2, "choices": [], "counts": {"0": Infinity}}',
    "an endless place": '{"format": 2, "choices": [], "counts": {"1": 1}, "x": [Infinity]}',
    "an endless intent": '{"format": 2, "choices": [[[1], Infinity, "a"]], "counts": {}}',
    "brackets without end": "[" * 100_000,
    "half a letter": '{"format": "\\ud83d"}',
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(text, tmp_path: Path):
    path = tmp_path / "me.json"
    path.write_text(text.replace('"format": 2', f'"format": {FORMAT}'), "utf-8")
    if "x" in text:
        assert PersonalState.read(path).choices == ()  # an entry that nobody reads
        return
    with pytest.raises(ModelError, match=r"me\.json"):
        PersonalState.read(path)


def test_two_that_learn_by_turns_lose_nothing(tmp_path: Path):
    path = tmp_path / "me.json"
    for step in range(5):
        for who in (0, 1):
            PersonalState.update(
                path, lambda known, n=2 * step + who: known.learned([n], n, f"reply {n}")
            )
    assert [choice.reply for choice in PersonalState.read(path).choices] == [
        f"reply {n}" for n in range(10)
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_many_threads_that_learn_at_once_lose_nothing(tmp_path: Path):
    path = tmp_path / "me.json"

    def learn(n: int) -> None:
        PersonalState.update(path, lambda known: known.learned([n], n, f"reply {n}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(learn, range(40)))
    assert sorted(choice.intent for choice in PersonalState.read(path).choices) == list(range(40))


@pytest.mark.parametrize("held", [True, False])
def test_a_lock_that_is_not_to_be_had_is_not_waited_for_without_end(tmp_path, monkeypatch, held):
    """Another process holds it; or, as in /proc, no file can be made: filelock goes on trying."""
    monkeypatch.setattr(personal, "_PATIENCE", 0.05)
    path = tmp_path / "me.json" if held else Path("/proc/me.json")
    lock = path.with_name(".me.json.lock")
    with FileLock(lock) if held else nullcontext(), pytest.raises(FileError, match=str(lock)):
        PersonalState.update(path, lambda known: known)
    assert not path.exists()
