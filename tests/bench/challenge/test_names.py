"""Names of strangers."""

import string

import pytest

from handheld.bench.challenge.names import clean_name, looks_of
from handheld.errors import InputError

HOSTILE = {
    "empty": "",
    "spaces": " \t ",
    "nul": "a\0b",
    "escape": "a\x1b[31mb",
    "newline": "a\nb",
    "right to left override": "abc\u202egpj",
    "isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "soft hyphen": "a\u00adb",
    "byte order mark": "\ufeffa",
    "half a letter": "a\ud83d",
    "private use": "a\ue000",
    "no character": "a\uffff",
    "tags": "a\U000e0041",
    "marks upon marks": "a\u0301\u0302\u0303\u0304",
    "too long": "a" * 41,
    "very long": "a" * 10**6,
    "long by normalisation": "\ufdfa" * 41,
    "marks alone": "\u0301\u0301",
    "letters of no width": "A\u3164",
    "blank": "\u2800",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_refused(name):
    with pytest.raises(InputError, match=r"^team: expected"):
        clean_name("team", name, 40)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Über Team", "Über Team"),
        ("  two   spaces ", "two spaces"),
        ("U\u0308ber", "Über"),
        ("<b>bold</b>", "<b>bold</b>"),  # text, which pages escape
        ("'; DROP TABLE teams; --", "'; DROP TABLE teams; --"),
        ("手", "手"),
        ("Tiếng Việt", "Tiếng Việt"),
        ("🖐", "🖐"),
        ("a" * 40, "a" * 40),
    ],
)
def test_an_honest_name_is_shown_as_it_is(sent, shown):
    assert clean_name("team", sent, 40) == shown


# "Alpha" in letters of full width, as Japanese keyboards write it
FULL_WIDTH = "".join(chr(ord(letter) + 0xFEE0) for letter in "Alpha")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alpha", "ALPHA"),
        ("Alpha", "Al pha"),
        ("Alpha", FULL_WIDTH),
        ("Team 1", "team-1"),
        ("\ufb01", "fi"),
        # Cyrillic er, a, u; Cyrillic capitals; Greek capitals; digits; two letters like one
        ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
        ("TEAM", "\u0422\u0415\u0410\u041c"),
        ("team", "\u0422\u0415\u0410\u041c"),
        ("ZETA", "\u0396\u0395\u03a4\u0391"),
        ("All", "A11"),
        ("LOGO", "L0G0"),
        ("modern", "rnodern"),
    ],
)
def test_names_that_look_alike_are_one(one, other):
    assert set(looks_of(one)) & set(looks_of(other))
    assert set(looks_of(other)) & set(looks_of(one))


def test_names_that_differ_stay_apart():
    names = ["Alpha", "Alphb", "!", "?", "手", "uber", "\xfcber", "team 2", "team 3", "команда"]
    looks = [set(looks_of(name)) for name in names]
    assert sum(len(one & other) > 0 for one in looks for other in looks) == len(names)


def test_letters_of_the_alphabet_stay_apart_but_for_known_ones():
    looks = {letter: looks_of(letter)[0] for letter in string.ascii_lowercase + string.digits}
    alike = [letter for letter in looks if list(looks.values()).count(looks[letter]) > 1]
    assert alike == ["l", "1"]
