import json
import unicodedata
from importlib import resources

import pytest

from handheld.projection.characters import UNICODE, made, normalised, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hey, how is it going?", ["hey", ".", "how", "is", "it", "going", "?"]),
        ("NO!!! why???", ["no", "!", "why", "?"]),
        ("Ne\u0301e N\u00c9E", ["n\u00e9e", "n\u00e9e"]),
        (
            "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
            ["\u043f\u0440\u0438\u0432\u0435\u0442", "\u043c\u0438\u0440"],
        ),
        ("\u6f22\u5b57\u3067\u3059\u3002", ["\u6f22", "\u5b57", "\u3067", "\u3059", "."]),
        ("\ud55c\uad6d\uc5b4 \uc88b\uc544", ["\ud55c\uad6d\uc5b4", "\uc88b\uc544"]),
        ("\U0001f44d\U0001f3fd\U0001f44d ok", ["\U0001f44d", "\U0001f44d", "ok"]),
        ("\u2764\ufe0f", ["\u2764"]),
        ("\U0001f468\u200d\U0001f469", ["\U0001f468", "\U0001f469"]),
        ("\uff37\uff28\uff39\uff1f", ["why", "?"]),
        ("\U0001d4f1\U0001d4ee\U0001d502", ["hey"]),
        ("a\x00b\x1fc\ud800d", ["a", "b", "c", "d"]),
        ("snake_case-and/or", ["snake_case", "and", "or"]),
        ("", []),
        (" \t\n\u2003", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    assert tokens(normalised(text)) == words


@pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE,
    reason=f"Python's tables are not those of Unicode {UNICODE}",
)
def test_the_file_is_what_the_command_writes() -> None:
    shipped = (
        resources.files("handheld.projection")
        .joinpath("assets", "characters.json")
        .read_text("ascii")
    )
    assert json.loads(shipped) == made()
