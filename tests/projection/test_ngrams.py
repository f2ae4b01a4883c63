"""N-grams of words and letters, against a reference of a few lines."""

import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.projection.folding import ALONE, BLANK, CLASS_SHIFT, DROPPED, MARK, WORD, code_table
from handheld.projection.hashing import GOLDEN, mix
from handheld.projection.ngrams import BASE, WORD_SALT, NGrams

MASK = (1 << 64) - 1


def spread(value: int) -> int:
    return int(mix(np.array([value & MASK], np.uint64))[0])


def polynomial(codes: list[int], *, rising: bool) -> int:
    """A letters' n-gram has its first character at the highest power, a word at the lowest."""
    powers = range(len(codes)) if rising else range(len(codes) - 1, -1, -1)
    return sum(
        code * pow(int(BASE), power, 1 << 64) for code, power in zip(codes, powers, strict=True)
    )


def reference(ngrams: NGrams, text: str) -> list[int]:
    """The buckets of a text, one n-gram after another."""
    codes = [BLANK]
    for letter in unicodedata.normalize("NFC", text[: ngrams.longest]):
        code = int(code_table()[ord(letter)])
        if code >> CLASS_SHIFT == DROPPED or code == BLANK == codes[-1]:
            continue
        codes.append(code)
    if codes[-1] != BLANK:
        codes.append(BLANK)
    words: dict[int, int] = {}
    place = 0
    while place < len(codes):
        end = place + 1
        if codes[place] >> CLASS_SHIFT == WORD:
            while codes[end] >> CLASS_SHIFT == WORD:
                end += 1
        if codes[place] >> CLASS_SHIFT in (WORD, ALONE, MARK):
            words[place] = spread(
                polynomial(codes[place:end], rising=True) + int(WORD_SALT) * int(GOLDEN)
            )
        place = end
    found = []
    starts = sorted(words)
    for place in range(len(codes) - 1):
        for length in ngrams.letters:
            gram = codes[place : place + length]
            if len(gram) == length and BLANK not in gram[1:-1]:
                found.append(spread(polynomial(gram, rising=False) + length * int(GOLDEN)))
        if place in words and ngrams.words:
            following = [words[start] for start in starts if start >= place][: ngrams.words]
            running = following[0]
            found.append(running)
            for other in following[1:]:
                running = spread(running * int(GOLDEN) + other)
                found.append(running)
    return [value >> (64 - ngrams.bits) for value in found]


HARD = [
    "",
    " ",
    "a",
    "hello world",
    "  two  blanks ",
    "it's late!!",
    "\u6f22\u5b57\u3067\u3059",
    "\u200d",
    "\ud800",
    "x" * 300,
    "a\nb\tc",
    "\U0001f44d\U0001f3fd ok",
    "\u0e2a\u0e27\u0e31\u0e2a",
    "e\u0301t\u00e9",
    "50% off, now.",
    "\u0645\u0631\u062d\u0628\u0627",
]


@pytest.mark.parametrize(
    "ngrams", [NGrams(), NGrams(3, (2, 3, 5), 16), NGrams(0, (4,)), NGrams(1, ())]
)
def test_buckets_are_those_of_the_reference(ngrams: NGrams):
    bag = ngrams.of(HARD)
    for number, text in enumerate(HARD):
        assert bag.hashes[bag.offsets[number] : bag.offsets[number + 1]].tolist() == reference(
            ngrams, text
        ), repr(text)


@given(st.lists(st.text(max_size=30), max_size=6))
@settings(max_examples=60, deadline=None)
def test_alone_or_among_others_a_text_has_the_same_buckets(texts: list[str]):
    bag = NGrams().of(texts)
    assert len(bag) == len(texts)
    for number, text in enumerate(texts):
        assert bag.hashes[bag.offsets[number] : bag.offsets[number + 1]].tolist() == reference(
            NGrams(), text
        )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0130Y\u0130", "iyi"),
        ("i\u0307yi\u0307", "iyi"),
        ("WHAT \u0130S THE T\u0130ME", "what is the time"),
        ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"),
        ("\uff37\uff28\uff39\uff1f", "why?"),
        ("Ne\u0301e", "N\u00c9E"),
        ("it\u2019s", "IT'S"),
    ],
)
def test_capital_and_small_letters_are_the_same(one: str, other: str):
    assert NGrams().of([one]).hashes.tolist() == NGrams().of([other]).hashes.tolist()


def test_a_long_text_is_cut_and_costs_no_more():
    ngrams = NGrams(longest=1000)
    assert ngrams.of(["y" * 2_000_000]).hashes.tolist() == ngrams.of(["y" * 1000]).hashes.tolist()


def test_hashes_do_not_depend_on_pythons_seed():
    code = (
        "from handheld.projection.ngrams import NGrams; print(NGrams().of(['what is the "
        "time?']).hashes.tolist())"
    )
    results = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("0", "1")
    }
    assert len(results) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NGrams(words=4), r"words: expected a whole number in \[0, 3\], got 4"),
        (lambda: NGrams(letters=(3, 2)), "in rising order"),
        (lambda: NGrams(letters=(1,)), r"letters\[0\]: expected a whole number in \[2, 8\], got 1"),
        (lambda: NGrams(0, ()), "got none"),
        (lambda: NGrams(bits=7), r"bits: expected a whole number in \[8, 24\], got 7"),
        (lambda: NGrams(longest=0), r"longest: expected a whole number in \[1, 1000000\], got 0"),
        (lambda: NGrams().of("one text"), "expected a list of texts, got one str"),
    ],
)
def test_what_makes_no_sense_is_named(make, message: str):
    with pytest.raises(InputError, match=message):
        make()


def test_what_an_emoji_is_varied_by_is_read_and_the_emoji_too():
    plain, varied = (
        set(NGrams().of([text]).hashes.tolist()) for text in ("ok \u2764", "ok \u2764\ufe0f")
    )
    alone = NGrams(1, ()).of(["\u2764"]).hashes[0]
    assert alone in plain
    assert alone in varied
    assert varied - plain
