import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from handheld.data import from_pairs
from handheld.errors import InputError

Array = np.ndarray


class Squares(TorchDataset):  # type: ignore[type-arg]
    """Dark squares are of class 0, bright ones of class 1; some cannot be read."""

    classes = ("dark", "bright")

    def __init__(self, count: int, broken: tuple[int, ...] = ()):
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index in self.broken:
            raise OSError("truncated")
        value = 0.25 + 0.5 * (index % 2)
        return torch.full((3, 4, 6), value), index % 2


def test_a_torch_dataset_becomes_pictures_with_the_names_of_its_classes():
    data = from_pairs(Squares(40), valid=0.25, test=Squares(10))
    assert (len(data.train), len(data.valid), len(data.test)) == (30, 10, 10)
    assert data.classes == ("dark", "bright")
    assert data.test.inputs.shape == (10, 4, 6, 3)
    assert data.test.inputs.dtype == np.uint8
    assert data.test.inputs[0, 0, 0, 0] == 64
    assert data.test.labels.tolist() == [0, 1] * 5


@pytest.mark.parametrize("kind", ["array", "grey array", "Pillow", "uint8 tensor"])
def test_each_kind_of_picture(kind: str):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (20, 5, 7, 3), dtype=np.uint8)
    make = {
        "array": lambda a: a,
        "grey array": lambda a: a[..., 0],
        "Pillow": Image.fromarray,
        "uint8 tensor": lambda a: torch.from_numpy(np.moveaxis(a, -1, 0).copy()),
    }[kind]
    data = from_pairs([(make(picture), n % 2) for n, picture in enumerate(pictures)], test=[(make(pictures[3]), 1)])
    assert np.array_equal(data.test.inputs[0], pictures[3, ..., :1] if kind == "grey array" else pictures[3])
    assert data.classes == ("0", "1")


def test_texts_and_their_classes():
    data = from_pairs([("yes", 0), ("no", 1)] * 10, classes=["agree", "refuse"])
    assert data.train.is_text
    assert data.classes == ("agree", "refuse")


def test_what_cannot_be_read_is_named_left_out_and_counted():
    data = from_pairs(Squares(40, broken=(3, 8)), test=[(np.full((4, 6, 3), np.nan), 0), (np.zeros((4, 6, 3)), 1)])
    assert [skipped.name for skipped in data.skipped] == ["train example 3", "train example 8", "test example 0"]
    assert data.skipped[0].reason == "truncated"
    assert "not finite" in data.skipped[2].reason
    assert len(data.test) == 1


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "holds no pairs"),
        (Squares(2, broken=(0, 1)), "no pair of the training data could be read"),
        ([(torch.full((1, 4, 4), -0.42), 0)] * 4, "train example 0: values of -0.42 to -0.42; expected .* not normalised"),
        ([(np.zeros((4, 4), np.int32), 0)] * 4, "expected uint8, or floats of 0 to 1, got int32"),
        ([(np.zeros(4, np.uint8), 0)] * 4, "expected a picture .* or a text, got ndarray"),
        ([(np.zeros((4, 4), np.uint8), 0.5)] * 4, "expected a whole number as its label, got 0.5"),
        ([(np.zeros((4, n + 4), np.uint8), 0) for n in range(3)], "different sizes, .*resize them"),
        ([(np.zeros((4, 4), np.uint8), 0), ("text", 0)] * 4, "different sizes, .* and a text"),
        ([(np.zeros((4, 4), np.uint8), -1)] * 4, "labels run from -1"),
        ([(np.zeros((4, 4), np.uint8), 0)] * 4, "two classes or more"),
    ],
)
def test_what_no_data_can_be_made_of(train: object, message: str):
    with pytest.raises(InputError, match=message):
        from_pairs(train)  # type: ignore[arg-type]
