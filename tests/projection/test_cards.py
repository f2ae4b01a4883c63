"""What a card says of its reader, and what is wrong with it."""

import json

import pytest

from handheld.errors import InputError
from handheld.projection import Features
from handheld.projection.cards import reader_of
from handheld.projection.inputs import Rows, WordNumbers

FEATURES = Features(words=2, skips=0, letters=(3,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reads": "minds"}, "no entry text that says what is read"),
        ({"rows": None}, "text.rows is None, expected a whole number"),
        ({"rows": True}, "text.rows is True"),
        ({"rows": -3}, "rows: expected a whole number in"),
        ({"length": 1e9}, "text.length"),
        ({"words": 99}, "words: expected a whole number in"),
        ({"letters": "34"}, "text.letters is '34', expected a list"),
        ({"letters": [3, 0.5]}, "text.letters"),
    ],
)
def test_what_is_wrong_on_a_card_is_named(change: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        reader_of({**json.loads(json.dumps(Rows(FEATURES, 4096).card())), **change})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"reads": "parts"}, "text.parts is None, expected a list of entries"),
        ({"reads": "parts", "parts": [3]}, "text.parts"),
        ({"reads": "parts", "parts": [WordNumbers().card()]}, "expected each to read rows"),
        ({"reads": "parts", "parts": []}, "one table or more"),
        (
            {"reads": "words", "length": 0, "buckets": 5},
            r"length: expected a whole number in \[1, 65536\]",
        ),
    ],
)
def test_what_is_wrong_with_parts_and_words_is_named(entry: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        reader_of(entry)


@pytest.mark.parametrize("entry", [None, "rows", {}, []])
def test_no_entry_at_all(entry: object):
    with pytest.raises(InputError, match="no entry text"):
        reader_of(entry)
