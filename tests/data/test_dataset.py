import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.data import Dataset, Skipped, Splits
from handheld.errors import InputError


def made(*labels, classes=("a", "b")):
    return Dataset(
        np.arange(len(labels), dtype=np.float32)[:, None], np.array(labels, dtype=np.int64), classes
    )


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (np.zeros((3, 1)), [0, 1], "3 examples, but 2 labels"),
        (np.zeros((2, 1)), [0, 2], "run from 0 to 2, but there are 2 classes"),
        (np.zeros((2, 1)), [-1, 0], "run from -1"),
        (
            np.array([[0.0], [np.nan], [1.0]]),
            [0, 1, 1],
            "example 1 holds values that are not finite",
        ),
        (("x", "y"), [0.0, 1.0], "whole numbers"),
    ],
)
def test_what_does_not_fit(inputs, labels, message):
    with pytest.raises(InputError, match=message):
        Dataset(inputs, np.array(labels), ("a", "b"))


@given(
    st.lists(st.integers(0, 3), min_size=20, max_size=200), st.floats(0.05, 0.9), st.integers(0, 9)
)
def test_a_split_loses_nothing_and_holds_its_share_of_each_class(labels, fraction, seed):
    labels = [*labels, *range(4), *range(4)]
    data = made(*labels, classes=("a", "b", "c", "d"))
    rest, part = data.split(fraction, seed=seed)
    assert sorted([*rest.inputs.ravel(), *part.inputs.ravel()]) == sorted(data.inputs.ravel())
    for all_of_it, taken in zip(data.counts, part.counts, strict=True):
        assert 1 <= taken < all_of_it
        assert abs(taken - fraction * all_of_it) <= 1
    again = data.split(fraction, seed=seed)[1]
    assert again.digest == part.digest


def test_a_class_of_one_cannot_be_divided():
    with pytest.raises(InputError, match="'b' has one example"):
        made(0, 0, 1).split(0.5, seed=0)
    for fraction, message in [
        (1.0, "fraction: expected a number in .0, 1."),
        ("0.1", "got '0.1'"),
        (0.0, "above 0"),
        (float("nan"), "fraction: expected a number in .0, 1."),
    ]:
        with pytest.raises(InputError, match=message):
            made(0, 0, 1, 1).split(fraction, seed=0)
    with pytest.raises(InputError, match="seed: expected a whole number of 0 or more, got -1"):
        made(0, 0, 1, 1).split(0.5, seed=-1)


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(
        InputError, match="two classes have the name 'a': give each a name of its own"
    ):
        made(0, 1, classes=("a", "b", "a"))


def test_splits_of_other_shapes_are_refused():
    def shaped(*shape):
        return Dataset(np.zeros((2, *shape), np.uint8), np.array([0, 1]), ("a", "b"))

    with pytest.raises(
        InputError,
        match=r"the valid examples are 4 x 5 x 3, the train examples 4 x 4 x 3: .*size=.height, "
        r"width",
    ):
        Splits(shaped(4, 4, 3), shaped(4, 5, 3), shaped(4, 4, 3))
    with pytest.raises(
        InputError, match=r"the test examples are 7, the train examples 6: make them alike$"
    ):
        Splits(shaped(6), shaped(6), shaped(7))
    texts = Dataset(("x", "y"), np.array([0, 1]), ("a", "b"))
    with pytest.raises(InputError, match=r"the test examples are texts, the train examples 6"):
        Splits(shaped(6), shaped(6), texts)


def test_the_only_example_of_a_class_is_kept_if_asked():
    rest, part = made(0, 0, 1).split(0.5, seed=0, keep_single=True)
    assert (rest.counts.tolist(), part.counts.tolist()) == ([1, 1], [1, 0])
    rest, part = made(0, 1).split(0.5, seed=0, keep_single=True)
    assert (len(rest), len(part)) == (2, 0)


def test_digests_tell_data_apart():
    digests = {
        made(0, 1).digest,
        made(1, 0).digest,
        made(0, 1, classes=("b", "a")).digest,
        Dataset(("x", "y"), np.array([0, 1]), ("a", "b")).digest,
    }
    assert len(digests) == 4
    assert made(0, 1).digest == made(0, 1).digest


def test_subsets_keep_the_order_given():
    assert made(0, 1, 0).subset([2, 0]).inputs.ravel().tolist() == [2, 0]
    texts = Dataset(("x", "y", "z"), np.array([0, 1, 0]), ("a", "b"))
    assert texts.is_text
    assert texts.subset([2, 1]).inputs == ("z", "y")


def test_splits_are_checked():
    with pytest.raises(
        InputError, match="valid split is empty; 1 were left out, the first x: broken"
    ):
        Splits(made(0, 1), made(), made(0, 1), (Skipped("x", "broken"),))
    with pytest.raises(InputError, match="two classes or more to learn from, got 1"):
        Splits(made(0, 0), made(0), made(0))
    with pytest.raises(InputError, match="test split has classes"):
        Splits(made(0, 1), made(0, 1), made(0, 1, classes=("x", "y")))
