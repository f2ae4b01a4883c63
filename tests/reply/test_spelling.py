"""Words that are disguised are read plainly too, and what is plain already is left alone."""

import pytest

from handheld.reply import Message, Replier
from handheld.reply.spelling import hides_letters, plain_readings


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("k1ll myself", "kill myself"),
        ("h3 h1t m3 aga1n", "he hit me again"),
        ("su1c1d@l", "suicidal"),
        ("d i e d", "died"),
        ("k.y.s", "kys"),
        ("k-y-s now", "kys now"),
        ("he_hit_me", "he hit me"),
        ("my dog diiied", "my dog died"),
        ("k1ll me at 5pm on the 1st", "kill me at 5pm on the 1st"),
    ],
)
def test_a_disguised_word_is_read_plainly(text, reading):
    assert reading in plain_readings(text)


@pytest.mark.parametrize(
    "text",
    [
        "see you at 5pm on the 1st", "ps5 or xbox?", "it's 3 a.m.", "a b", "i.e. today", "h2o",
        "4 of us, 2 kids", "gr8", "b4 8", "wow!! ok", "what?!", "lunch @ 1", "all good", "",
    ],
)  # fmt: skip
def test_plain_words_have_no_other_reading(text):
    assert plain_readings(text) == []


def test_letters_that_are_hidden_are_noticed():
    assert hides_letters("he r*ped me")
    assert hides_letters("s*******n")
    assert hides_letters("\u202e11 ta ybab eht tsol I")
    assert not hides_letters("that was *so* good, 3*4 is 12")


@pytest.mark.parametrize(
    "text",
    [
        "h3 h1t m3 aga1n", "gr4ndp4 d1ed", "my dog diiiied", "I w4nt to d1e", "k1ll mys3lf",
        "he r*ped me", "she was s******d", "b_l_e_e_d_i_n_g everywhere", "i_want_to_die",
        "i want to d i e", "it's maaalignaaant",
    ],
)  # fmt: skip
def test_a_grave_message_is_grave_however_it_is_spelled(shipped: Replier, text):
    for always in (False, True):
        assert shipped.suggest(text, fallback=True, always=always).replies == ()


def test_what_was_said_before_is_read_plainly_too(shipped: Replier):
    talk = [Message("my dad d1ed th1s m0rning"), Message("oh", mine=True), Message("thanks!")]
    plain = [Message("my dad died this morning"), *talk[1:]]
    assert shipped.suggest(talk, always=True).texts == shipped.suggest(plain, always=True).texts


@pytest.mark.parametrize("text", ["soooo hungry, pizza?", "thanks sooo much"])
def test_joy_that_is_drawn_out_is_answered(shipped: Replier, text):
    assert shipped.suggest(text).replies


def test_what_is_disguised_is_not_learned(shipped: Replier):
    replier = Replier(shipped.bundle)
    for reply in ("k y s", "k.y.s", "k1ll y0urself", "f*** you", "kiiiill yourself"):
        assert not replier.learn("what do you think?", reply)
