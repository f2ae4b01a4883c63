import numpy as np
import pytest

from handheld.errors import InputError
from handheld.media import LabelBox, draw_label, draw_polygon, draw_skeleton, draw_trace, label_box


def canvas():
    return np.zeros((60, 80, 3), np.uint8)


RED = (255, 0, 0)


def test_a_bone_is_drawn_between_its_points():
    image = draw_skeleton(canvas(), [[10, 10], [50, 10], [10, 50]], [(0, 1)], colour=RED)
    assert image[10, 30].tolist() == [255, 0, 0]
    assert not image[30, 10].any()
    assert image[50, 10].any()  # a dot on each point


def test_points_that_are_not_known_are_left_out():
    image = draw_skeleton(canvas(), np.array([[10, 10], [np.nan, 5]]), [(0, 1)], colour=RED)
    assert image[10, 10].any()
    assert image.any(axis=2).sum() < 100


def test_far_outside_is_no_problem():
    image = draw_polygon(canvas(), [[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9]], colour=RED)
    draw_trace(image, [np.array([1e6, 1e6]), np.array([-1e6, 3])])
    draw_label(image, "far", (1e5, -1e5))
    assert image.shape == (60, 80, 3)


def test_a_polygon_is_closed():
    image = draw_polygon(canvas(), [[10, 10], [40, 10], [40, 40], [10, 40]], colour=RED)
    assert image[25, 10].any()
    assert not image[25, 25].any()


def test_a_trace_needs_two_points():
    assert not draw_trace(canvas(), [np.array([5, 5])]).any()
    assert draw_trace(canvas(), [np.array([5, 5]), np.array([50, 50])], colour=RED)[28, 28].any()


@pytest.mark.parametrize("corner", [(5, 50), (-20, -20), (500, 500)])
def test_a_label_stays_inside(corner):
    image = draw_label(canvas(), "id 3", corner, colour=RED)
    assert (image == RED).all(axis=2).sum() > 100


DRAW = {
    "skeleton": lambda image: draw_skeleton(image, [[10, 10], [50, 10]], [(0, 1)], colour=RED),
    "polygon": lambda image: draw_polygon(image, [[10, 10], [40, 10], [40, 40]], colour=RED),
    "trace": lambda image: draw_trace(image, [np.array([5, 5]), np.array([50, 50])], colour=RED),
    "label": lambda image: draw_label(image, "id 3", (5, 50), colour=RED),
    "label in other letters": lambda image: draw_label(image, "Öffnen → 手", (5, 50), colour=RED),
}


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_a_mirrored_view_is_drawn_on(draw):
    expected = draw(canvas())
    base = canvas()
    view = base[:, ::-1]
    assert draw(view) is view
    assert np.array_equal(view, expected)
    assert np.array_equal(base[:, ::-1], expected)


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_what_cannot_be_drawn_on_is_told(draw):
    fixed = canvas()
    fixed.setflags(write=False)
    with pytest.raises(InputError, match="read-only array: give a copy"):
        draw(fixed)
    with pytest.raises(InputError, match="got float64 of shape"):
        draw(np.zeros((60, 80, 3)))
    with pytest.raises(InputError, match="got NoneType"):
        draw(None)


def test_a_label_at_no_number_stays_inside():
    assert draw_label(canvas(), "id", (float("nan"), float("inf")), colour=RED).any()


def test_letters_beyond_ascii_differ_from_each_other():
    one = draw_label(canvas(), "Ж", (5, 50), colour=RED)
    other = draw_label(canvas(), "Ω", (5, 50), colour=RED)
    assert not np.array_equal(one, other)


def test_a_label_lies_where_its_box_says():
    for text in ("id 3", "Größe ½"):
        box = label_box((60, 80), text, (5, 50))
        image = draw_label(canvas(), text, (5, 50), colour=RED)
        rows, columns = np.nonzero(image.any(axis=2))
        assert (columns.min(), rows.min()) == (box.left, box.top)
        assert (columns.max(), rows.max()) == (
            box.right,
            box.bottom,
        )  # OpenCV draws the last line and column too


def test_boxes_overlap_where_they_share_a_pixel():
    box = LabelBox(10, 10, 20, 20)
    assert box.overlaps(LabelBox(19, 19, 30, 30))
    assert not box.overlaps(LabelBox(20, 10, 30, 20))
    assert not box.overlaps(LabelBox(10, 0, 20, 10))
