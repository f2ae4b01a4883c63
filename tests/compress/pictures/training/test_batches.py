import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.training.batches import Augmentation, PictureBatches, vary
from handheld.data import Dataset
from handheld.errors import InputError


def numbered(count: int, side: int = 6) -> Dataset:
    """Pictures whose every pixel is their number."""
    inputs = np.repeat(np.arange(count, dtype=np.uint8), side * side).reshape(count, side, side, 1)
    return Dataset(inputs, np.arange(count) % 2, ("even", "odd"))


def batches(
    count: int = 10, size: int = 4, how: Augmentation | None = None, **options: int
) -> PictureBatches:
    data = numbered(count)
    return PictureBatches(
        data, Preparation.of(data), size, how, seed=options.pop("seed", 0), **options
    )


def test_an_epoch_holds_every_example_once_but_for_a_part_of_a_batch():
    drawn = np.concatenate([batches(12, 4).at(step).places for step in range(3)])
    assert sorted(drawn.tolist()) == list(range(12))
    assert batches(10, 4).per_epoch == 2


def test_a_step_is_the_same_whenever_it_is_asked():
    how = Augmentation(shift=2, cutout=2, zoom=0.8, colour=0.1)
    one, other = batches(how=how), batches(how=how)
    first = one.at(7)
    other.at(3)
    again = other.at(7)
    assert (first.inputs == again.inputs).all()
    assert (first.places == again.places).all()
    assert not (first.inputs == one.at(8).inputs).all()


def test_another_seed_gives_another_order():
    assert (batches(seed=1).at(0).places != batches(seed=2).at(0).places).any()


def test_labels_belong_to_their_pictures():
    batch = batches(20, 5).at(1)
    assert (batch.labels.numpy() == batch.places % 2).all()


def test_views_repeat_and_do_not_depend_on_the_batch():
    one = batches(8, 4, Augmentation(shift=3), views=2)
    assert [one.view_of(step) for step in range(6)] == [0, 0, 1, 1, 0, 0]
    alone = one.view(np.array([5]), 0, 1)
    among = one.view(np.array([2, 5, 7]), 9, 1)
    assert (alone[0] == among[1]).all()


def test_a_data_set_smaller_than_a_batch_is_one_batch():
    assert batches(3, 64).at(5).inputs.shape == (3, 1, 6, 6)


def test_inputs_are_normalised_and_channels_last():
    rng = np.random.default_rng(0)
    data = Dataset(
        rng.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8), np.arange(50) % 2, ("a", "b")
    )
    preparation = Preparation.of(data)
    inputs = preparation.inputs(data.inputs)
    assert inputs.shape == (50, 3, 8, 8)
    assert float(inputs.mean()) == pytest.approx(0, abs=1e-3)
    assert float(inputs.std()) == pytest.approx(1, abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 3), st.floats(0.5, 1), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000)
)
def test_variations_only_move_pixels(shift: int, zoom: float, height: int, width: int, seed: int):
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (4, height, width, 2), dtype=np.uint8)
    varied = vary(pictures, Augmentation(shift=shift, zoom=zoom), rng.random((4, 8)))
    assert varied.shape == pictures.shape
    for before, after in zip(pictures, varied, strict=True):
        assert {tuple(pixel) for pixel in after.reshape(-1, 2)} <= {
            tuple(pixel) for pixel in before.reshape(-1, 2)
        }


def test_without_variation_nothing_changes():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 7, 4, 1), dtype=np.uint8)
    same = vary(
        pictures, Augmentation(flip=False, shift=0), np.random.default_rng(1).random((5, 8))
    )
    assert (same == pictures).all()


def test_nothing_is_mirrored_that_was_not_asked_for():
    """The mirror image of a digit or a letter is another, or none."""
    pictures = np.tile(np.arange(8, dtype=np.uint8)[None, :, None], (400, 8, 1, 1))
    varied = vary(pictures, Augmentation(shift=0), np.random.default_rng(1).random((400, 8)))
    np.testing.assert_array_equal(varied, pictures)


def test_half_is_mirrored():
    pictures = np.tile(np.arange(8, dtype=np.uint8)[None, :, None], (400, 8, 1, 1))
    varied = vary(
        pictures, Augmentation(flip=True, shift=0), np.random.default_rng(1).random((400, 8))
    )
    assert 150 < (varied[:, 0, 0, 0] == 7).sum() < 250


def test_cutout_covers_its_square():
    pictures = np.zeros((1, 10, 10, 1), np.uint8)
    pictures[:, :, :5] = 200
    random = np.full((1, 8), 0.5)
    varied = vary(pictures, Augmentation(flip=False, shift=0, cutout=4), random)
    assert (varied == 100).sum() == 16


@pytest.mark.parametrize(
    "wrong", [{"shift": -1}, {"cutout": -2}, {"zoom": 0.0}, {"zoom": 1.5}, {"colour": 1.0}]
)
def test_impossible_variations_are_refused(wrong: dict[str, float]):
    with pytest.raises(InputError, match=f"^{next(iter(wrong))}: expected"):
        Augmentation(**wrong)


def test_texts_are_refused():
    texts = Dataset(("a", "b"), np.array([0, 1]), ("x", "y"))
    with pytest.raises(InputError, match="these are texts, expected pictures"):
        Preparation.of(texts)
