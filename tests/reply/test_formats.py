import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.reply.formats import emoji_in, format_of, latin_share


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "nothing said"),
        (" \n\t", "nothing said"),
        ("\u200b\u200d\ufeff", "nothing said"),
        ("😂", "emoji"),
        ("👍🏽", "emoji"),
        ("❤️❤️!!", "emoji"),
        ("1️⃣", "emoji"),
        ("👨‍👩‍👧", "emoji"),
        ("...", "no words"),
        ("?!", "no words"),
        ("https://example.org/a?b=1", "link"),
        ("look at www.example.org", "link"),
        ("write to ann@example.org", "link"),
        ("bit.ly/3xyz", "link"),
        ("0161 496 0999", "number"),
        ("call me on +44 7700 900123", "number"),
        ("4111 1111 1111 1111", "number"),
        ("8842", "number"),
        ("SW1A 2AA", "number"),
        ("12 Acacia Avenue, Leeds", "number"),
        ("git push origin main", "code"),
        ('{"name": "x", "id": 3}', "code"),
        ("for (int i = 0; i < n; i++) {", "code"),
        ("def f(x): return x", "code"),
        ("SELECT name FROM users WHERE id = 3;", "code"),
        ("Traceback (most recent call last)", "code"),
        ("sudo apt-get install vim", "code"),
        ("<div class='a'>hi</div>", "code"),
        ("Your verification code is 5521", "automatic"),
        ("Reply STOP to end", "automatic"),
        ("T&Cs apply", "automatic"),
        ("This is an automated message", "automatic"),
        ("привет, как дела", "language"),
        ("今晚一起吃饭吗", "language"),
        ("지금 어디야", "language"),
        ("كيف حالك", "language"),
        ("word " * 51, "long"),
        ("see you at 7", ""),
        ("7:30?", ""),
        ("10", ""),
        ("50%", ""),
        ("be there in 5 mins", ""),
        ("what's your number", ""),
        ("reply when you can", ""),
        ("can you text yes or no to mum", ""),
        ("i'm in class = bored", ""),
        ("café at 8? 😀", ""),
        ("ok.thanks", ""),
        ("Can't wait (so excited)!", ""),
        ("let me know", ""),
        ("import the wine please", ""),
        ("imgoingtokillmyself", "run together"),
        ("so wearemeetingatthepub at 7", "run together"),
        ("hahahahahahahahahahahahaha", ""),
        ("noooooooooooooooooooooo", ""),
        ("congratulations on your responsibilities", ""),
        ("my mother-in-law's-birthday-cake", ""),
        ("class is at 9; bring a pen", ""),
    ],
)
def test_the_form_of_a_message_is_known(text, expected):
    assert format_of(text) == expected


@given(st.text())
def test_any_text_has_one_form_and_emoji_are_none_of_its_letters(text):
    assert isinstance(format_of(text), str)
    assert not any(emoji.isalnum() for emoji in emoji_in(text))
    assert 0 <= latin_share(text) <= 1


def test_mathematical_and_wide_letters_are_latin():
    assert latin_share("\uff48\uff45\uff4c\uff4c\uff4f") == 1
    assert latin_share("\U0001d4bd\U0001d452") == 1
    assert latin_share("ab\u0431\u0430") == 0.5


@pytest.mark.parametrize("piece", ["A.", "a", "http://a", "😂", "\u200b", "1 ", "a@"])
def test_a_message_without_end_is_long_and_nothing_looks_for_links_in_it(piece, monkeypatch):
    monkeypatch.setattr("handheld.reply.formats._LINK", None)
    assert format_of(piece * 100_000) == "long"
