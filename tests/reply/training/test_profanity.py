"""Profanity in disguise is found, and innocent words that hold or resemble it are not."""

import re
from importlib import resources

import pytest

from handheld.reply.training.profanity import is_profane

LINES = (
    resources.files("handheld.reply")
    .joinpath("assets", "profanity.txt")
    .read_text("utf-8")
    .splitlines()
)

PROFANE_WORDS = """
BITCHES! fuck unfuckingbelievable FUCK f.u.c.k f-u-c-k sh1t $h1t sh!t 5h1t shiiit shitt sshhiitt
bullshit! b1tch b!tch a$$hole @ss a$$ asss f**k f*ck f*** s**t m*th*rf*cker b**** sh*tty p0rn d1ck
c0ck n1gg3r f4gg0t dumb-ass dumb_ass half-assed cunt twats wanker douchebag slut whores motherfucker
moron retarded kike spics tranny faggots rapist kys stfu lmaooo nazis pussies tits jizz horny nudes
"""
PROFANE = (
    *PROFANE_WORDS.split(),
    "you bitch",
    "*gets all the bitches*",
    "what the fuuuuck",
    "f u c k off",
    "fck this",
    "\uff46\uff55\uff43\uff4b",
    "\uff26\uff35\uff23\uff2b",
    "f\xfcck",
    "fu\u200bck",
    "fu\u0301ck",
    "\U0001d41f\U0001d42e\U0001d41c\U0001d424",
    "son of a b",
    "blow job",
    "Hand Jobs",
    "kill yourself",
)
INNOCENT_WORDS = """
class assess assessment Dickens Essex Sussex cockpit cocktail peacock shiitake shitake Scunthorpe
analysis analyse grape grapes scrape drapes therapist bass pass passes assume assassin classic
embarrass title titan document cucumber circumstance accumulate mishit Matsushita Penistone
Lightwater Arsenal arsenic Hancock Middlesex sextet saturday snigger niggardly niggle Nigeria
raccoon cocoon hoard whoever rapper rapping bonner hello shuttle as A55 455 5*** 2*3*4 their*
*really* a*b 10+ C++ 100% U.S.A. woops Uranus Moscow kkkkk gassy brass damn stupid crap constitution
"""
INNOCENT = (
    *INNOCENT_WORDS.split(),
    "push it",
    "see u soon",
    "i c u",
    "as usual",
    "pen is mine",
    "I. T. department",
    "Spa\xdf",
    "\u0141ass",
    "what the hell",
    "it is mid-week",
)


@pytest.mark.parametrize("text", PROFANE)
def test_profanity_is_found(text):
    assert is_profane(text)
    assert is_profane(f"well, {text}, she said")


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_words_pass(text):
    assert not is_profane(text)
    assert not is_profane(f"well, {text}, she said")


WORDS = [line.split() for line in LINES if line and line[0] not in "#!+*"]


def test_every_word_of_the_list_is_found_in_capitals_and_stretched():
    for stem, *endings in WORDS:
        for ending in endings or ["-"]:
            word = stem + ending.strip("-")
            assert is_profane(word.upper()), word
            assert is_profane(word[0] + word[1] * 4 + word[2:]), word


def test_every_innocent_word_of_the_list_needs_its_line(monkeypatch):
    from handheld.reply.training import profanity

    innocent = [word for line in LINES if line.startswith("!") for word in line[1:].split()]
    assert not any(map(is_profane, innocent))
    words = profanity._words()._replace(innocent=frozenset())
    monkeypatch.setattr(profanity, "_words", lambda: words)
    assert [word for word in innocent if not is_profane(word)] == []


def test_the_list_is_as_its_reader_takes_it():
    for line in LINES:
        assert re.fullmatch(r"(#.*)?|[!+] [a-z ]+|\*[a-z]+\*|[a-z]+( (-|[a-z]+))*", line), line
    stems = [stem for stem, *_ in WORDS]
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []
