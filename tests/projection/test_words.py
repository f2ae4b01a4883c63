import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.projection.words import fingerprint, opened, words_of


@pytest.mark.parametrize(
    ("text", "open_text"),
    [
        ("It's late", "It is late"),
        ("I can't, you won't, we shan't", "I can not, you will not, we shall not"),
        ("don't I'm you're they've we'll he'd", "do not I am you are they have we will he would"),
        ("Let\u2019s go y'all", "let us go you all"),
        ("John's book, 'quoted' o'clock", "John's book, 'quoted' o'clock"),
        ("HOW'S IT", "HOW is IT"),
        ("isn't it?", "is not it?"),
    ],
)
def test_contractions_are_opened(text: str, open_text: str) -> None:
    assert opened(text) == open_text


def test_sentences_are_split_at_marks_of_which_some_are_words() -> None:
    words = words_of(["Really?! Yes, go. now", "and"])
    assert words.tokens == ["really", "?", "!", "yes", "go", "now", "and"]
    assert words.sentence.tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert words.offsets.tolist() == [0, 6, 7]


def test_golden_fingerprints() -> None:
    """Numbers that must never change: models that people trained depend on them."""
    assert [hex(fingerprint(word)) for word in ("", "hello", "\U0001f44d")] == [
        "0xb4b2797457a0a6e4",
        "0x7d34e501a8edb6a7",
        "0xb970601e4f136f3d",
    ]


@given(st.lists(st.text(), max_size=6))
def test_a_text_has_the_same_words_alone_and_among_others(texts: list[str]) -> None:
    together = words_of(texts)
    for number, text in enumerate(texts):
        alone = words_of([text])
        start, end = together.offsets[number : number + 2]
        assert alone.hashes.tolist() == together.hashes[start:end].tolist()
