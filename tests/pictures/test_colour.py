from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PillowImage

from handheld.errors import InputError
from handheld.pictures import as_rgb

RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_rgb_is_not_copied():
    assert as_rgb(RGB) is RGB or np.shares_memory(as_rgb(RGB), RGB)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([[7]], np.uint8), [[[7, 7, 7]]]),
        (np.array([[[9]]], np.uint8), [[[9, 9, 9]]]),
        (np.array([[[1, 2, 3, 255]]], np.uint8), [[[1, 2, 3]]]),
        (np.array([[0.0, 1.0, 0.5]]), [[[0] * 3, [255] * 3, [128] * 3]]),
        (np.array([[65535, 256]], np.uint16), [[[255] * 3, [1] * 3]]),
        (np.array([[65535, 256]], ">u2"), [[[255] * 3, [1] * 3]]),
        (np.array([[65535, 256]], "<u2"), [[[255] * 3, [1] * 3]]),
        (np.array([[0.0, 1.0]], ">f4"), [[[0] * 3, [255] * 3]]),
        (np.array([[True, False]]), [[[255] * 3, [0] * 3]]),
        ([[0.0, 1.0]], [[[0] * 3, [255] * 3]]),
    ],
)
def test_forms(given, expected):
    picture = as_rgb(given)
    assert picture.dtype == np.uint8
    assert picture.tolist() == expected
    assert picture.flags.c_contiguous


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 2, 5), np.uint8), r"got shape \(2, 2, 5\)"),
        (np.zeros((0, 3, 3), np.uint8), "got shape"),
        (np.zeros(3, np.uint8), "got shape"),
        (np.array([[np.nan]]), "float picture in .0, 1."),
        (np.array([[2.0]]), "divide by 255"),
        (np.array([[0.5, np.nan]]), r"no numbers \(NaN\)"),
        (np.array([[np.inf]]), ".0, 1."),
        (np.zeros((2, 2), np.int32), "got int32"),
        (None, "got shape"),
    ],
)
def test_what_is_no_picture(given, message):
    with pytest.raises(InputError, match=message):
        as_rgb(given)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)), st.booleans())
def test_grey_stays_grey(grey, trailing):
    picture = as_rgb(grey[:, :, None] if trailing else grey)
    assert (picture == grey[:, :, None]).all()


SEE_THROUGH = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
ON_WHITE = [[[255, 255, 255], [10, 20, 30], [204, 204, 204]]]


@pytest.mark.parametrize(
    "form", [SEE_THROUGH, SEE_THROUGH / 255.0, SEE_THROUGH.astype(np.uint16) * 257]
)
def test_what_is_see_through_is_laid_on_white(form):
    np.testing.assert_array_equal(as_rgb(form), ON_WHITE)


@pytest.mark.parametrize(
    "modes", [["LA"], ["LA", "La"], ["RGBA"], ["RGBA", "RGBa"], ["RGBA", "PA"], ["RGBA", "P"]]
)
def test_pictures_of_pillow_that_are_see_through_are_laid_on_white(modes):
    picture = PillowImage.new(modes[0], (1, 1), 0)
    if modes[-1] == "P":
        picture = picture.quantize(2)
    np.testing.assert_array_equal(as_rgb(picture.convert(modes[-1])), [[[255, 255, 255]]])


@pytest.mark.parametrize("nothing", ["photo.jpg", b"photo.jpg", Path("photo.jpg")])
def test_a_name_is_no_picture(nothing):
    with pytest.raises(InputError, match="read_image reads one from a file"):
        as_rgb(nothing)


def test_pictures_of_pillow_are_read_as_files_are():
    deep = PillowImage.fromarray(np.array([[0, 65535]], np.uint16))
    assert as_rgb(deep).tolist() == [[[0] * 3, [255] * 3]]
    assert as_rgb(PillowImage.new("CMYK", (1, 1), (0, 0, 0, 0))).tolist() == [[[255] * 3]]
    with pytest.raises(InputError, match=r"fractions in \[0, 1\], got 2 to 2"):
        as_rgb(PillowImage.new("F", (1, 1), 2.0))


def test_numbers_of_8_bits_in_16_are_refused_as_those_of_a_file_are():
    with pytest.raises(InputError, match="has 16 bits, of which 3 to 255 need 8 alone"):
        as_rgb(np.array([[3, 255]], np.uint16))
    assert not as_rgb(np.zeros((2, 2), np.uint16)).any()
    assert as_rgb(np.array([[0, 256]], np.uint16))[0, :, 0].tolist() == [0, 1]
