import json

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.projection import Features, Signs
from handheld.projection.cards import reader_of
from handheld.projection.inputs import Bits, Parts, Reader, Rows, WordNumbers

FEATURES = Features(words=2, skips=1, letters=(3,))


def test_rows_of_a_text_and_zeros_behind_them():
    rows = Rows(Features(words=1, skips=0), rows=50, length=4)
    found = rows.of(["a b a", "", "a b c d e f g h"])
    assert found.shape == (3, 4)
    assert found.dtype == np.int32
    assert found[0, 0] == found[0, 2] != found[0, 1]
    assert found[0, 3] == 50
    assert found[1].tolist() == [50] * 4
    assert (
        found[2].tolist() == rows.of(["a c e g"])[0].tolist()
    )  # of too many, some at even distances
    assert found[found != 50].max() < 50


def test_features_fall_on_all_rows_alike():
    bag = Features(words=1, skips=0).of([" ".join(f"w{n}" for n in range(20_000))])
    counts = np.bincount(Rows(FEATURES, 100).numbers(bag), minlength=100)
    assert counts.min() > 130
    assert counts.max() < 270


def test_bits_are_signs():
    reader = Bits(FEATURES, Signs(3, 5, seed=2))
    found = reader.of(["good day", ""])
    assert found.shape == (2, 15)
    assert np.array_equal(found > 0, Signs(3, 5, seed=2).of(FEATURES.of(["good day", ""])))


def test_tables_side_by_side():
    first, second = Rows(FEATURES, 50, 8), Rows(Features(1, 0), 60, 4)
    found = Parts((first, second)).of(["good day"])
    assert found[0].tolist() == [
        *first.of(["good day"])[0].tolist(),
        *second.of(["good day"])[0].tolist(),
    ]
    with pytest.raises(InputError, match="one table or more"):
        Parts(())


@pytest.mark.parametrize(
    "reader",
    [
        Rows(FEATURES, 4096, 128),
        Bits(Features(), Signs(60, 14, seed=9)),
        Parts((Rows(FEATURES, 50, 8), Rows(Features(1, 0), 60, 4))),
        WordNumbers(16, 500),
    ],
)
def test_a_card_says_how_a_text_is_read(reader: Reader):
    assert reader_of(json.loads(json.dumps(reader.card()))) == reader
