import numpy as np
import pytest
from mediapipe_nodes import calculator, converted, options

from handheld.errors import CalculatorError, GraphTextError, InputError
from handheld.hands.mediapipe import NormalizedRect
from handheld.media import Frame

TENSOR = "calculator: 'ImageToTensorCalculator' input_stream: 'IMAGE:image' {} {}"
PORTS = ("TENSORS", "MATRIX", "LETTERBOX_PADDING")


def tensor_node(text, more=""):
    return calculator(TENSOR.format(more, options("ImageToTensorCalculatorOptions", text)))


def grey(width, height, value=255):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("size", "padding"),
    [((10, 10), (0, 0.25, 0, 0.25)), ((10, 20), (0, 0, 0, 0)), ((10, 40), (0.25, 0, 0.25, 0))],
)
def test_the_padding_is_that_of_mediapipes_own_example(size, padding):
    text = """output_tensor_width: 20 output_tensor_height: 40 keep_aspect_ratio: true
              output_tensor_float_range { min: 0 max: 1 }"""
    assert converted(tensor_node(text), {"IMAGE": grey(*size)}, PORTS[2]) == pytest.approx(padding)


def test_beyond_the_picture_it_is_black_or_the_nearest_pixel():
    text = """output_tensor_width: 8 output_tensor_height: 8 keep_aspect_ratio: true
              output_tensor_float_range { min: -1 max: 1 }"""
    (tensor,) = converted(tensor_node(text), {"IMAGE": grey(8, 4)}, "TENSORS")
    assert tensor.shape == (1, 8, 8, 3)
    assert tensor.dtype == np.float32
    assert np.allclose(tensor, 1)
    (tensor,) = converted(
        tensor_node(text + " border_mode: BORDER_ZERO"), {"IMAGE": grey(8, 4)}, "TENSORS"
    )
    assert np.allclose(tensor[0, 3:5], 1)
    assert np.allclose(tensor[0, [0, 7]], -1)


def test_without_a_size_it_is_that_of_the_picture_and_a_frame_is_one():
    frame = Frame(grey(6, 4, 51), 0, 0)
    (tensor,) = converted(
        tensor_node("output_tensor_float_range { min: 0 max: 5 }"), {"IMAGE": frame}, "TENSORS"
    )
    assert tensor.shape == (1, 4, 6, 3)
    assert np.allclose(tensor, 1)


@pytest.mark.parametrize(
    ("text", "dtype", "values"),
    [
        ("output_tensor_int_range { min: -128 max: 127 }", np.int8, [-128, -128 + 51, 127]),
        ("output_tensor_uint_range { min: 0 max: 255 }", np.uint8, [0, 51, 255]),
    ],
)
def test_whole_numbers(text, dtype, values):
    image = np.array([[0, 51, 255]], np.uint8)[..., None].repeat(3, axis=2)
    (tensor,) = converted(tensor_node(text), {"IMAGE": image}, "TENSORS")
    assert tensor.dtype == dtype
    assert tensor[0, 0, :, 0].tolist() == values


def test_a_rectangle_is_cut_out_and_the_matrix_leads_back():
    image = grey(20, 10, 0)
    image[2:6, 4:8] = 255
    text = """output_tensor_width: 4 output_tensor_height: 4
              output_tensor_float_range { min: 0 max: 1 }"""
    node = tensor_node(text, "input_stream: 'NORM_RECT:rect'")
    # Half a turn: what is seen is the same square.
    rect = NormalizedRect(6 / 20, 4 / 10, 4 / 20, 4 / 10, 0.0)
    (tensor,) = converted(node, {"IMAGE": image, "NORM_RECT": rect}, "TENSORS")
    assert np.allclose(tensor, 1)
    rect = NormalizedRect(0.5, 0.5, 0.5, 0.8, np.pi / 2)
    matrix = converted(node, {"IMAGE": image, "NORM_RECT": rect}, "MATRIX")
    # Turned by a quarter, the tensor's right edge is the picture's lower one: 10 pixels down.
    assert matrix @ [1, 0.5, 0, 1] == pytest.approx([0.5, 1.0, 0, 1])
    assert matrix @ [0.5, 0, 0, 1] == pytest.approx([0.5 + 4 / 20, 0.5, 0, 1])
    assert matrix[2, 2] == pytest.approx(0.5)


def test_a_rectangle_that_is_none_gives_nothing_and_one_without_area_is_an_error():
    text = "output_tensor_float_range { min: 0 max: 1 }"
    node = tensor_node(text, "input_stream: 'NORM_RECT:rect'")
    image = grey(4, 4)
    assert converted(node, {"IMAGE": image, "NORM_RECT": NormalizedRect()}, "TENSORS") is None
    with pytest.raises((InputError, CalculatorError), match="with an area"):
        converted(node, {"IMAGE": image, "NORM_RECT": NormalizedRect(0, 0, 1, 0)}, "TENSORS")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected one of output_tensor_float_range"),
        ("output_tensor_float_range { min: 1 max: 1 }", "min below max"),
        ("output_tensor_int_range { min: -200 max: 1 }", "min"),
        ("output_tensor_float_range { max: 1 } output_tensor_width: 0", "output_tensor_width"),
        ("output_tensor_float_range { max: 1 } keep_ratio: true", "no option 'keep_ratio'"),
        ("output_tensor_float_range { max: 1 } border_mode: 7", "border_mode"),
    ],
)
def test_options_that_are_wrong_are_told(text, reason):
    with pytest.raises(GraphTextError, match=f"a.pbtxt:1:.*{reason}"):
        tensor_node(text)


def test_sizes_and_other_names_of_pictures():
    image = grey(6, 4)
    size = "calculator: 'ImagePropertiesCalculator' input_stream: '{}:a' output_stream: 'SIZE:s'"
    for port in ("IMAGE", "IMAGE_CPU", "IMAGE_GPU"):
        assert converted(calculator(size.format(port)), {port: image}, "SIZE") == (6, 4)
    source = calculator("calculator: 'FromImageCalculator' input_stream: 'IMAGE:a'")
    assert converted(source, {"IMAGE": image}, "IMAGE_CPU") is image
    assert converted(source, {"IMAGE": image}, "SOURCE_ON_GPU") is False
    with pytest.raises(GraphTextError, match="expected one of IMAGE, IMAGE_CPU, IMAGE_GPU"):
        calculator("calculator: 'ToImageCalculator' input_stream: 'IMAGES:a'")


def turning(text="", ports=""):
    words = "calculator: 'ImageTransformationCalculator' input_stream: 'IMAGE:a' "
    return calculator(words + ports + options("ImageTransformationCalculatorOptions", text))


def test_pictures_are_turned_then_mirrored():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)[..., None].repeat(3, axis=2)
    once = converted(turning("rotation_mode: ROTATION_90"), {"IMAGE": image}, "IMAGE")
    assert once[..., 0].tolist() == [[2, 5], [1, 4], [0, 3]]
    text = "rotation_mode: ROTATION_90 flip_vertically: true flip_horizontally: true"
    both = converted(turning(text), {"IMAGE": image}, "IMAGE")
    assert both[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    node = turning("", "input_stream: 'FLIP_VERTICALLY:f' input_side_packet: 'ROTATION_DEGREES:r'")
    inputs = {"IMAGE": image, "FLIP_VERTICALLY": True}
    turned = converted(node, inputs, "IMAGE", side={"ROTATION_DEGREES": 180})
    assert turned[..., 0].tolist() == [[2, 1, 0], [5, 4, 3]]


def test_scaling_is_refused():
    with pytest.raises(GraphTextError, match="output_width: pictures are not scaled here"):
        turning("output_width: 64")
    with pytest.raises(GraphTextError, match="OUTPUT_DIMENSIONS: pictures are not scaled here"):
        turning("", "input_stream: 'OUTPUT_DIMENSIONS:s'")
