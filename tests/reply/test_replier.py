from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.reply import Message, PersonalState, Replier
from handheld.reply.personal import signatures_of
from handheld.reply.suggestions import YOURS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("hello there", "hello"),
        ("thanks a lot", "you're welcome"),
        ("i feel ill", "sorry to hear that"),
        ("lunch?", "sounds good"),
    ],
)
def test_the_first_reply_means_what_people_answer(replier: Replier, message, expected):
    found = replier.suggest(message)
    assert found.replies[0].intent == expected
    assert not found.reason
    assert 0 < found.confidence < 1


def test_replies_are_of_different_intents_and_the_likeliest_comes_first(replier: Replier):
    found = replier.suggest("where are you", n=5, always=True).replies
    assert len({reply.intent for reply in found}) == len(found) == 5
    assert [reply.score for reply in found] == sorted(
        (reply.score for reply in found), reverse=True
    )


def test_a_suggestion_says_why(replier: Replier):
    best = replier.suggest("thanks, and see the zebra", always=True).replies[0]
    assert best.intent == "you're welcome"
    assert "thanks" in best.words
    assert 0 < best.score <= 1


def test_nothing_is_said_where_the_model_is_not_confident(replier: Replier):
    message = "the long story of the tall blue bicycle tree"
    found = replier.suggest(message)
    assert (found.replies, found.reason) == ((), "not confident")
    fixed = replier.suggest(message, fallback=True)
    assert fixed.fallback
    assert fixed.texts == tuple(
        replier.bundle.replies[number].text for number in replier.bundle.fallback[:3]
    )
    assert replier.suggest(message, always=True).replies


@pytest.mark.parametrize("mine", ["me: my dog died", "hello there"])
def test_nothing_is_suggested_to_ones_own_message(replier: Replier, mine):
    own = Message(mine.removeprefix("me: "), mine=True)
    for options in ({}, {"always": True}, {"fallback": True}):
        found = replier.suggest([Message("where are you"), own], **options)
        assert (found.replies, found.reason) == ((), "own message")


def test_what_came_before_never_switches_off_what_the_last_message_alone_would_answer(
    replier: Replier,
):
    for message in ("thanks a lot", "hello there", "lunch at noon", "where are you now"):
        alone = replier.suggest(message)
        said = [
            Message("the tall tree"),
            Message("a long blue winter", mine=True),
            Message(message),
        ]
        together = replier.suggest(said)
        threshold = replier.bundle.trigger.threshold
        assert together.confidence >= min(alone.confidence, threshold)  # sure enough is enough
        assert bool(together.replies) >= bool(alone.replies)


@pytest.mark.parametrize("message", ["my dog died", "my cat is dead", "he attacked me"])
def test_nothing_is_said_on_sensitive_topics(replier: Replier, message):
    for found in (replier.suggest(message, fallback=True), replier.suggest(message, always=True)):
        assert found.replies == ()
        assert found.reason.startswith("sensitive: ")


@pytest.mark.parametrize("mine", [True, False])
def test_something_grave_before_rules_out_cheer_and_leaves_practical_answers(
    replier: Replier, mine
):
    before = [Message("my dog died", mine=mine), Message("hm", mine=not mine)]
    turns = before if mine is False else [*before[:1]]
    asked = replier.suggest([*turns, Message("where are you now")], always=True)
    assert asked.replies
    assert {reply.intent for reply in asked.replies} <= {
        "at home",
        "on my way",
        "sorry to hear that",
    }
    thanked = replier.suggest([*turns, Message("thanks a lot")], always=True, fallback=True)
    assert not {reply.intent for reply in thanked.replies} - {
        "at home",
        "on my way",
        "sorry to hear that",
    }
    assert not thanked.fallback


@pytest.mark.parametrize("message", ["", "   ", "\n\t"])
def test_nothing_is_said_to_nothing(replier: Replier, message):
    assert replier.suggest(message, always=True).reason == "nothing said"


@pytest.mark.parametrize(
    "message",
    [
        "x" * 100_000,
        "word " * 20_000,
        "\x00\x07\x1b[31m",
        "Привет ik bin 你好 مرحبا",
        "🎉🎉😂",
        "?!",
        "\ud800",
    ],
)
def test_any_text_is_answered_or_not_but_never_fails(replier: Replier, message):
    found = replier.suggest(message, always=True, fallback=True)
    assert found.replies or found.reason
    assert all(np.isfinite(reply.score) for reply in found.replies)


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=200))
def test_no_text_breaks_it(bundle_file, text):
    Replier.open(bundle_file).suggest([text, Message(text, mine=True), text])


@pytest.mark.parametrize(("messages", "n"), [([], 3), ("hi", 0), ([None], 3)])
def test_bad_arguments_are_refused(replier: Replier, messages, n):
    with pytest.raises(InputError, match="expected"):
        replier.suggest(messages, n=n)


def test_answers_are_ranked(replier: Replier):
    scores = replier.rank("thank you so much", ["sounds good", "you're welcome", "at home"])
    assert scores.argmax() == 1
    with pytest.raises(InputError, match="one candidate or more"):
        replier.rank("hi", [])
    with pytest.raises(InputError, match="a sequence of texts, got the one text 'hello'"):
        replier.rank("hi", "hello")


def test_a_pick_counts_at_once_where_a_message_is_alike(replier: Replier):
    message = "where are you now"
    before = replier.intents_of(message)
    other = int(np.argsort(-before[:-1])[1])
    reply = next(reply.text for reply in replier.bundle.replies if reply.intent == other)
    replier.learn(message, reply)
    assert replier.intents_of(message)[other] > before[other]
    elsewhere = Replier(replier.bundle).intents_of("thanks a lot")
    assert replier.intents_of("thanks a lot") == pytest.approx(elsewhere, abs=0.05)
    replier.forget()
    assert replier.intents_of(message) == pytest.approx(before)


def test_what_the_user_typed_is_offered_again_and_forgotten_on_request(replier: Replier):
    message, own = "where are you now", "up in the tree"
    replier.learn(message, own)
    found = replier.suggest(message, always=True).replies
    assert (found[0].text, found[0].intent) == (own, YOURS)
    assert len(found) == 3
    replier.forget(own)
    assert own not in replier.suggest(message, always=True).texts
    with pytest.raises(InputError, match="got an empty one"):
        replier.learn(message, " ")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("My card number is 4111 1111 1111 1111 and my PIN 1234", "a payment card"),
        ("it's 4111-1111-1111-1111", "a payment card"),
        ("the code is 4921", "a code"),
        ("one two three four", "a code"),
        ("GB29 NWBK 6016 1331 9268 19", "an account number"),
        ("password is Rover!99x", "a secret"),
        ("write to me@here.org", "an address"),
        ("look at https://x.org/a", "an address"),
        ("my dog died", "sensitive: death"),
        ("привет, как дела", "language"),
        ("gоing", "language"),  # noqa: RUF001  # the second letter is Cyrillic
        ("f*** you", "language"),
        ("⚰️", "emoji"),
        ("🖕", "emoji"),
        ("🦖", "emoji"),
        ("here 🔫", "sensitive: danger"),
        ("i have the rope", "sensitive: danger"),
        ("I'm 14", "sensitive: a child"),
    ],
)
def test_secrets_and_what_would_hurt_are_never_learned(replier: Replier, reply, reason):
    message = "where are you now"
    before = replier.suggest(message, always=True)
    assert replier.learn(message, reply) is False
    assert replier.reason_against(reply) == reason
    assert replier.personal.choices == ()
    assert not replier.personal.counts.any()
    assert replier.suggest(message, always=True) == before


def test_what_an_older_version_learned_is_not_offered_again(replier: Replier):
    message = "where are you now"
    codes = signatures_of([message]).tolist()
    replier.personal = PersonalState().learned(codes, -1, "my card is 4111 1111 1111 1111")
    assert "my card is 4111 1111 1111 1111" not in replier.suggest(message, always=True).texts


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("in the tree " * 12, "in the tree " * 12),
        ("in the tree " * 12, ("in the tree " * 12)[:120]),
        ("In the  Tree", "in the tree"),
        ("up here!", " up here "),
    ],
)
def test_forgetting_finds_what_was_cut_and_differs_in_case_and_spaces(
    replier: Replier, typed, named
):
    replier.learn("where are you now", typed)
    assert len(replier.personal.choices) == 1
    replier.forget(named)
    assert replier.personal.choices == ()
    assert not replier.personal.counts.any()
    with pytest.raises(InputError, match="a reply to forget"):
        replier.forget(" ")


def test_spam_moves_nothing_by_much(replier: Replier):
    """Thousands of picks of one reply to all kinds of messages: elsewhere, the first suggestion
    stays.
    """
    probes = ["hello there", "thanks a lot", "i feel ill", "dinner tomorrow"]
    before = [replier.suggest(probe, always=True).replies[0].intent for probe in probes]
    wrong = next(
        reply.text
        for reply in replier.bundle.replies
        if replier.bundle.intents[reply.intent] == "on my way"
    )
    for number in range(2000):
        replier.learn(f"message {number} of a flood {number * 7919}", wrong)
    assert [replier.suggest(probe, always=True).replies[0].intent for probe in probes] == before


def test_in_doubt_nothing_fixed_or_typed_is_said_where_the_message_may_be_grave(replier: Replier):
    """Whoever is careful enough to hold its own replies back holds these back as well."""
    bundle = replier.bundle
    for caution, is_silent in ((0.0, False), (1e9, True)):
        trigger = replace(bundle.trigger, threshold=0.999, caution=caution)
        unsure = Replier(replace(bundle, trigger=trigger))
        message = "thanks a lot"
        assert unsure.suggest(message).reason == "not confident"
        assert unsure.suggest(message, fallback=True).fallback is not is_silent
        assert unsure.learn(message, "up in the tree")
        assert ("up in the tree" in unsure.suggest(message).texts) is not is_silent
        assert unsure.suggest(message, fallback=True).reason == ("not confident" * is_silent)


def test_what_the_user_answered_before_is_offered_where_the_model_is_not_sure(replier: Replier):
    message = "thanks a lot"
    bundle = replier.bundle
    unsure = Replier(replace(bundle, trigger=replace(bundle.trigger, threshold=1.0)))
    assert unsure.suggest(message).replies == ()
    assert unsure.learn(message, "up in the tree")
    assert unsure.suggest(message).texts == ("up in the tree",)
    assert unsure.suggest("hello there").replies == ()
