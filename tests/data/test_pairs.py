from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from handheld.data import from_pairs
from handheld.errors import InputError

Array = np.ndarray


RAMP = np.linspace(0, 1, 12).reshape(3, 4)


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
    data = from_pairs(
        [(make(picture), n % 2) for n, picture in enumerate(pictures)],
        test=[(make(pictures[3]), 1)],
    )
    assert np.array_equal(
        data.test.inputs[0], pictures[3, ..., :1] if kind == "grey array" else pictures[3]
    )
    assert data.classes == ("0", "1")


def test_texts_and_their_classes():
    data = from_pairs([("yes", 0), ("no", 1)] * 10, classes=["agree", "refuse"])
    assert data.train.is_text
    assert data.classes == ("agree", "refuse")


def test_what_cannot_be_read_is_named_left_out_and_counted():
    data = from_pairs(
        Squares(40, broken=(3, 8)), test=[(np.full((4, 6, 3), np.nan), 0), (np.zeros((4, 6, 3)), 1)]
    )
    assert [skipped.name for skipped in data.skipped] == [
        "train example 3",
        "train example 8",
        "test example 0",
    ]
    assert data.skipped[0].reason == "truncated"
    assert "not finite" in data.skipped[2].reason
    assert len(data.test) == 1


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "holds no pairs"),
        (Squares(2, broken=(0, 1)), "no pair of the training data could be read"),
        (
            [(torch.full((1, 4, 4), -0.42), 0)] * 4,
            "train example 0: float32 of -0.42 to -0.42; expected .* not normalised: say "
            "which number is white",
        ),
        ([(np.zeros((4, 4), np.int32), 0)] * 4, "int32 of 0 to 0; expected 0 to 255 or 0 to 65535"),
        ([(np.zeros(4, np.uint8), 0)] * 4, "expected a picture .* or a text, got ndarray"),
        ([(np.zeros((4, 4), np.uint8), 0.5)] * 4, "expected a whole number as its label, got 0.5"),
        ([(np.zeros((4, n + 4), np.uint8), 0) for n in range(3)], "different sizes, .*resize them"),
        ([(np.zeros((4, 4), np.uint8), 0), ("text", 0)] * 4, "different sizes, .* and a text"),
        ([(np.zeros((4, 4), np.uint8), -1)] * 4, "labels run from -1"),
        (
            [(np.zeros((4, 4), np.uint8), n * 2**40) for n in range(4)],
            "so many classes need names: give them as `classes`",
        ),
        ([(np.zeros((4, 4), np.uint8), 0)] * 4, "two classes or more"),
        (
            [(RAMP, 0, "path")] * 4,
            "example 0: expected a pair .example, label., got 3 values: give the two that "
            "are meant",
        ),
        (
            [{"image": RAMP, "label": 0}] * 4,
            "expected a pair .*, got a dictionary of 'image', 'label': give the two of them",
        ),
        (["text", "other"], "train example 0: expected a pair .example, label., got a str"),
        ([7, 8], "train example 0: expected a pair .example, label., got a int"),
        ({"train": [(RAMP, 0)]}, "train: expected a list of .example, label., .* got a dict"),
        (
            (pair for pair in [(RAMP, 0)]),
            "train: expected a list of .example, label., .* got a generator",
        ),
        (0.5, "train: expected a list of .example, label., .* got a float"),
        ([(object(), 0)] * 4, "train example 0: expected a picture .* or a text, got object"),
    ],
)
def test_what_no_data_can_be_made_of(train: object, message: str):
    with pytest.raises(InputError, match=message):
        from_pairs(train)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"valid": "0.1"}, "valid: expected a list of .example, label., .* got a str"),
        ({"valid": None}, "valid: expected a list .* got a NoneType"),
        ({"test": 1.5}, "test: expected a number in \\[0, 1\\), got 1.5"),
        ({"test": True}, "test: expected a number in \\[0, 1\\), got True"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, got -1"),
        ({"white": "255"}, "white: expected a number in \\(0, inf\\), got '255'"),
        ({"classes": "ab"}, "classes: expected a list of names, got 'ab'"),
        ({"classes": ["a", "a"]}, "two classes have the name 'a'"),
    ],
)
def test_arguments_that_say_nothing_are_named(how: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        from_pairs([(RAMP, 0), (1 - RAMP, 1)] * 5, **how)  # type: ignore[arg-type]


def test_names_of_classes_may_be_an_array():
    assert from_pairs([(RAMP, 0), (1 - RAMP, 1)] * 5, classes=np.array([7, 9])).classes == (
        "7",
        "9",
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind",
    [
        lambda tensor: tensor.clone().requires_grad_(),
        lambda tensor: tensor.to(torch.bfloat16),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.half(),
    ],
    ids=["learning", "bfloat16", "sparse", "half"],
)
def test_tensors_of_every_kind_are_pictures(kind: Callable[[torch.Tensor], torch.Tensor]):
    tensor = torch.tensor([[[0.0, 0.25], [0.5, 1.0]]])
    assert of_one(kind(tensor))[..., 0].tolist() == [[0, 64], [128, 255]]


def test_texts_that_say_nothing_are_left_out_and_named():
    data = from_pairs([("yes", 0), ("no", 1), (" ", 0)] * 5)
    assert [(one.name, one.reason) for one in data.skipped[:2]] == [
        ("train example 2", "expected a text, got none"),
        ("train example 5", "expected a text, got none"),
    ]
    assert len(data.train) + len(data.valid) + len(data.test) == 10


def of_one(*pictures: object, **how: object) -> Array:
    """Give pictures to learn from, two of each class, and return what became of the first."""
    pairs = [(picture, number % 2) for number, picture in enumerate([*pictures, *pictures] * 2)]
    data = from_pairs(pairs, test=pairs[:1], **how)  # type: ignore[arg-type]
    return np.asarray(data.test.inputs[0])


IN_BYTES = np.rint(RAMP * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        RAMP,
        RAMP.astype(np.float32),
        IN_BYTES.astype(np.float64),
        IN_BYTES.astype(np.int64),
        (RAMP * 65535).astype(np.uint16),
        (RAMP * 65535).astype(np.int32),
        Image.fromarray(IN_BYTES),
        Image.fromarray((RAMP * 65535).astype(np.uint16)),
        Image.fromarray(RAMP.astype(np.float32)),
    ],
    ids=[
        "double",
        "float",
        "float bytes",
        "int bytes",
        "16 bit",
        "16 in 32",
        "Pillow L",
        "Pillow I;16",
        "Pillow F",
    ],
)
def test_depths_are_brought_to_eight_bits(picture: object):
    read = of_one(picture)
    assert read.shape == (3, 4, 1)
    assert np.abs(read[..., 0].astype(int) - IN_BYTES).max() <= 1


def test_a_dark_picture_is_read_as_the_bright_ones_are():
    dark = np.full((3, 4), 40.0)
    assert of_one(dark, np.full((3, 4), 255.0))[0, 0, 0] == 40
    assert of_one(np.full((3, 4), 300, np.uint16), np.full((3, 4), 65535, np.uint16))[0, 0, 0] == 1


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([RAMP * 16], r"float64 of 0 to 16; expected 0 to 1 or 0 to 255, .*white=1, white=255"),
        ([(RAMP * 4095).astype(np.uint16)], "uint16 of 0 to 4095; expected 0 to 255 or 0 to 65535"),
        ([IN_BYTES.astype(np.uint16) // 4], "uint16 of 0 to 63"),
        (
            [RAMP, IN_BYTES.astype(float)],
            "example 1: values of 0 to 255, but train example 0 has 0 to 1: say which number",
        ),
    ],
    ids=["scikit-learn's digits", "12 bits", "dark", "both"],
)
def test_numbers_whose_white_is_not_known_are_refused(pictures: list[object], message: str):
    with pytest.raises(InputError, match=message):
        of_one(*pictures)


def test_white_can_be_said():
    assert of_one(RAMP * 16, white=16)[-1, -1, 0] == 255
    assert of_one(np.full((3, 4), 1, np.uint8), white=1)[0, 0, 0] == 255
    with pytest.raises(InputError, match="values of 0 to 16; expected 0 to 8, which is white"):
        of_one(RAMP * 16, white=8)


COLOURED = np.random.default_rng(1).integers(0, 256, (8, 6, 3), dtype=np.uint8)


def test_channels_first_are_found_or_said():
    first = np.moveaxis(COLOURED, -1, 0)
    assert np.array_equal(of_one(first), COLOURED)
    assert np.array_equal(of_one(first[:1]), COLOURED[..., :1])
    assert np.array_equal(of_one(torch.from_numpy(COLOURED)), COLOURED)
    assert of_one(np.zeros((3, 3, 3), np.uint8), channels="first").shape == (3, 3, 3)
    assert of_one(np.zeros((1, 9, 3), np.uint8), channels="last").shape == (1, 9, 3)
    assert of_one(np.zeros((1, 9, 3), np.uint8), channels="first").shape == (9, 3, 1)
    assert of_one(np.zeros((4, 6, 3), np.uint8)).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 8, 3), '3 x 8 x 3 could have its channels first or last: .*channels="last"'),
        ((1, 8, 4), "1 x 8 x 4 could have its channels first or last"),
        ((8, 8, 4), "8 x 8 x 4 has 4 channels, .* alpha"),
        ((4, 8, 8), "4 x 8 x 8 has 4 channels, .* alpha"),
        ((2, 8, 8), "2 x 8 x 8 has 8 channels, expected 1 or 3"),
        ((8, 8, 2), "8 x 8 x 2 has 2 channels, expected 1 or 3"),
    ],
)
def test_other_channels_are_refused(shape: tuple[int, ...], message: str):
    with pytest.raises(InputError, match=f"train example 0: {message}"):
        of_one(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("picture", "colour"),
    [
        (Image.new("RGBA", (4, 3), (200, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 3), (200, 0, 0, 255)), (200, 0, 0)),
        (Image.new("LA", (4, 3), (0, 0)), (255,)),
        (
            Image.new("RGB", (4, 3), (200, 100, 50)).convert("P", palette=Image.Palette.ADAPTIVE),
            (200, 100, 50),
        ),
        (Image.new("1", (4, 3), 1), (255,)),
        (Image.new("CMYK", (4, 3), (0, 255, 255, 0)), (255, 0, 0)),
    ],
    ids=["see-through", "opaque", "see-through grey", "palette", "two colours", "CMYK"],
)
def test_pictures_of_pillow_in_any_mode(picture: Image.Image, colour: tuple[int, ...]):
    assert np.abs(of_one(picture)[0, 0].astype(int) - colour).max() <= 1


def test_a_picture_of_pillow_without_a_known_range_is_refused():
    with pytest.raises(
        InputError, match="train example 0: float32 of 0 to 16; expected 0 to 1 or 0 to 255"
    ):
        of_one(Image.fromarray(RAMP.astype(np.float32) * 16))
    assert of_one(Image.fromarray(RAMP.astype(np.float32) * 16), white=16)[-1, -1, 0] == 255


def test_numbers_that_no_example_has_are_no_classes():
    pictures = np.random.default_rng(0).integers(0, 256, (20, 4, 5), dtype=np.uint8)
    data = from_pairs([(picture, 1 + number % 2) for number, picture in enumerate(pictures)])
    assert data.classes == ("1", "2")
    assert set(data.train.labels.tolist()) == {0, 1}
    assert data.notes == ("no example has label 0: the classes are the 2 numbers that are there",)
    named = from_pairs(
        [(picture, 1 + number % 2) for number, picture in enumerate(pictures)],
        classes=["none", "a", "b"],
    )
    assert named.classes == ("none", "a", "b")
    assert named.notes == ()


def test_examples_in_two_splits_are_counted():
    texts = [(f"text {number}", number % 2) for number in range(20)]
    data = from_pairs(
        texts, valid=[("new", 0), ("text 3", 1)], test=[("text 4", 0), ("text 5", 1), ("new", 1)]
    )
    assert data.notes == (
        "1 of the 2 validation examples also in the training split: accuracy on them says little",
        "2 of the 3 test examples also in the training split: accuracy on them says little",
        "1 of the 3 test examples also in the validation split: accuracy on them says little",
    )


def test_half_a_letter_is_named_by_its_example():
    with pytest.raises(
        InputError,
        match=r"example 1 holds half a letter, which no file can take: 'no \\ud83d'; leave it out",
    ):
        from_pairs([("yes", 0), ("no \ud83d", 1)] * 10)
