from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.projection.features import Features
from handheld.projection.words import words_of


def test_plain_n_grams_are_counted() -> None:
    assert np.diff(
        Features(words=3, skips=0).of(["a b c d", "a. b", "", "a"]).offsets
    ).tolist() == [9, 2, 0, 1]


@pytest.mark.parametrize(("words", "skips"), [(2, 0), (2, 2), (3, 1), (3, 2), (4, 3)])
def test_n_grams_with_gaps_are_all_those_within_reach(words: int, skips: int) -> None:
    count = 6
    wanted = sum(
        all(b - a <= skips + 1 for a, b in pairwise(chosen))
        for size in range(1, words + 1)
        for chosen in combinations(range(count), size)
    )
    bag = Features(words=words, skips=skips).of(["a b c d e f"])
    assert len(bag.hashes) == len(set(bag.hashes.tolist())) == wanted


def test_a_gap_makes_no_difference_but_order_does() -> None:
    features = Features(words=2, skips=1)
    gap, none, turned = (
        set(features.of([text]).hashes.tolist())
        for text in ("how is going", "how going", "going how")
    )
    assert none <= gap
    assert len(none & turned) == 2  # the two words


def test_letters_of_words_with_their_edges() -> None:
    bag = Features(words=0, letters=(2, 3)).of(["ok", "ok ok", "o"])
    assert np.diff(bag.offsets).tolist() == [5, 10, 3]  # <o ok k> <ok ok>; <o o> <o>
    assert not set(bag.hashes.tolist()) & set(words_of(["<o ok k> <ok ok>"]).hashes.tolist())


def test_words_and_letters_together() -> None:
    both = Features(words=2, skips=0, letters=(3,)).of(["go on", "", "yes"])
    words = Features(words=2, skips=0).of(["go on", "", "yes"])
    letters = Features(words=0, letters=(3,)).of(["go on", "", "yes"])
    assert both.offsets.tolist() == (words.offsets + letters.offsets).tolist()
    assert both.hashes[:3].tolist() == words.hashes[:3].tolist()
    assert sorted(both.hashes.tolist()) == sorted(
        [*words.hashes.tolist(), *letters.hashes.tolist()]
    )


@given(st.lists(st.text(st.sampled_from("ab .?\U0001f44d\u6f22'"), max_size=20), max_size=6))
@pytest.mark.parametrize(
    "features", [Features(), Features(2, 1, (3, 4)), Features(0, 0, (1, 8)), Features(1, 0)]
)
def test_a_text_has_the_same_features_alone_and_among_others(
    features: Features, texts: list[str]
) -> None:
    together = features.of(texts)
    assert len(together) == len(texts)
    for number, text in enumerate(texts):
        start, end = together.offsets[number : number + 2]
        assert features.of([text]).hashes.tolist() == together.hashes[start:end].tolist()


def test_some_of_the_texts() -> None:
    texts = ["go on", "", "yes", "no way out"]
    bag = Features(words=2).of(texts)
    some, wanted = (
        bag.take(np.array([3, 1, 0, 3])),
        Features(words=2).of(["no way out", "", "go on", "no way out"]),
    )
    assert some.offsets.tolist() == wanted.offsets.tolist()
    assert some.hashes.tolist() == wanted.hashes.tolist()


def test_golden_features() -> None:
    bag = Features(words=2, skips=1, letters=(3,)).of(["how's it going?"])
    assert [hex(value) for value in bag.hashes[[0, 1, -1]].tolist()] == [
        "0xcc850737b9dc88aa",
        "0xb29eb29f31385a51",
        "0x6f2ea888ec3ee6e3",
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"words": 6}, {"words": -1}, {"skips": 4}, {"letters": (0,)}, {"letters": (9,)}, {"words": 0}],
)
def test_numbers_outside_of_what_is_known(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Features(**wrong)  # type: ignore[arg-type]
