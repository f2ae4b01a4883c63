import pytest
from made import open_hand
from mediapipe_nodes import calculator, converted, options

from handheld.errors import GraphTextError, InputError
from handheld.graph.testing import NodeRunner
from handheld.hands.geometry import RectTransform, region_from_landmarks
from handheld.hands.mediapipe import NormalizedRect
from handheld.hands.mediapipe.rects import associate, rect_of_landmarks, transformed
from handheld.media import Rect

SIZE = (200, 100)


def node(text, port="NORM_RECT"):
    words = f"calculator: 'RectTransformationCalculator' input_stream: '{port}:a' "
    words += "input_stream: 'IMAGE_SIZE:s' " if port.startswith("NORM") else ""
    words += "output_stream: 'b' "
    return calculator(words + options("RectTransformationCalculatorOptions", text))


@pytest.mark.parametrize(
    ("text", "rect", "expected"),
    [
        ("", (0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2, 0)),
        ("scale_x: 2 scale_y: 3", (0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.4, 0.6, 0)),
        ("shift_x: 1 shift_y: -0.5", (0.5, 0.5, 0.2, 0.2), (0.7, 0.4, 0.2, 0.2, 0)),
        # 40 x 20 pixels.
        ("square_long: true", (0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.2, 0.4, 0)),
        ("square_short: true", (0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.1, 0.2, 0)),
        # The option turns the shift alone, as in MediaPipe: the rectangle stays as it is turned.
        ("rotation_degrees: 90", (0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2, 0)),
        # Down, across an edge of 40 pixels of 100.
        ("rotation: 1.5707963267948966 shift_x: 1", (0.5, 0.5, 0.2, 0.2), (0.5, 0.9, 0.2, 0.2, 0)),
        ("rotation_degrees: -90", (0.5, 0.5, 0.2, 0.2, 1.5), (0.5, 0.5, 0.2, 0.2, 1.5)),
    ],
)
def test_a_rectangle_is_transformed_in_pixels(text, rect, expected):
    found = converted(node(text), {"NORM_RECT": NormalizedRect(*rect), "IMAGE_SIZE": SIZE}, "0")
    values = (found.x_center, found.y_center, found.width, found.height, found.rotation)
    assert values == pytest.approx(expected)


def test_several_and_those_in_pixels():
    rects = [NormalizedRect(0.5, 0.5, 0.2, 0.2)] * 2
    found = converted(
        node("scale_x: 2", "NORM_RECTS"), {"NORM_RECTS": rects, "IMAGE_SIZE": SIZE}, "0"
    )
    assert [rect.width for rect in found] == pytest.approx([0.4, 0.4])
    found = converted(node("scale_x: 2", "RECT"), {"RECT": Rect(5, 6, 7, 8)}, "0")
    assert found == Rect(5, 6, 14, 8)
    (found,) = converted(node("scale_x: 2", "RECTS"), {"RECTS": [Rect(5, 6, 7, 8)]}, "0")
    assert found == Rect(5, 6, 14, 8)
    turned = Rect(5, 6, 7, 8, 1.5)
    found = converted(node("rotation_degrees: 90", "RECT"), {"RECT": turned}, "0")
    assert found == turned


def test_options_that_exclude_each_other_are_told():
    for text in ("rotation: 1 rotation_degrees: 1", "square_long: true square_short: false"):
        with pytest.raises(GraphTextError, match="expected one of"):
            node(text)


def test_the_region_of_a_hand_is_the_trackers():
    hand = open_hand(90, 80, 30)
    box = rect_of_landmarks(hand / [*SIZE, 1], SIZE)
    transform = RectTransform(2.0, 2.0, shift_y=-0.1, square="long")
    region = transformed(box, SIZE, transform).in_pixels(SIZE)
    expected = region_from_landmarks(hand)
    assert [region.x, region.y, region.width, region.angle] == pytest.approx(
        [expected.x, expected.y, expected.width, expected.angle], abs=1e-5
    )


def test_the_twelve_landmarks_of_older_graphs_do_as_well():
    hand = open_hand(90, 80, 30) / [*SIZE, 1]
    twelve = hand[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]]
    assert rect_of_landmarks(twelve, SIZE) == rect_of_landmarks(hand, SIZE)
    with pytest.raises(InputError, match="expected 21 landmarks, or 12 of them, got 5"):
        rect_of_landmarks(hand[:5], SIZE)


def test_later_rectangles_take_the_place_of_earlier_ones():
    palm, other = NormalizedRect(0.5, 0.5, 0.2, 0.2), NormalizedRect(0.1, 0.1, 0.1, 0.1)
    followed = NormalizedRect(0.51, 0.5, 0.2, 0.2, 1.0)
    assert associate([[palm, other], [followed]], 0.5) == [other, followed]
    assert associate([[palm, other], []], 0.5) == [palm, other]
    # Of one stream, the later too.
    assert associate([[palm, followed]], 0.5) == [followed]
    assert associate([[palm], [followed]], 0.99) == [palm, followed]


def test_an_association_waits_for_no_stream_and_sends_a_list_in_any_case():
    words = "calculator: 'AssociationNormRectCalculator' input_stream: 'a' input_stream: 'b' "
    words += "output_stream: 'c' "
    joined = calculator(words + options("AssociationCalculatorOptions", ""))
    with NodeRunner(joined) as runner:
        runner.add("1", [], 0)
        runner.set_bound("0", 1)
        assert runner.take("0")[0].payload == []
    with pytest.raises(GraphTextError, match="PREV: rectangles have no ids"):
        calculator(words + "input_stream: 'PREV:p'")
