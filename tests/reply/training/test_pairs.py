import pytest

from handheld.errors import InputError
from handheld.reply import Conversation
from handheld.reply.training.pairs import NOTHING, TEST, TRAIN, SplitRule, pairs_of

ALL = SplitRule(valid=0.0, test=0.0, held_out=0.0)


def talk(*texts: str, name: str = "1", speakers: tuple[str, str] = ("a", "b")) -> Conversation:
    return Conversation(
        name, tuple((speakers[place % 2], text) for place, text in enumerate(texts))
    )


def test_each_answer_has_what_came_before_it():
    found = pairs_of({"one": [talk("hi", "hello", "how are you", "fine")]}, ALL)
    texts = [
        [found.texts[text] if text != NOTHING else None for text in row] for row in found.context
    ]
    assert texts == [["hi", None, None], ["hello", "hi", None], ["how are you", "hello", "hi"]]
    assert [found.texts[text] for text in found.replies] == ["hello", "how are you", "fine"]
    assert found.splits.tolist() == [TRAIN] * 3


def test_what_must_not_be_learned_is_counted():
    found = pairs_of(
        {"one": [talk("hi", "call 555 123 4567", "what?", "you bitch", "no", "ok")]}, ALL
    )
    assert [found.texts[text] for text in found.replies] == ["ok"]
    assert found.left_out == {"a number that could be somebody's": 2, "abuse": 2}


def test_people_who_are_held_out_are_never_learned_from():
    some = [
        talk("hi", f"answer {n}", name=str(n), speakers=(f"user{n % 10}", f"user{(n + 1) % 10}"))
        for n in range(200)
    ]
    found = pairs_of({"one": some}, SplitRule(valid=0.0, test=0.0, held_out=0.3))
    names = {
        person: int(number)
        for person, number in zip(
            (f"user{(n + 1) % 10}" for n in range(200)), found.speakers, strict=True
        )
    }
    tested = {
        number for number, split in zip(found.speakers, found.splits, strict=True) if split == TEST
    }
    learned = {
        number for number, split in zip(found.speakers, found.splits, strict=True) if split == TRAIN
    }
    assert tested
    assert learned
    assert len(names) == 10


def test_the_split_depends_on_names_alone():
    division = SplitRule()
    assert [division.split(f"file/{n}", ["ann"]) for n in range(50)] == [
        division.split(f"file/{n}", ["ann"]) for n in range(50)
    ]
    splits = [division.split(f"file/{n}", ["a", "b"]) for n in range(4000)]
    assert splits.count(TEST) == pytest.approx(200, abs=50)


def test_those_who_say_too_much_are_capped():
    found = pairs_of(
        {"one": [talk(*["hi", "ok"] * 50, speakers=("ann", "bob"))]},
        SplitRule(valid=0, test=0, held_out=0, max_answers=10),
    )
    assert len(found) == 20
    assert found.left_out == {"somebody who says too much": 79}


def test_nothing_to_learn_from():
    with pytest.raises(InputError, match="no answer is left"):
        pairs_of({"one": [talk("alone")]}, ALL)
