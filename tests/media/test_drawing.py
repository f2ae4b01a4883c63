import numpy as np
import pytest

from handheld.media import draw_label, draw_polygon, draw_skeleton, draw_trace


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
