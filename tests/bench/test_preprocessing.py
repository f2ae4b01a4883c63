import numpy as np
import pytest

from handheld.bench.preprocessing import centre_crop, resize_bilinear, stored_picture
from handheld.engine import Model, embed
from handheld.errors import ModelError


def reference_resize(picture, height, width):
    """TensorFlow 1's resize_bilinear, pixel by pixel: no half-pixel centres, no aligned corners."""
    rows, columns, channels = picture.shape
    result = np.zeros((height, width, channels))
    for y in range(height):
        for x in range(width):
            fy, fx = y * rows / height, x * columns / width
            y0, x0 = int(fy), int(fx)
            y1, x1 = min(y0 + 1, rows - 1), min(x0 + 1, columns - 1)
            dy, dx = fy - y0, fx - x0
            top = picture[y0, x0] * (1 - dx) + picture[y0, x1] * dx
            bottom = picture[y1, x0] * (1 - dx) + picture[y1, x1] * dx
            result[y, x] = top * (1 - dy) + bottom * dy
    return result


@pytest.mark.parametrize("seed", range(50))
def test_it_resizes_as_tensorflow_1(seed):
    rng = np.random.default_rng(seed)
    rows, columns, height, width = rng.integers(1, 10, 4).tolist()
    picture = rng.integers(0, 256, (rows, columns, 3)).astype(np.float32)
    resized = resize_bilinear(picture, height, width)
    assert resized == pytest.approx(reference_resize(picture, height, width), abs=2e-3)


@pytest.mark.parametrize(("side", "kept"), [(256, 224), (100, 88), (9, 9), (17, 15), (1, 1)])
def test_the_middle_as_tensorflow_cuts_it(side, kept):
    # offset = int((side - side * 0.875) / 2), what is kept = side - 2 * offset
    picture = np.arange(side)[:, None, None] * np.ones((1, side, 3))
    middle = centre_crop(picture, 0.875)
    assert middle.shape == (kept, kept, 3)
    assert middle[0, 0, 0] == (side - kept) // 2


def test_a_float_model_without_a_card_gets_numbers_from_minus_one_to_one(model_file):
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 0] = (255, 0, 51)
    with Model.open(model_file) as model:
        stored = stored_picture(picture, model, crop=1.0)
        assert stored.dtype == np.float32
        assert stored[0, 0, 0].tolist() == pytest.approx([1, -1, -0.6])
        stored = stored_picture(picture, model, crop=1.0, black_white=(0, 255))
        assert stored[0, 0, 0].tolist() == [255, 0, 51]


def test_a_model_without_inputs_takes_no_picture(tmp_path, make_graph):
    graph = make_graph("constant")
    scores = graph.constant("scores", np.ones((1, 3)))
    path = tmp_path / "m.tflite"
    path.write_bytes(graph.finish([], [graph.reshape("row", scores, [1, 3])]))
    with Model.open(path) as model, pytest.raises(ModelError, match="takes nothing; expected one"):
        stored_picture(np.zeros((2, 2, 3), np.uint8), model, crop=1.0)


def test_a_card_says_otherwise(model_file):
    card = {"labels": ["a", "b", "c"], "image": {"mean": [0.5], "std": [0.25]}}
    model_file.write_bytes(embed(model_file.read_bytes(), card))
    picture = np.full((4, 4, 3), 255, np.uint8)
    with Model.open(model_file) as model:
        assert (
            stored_picture(picture, model, crop=0.5).tolist() == np.full((1, 2, 2, 3), 2).tolist()
        )


def test_grey_pictures_are_for_models_of_colour_too(model_file):
    with Model.open(model_file) as model:
        stored = stored_picture(np.full((2, 2, 1), 255, np.uint8), model, crop=1.0)
        assert stored.shape == (1, 2, 2, 3)


def test_a_model_of_something_else(fixtures_folder):
    with (
        Model.open(fixtures_folder / "tiny_add.tflite") as model,
        pytest.raises(ModelError, match="expected one input"),
    ):
        stored_picture(np.zeros((2, 2, 3), np.uint8), model, crop=1.0)
