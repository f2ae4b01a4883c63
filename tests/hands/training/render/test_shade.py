from dataclasses import replace

import numpy as np
import pytest

from handheld.hands.training.render.mesh import HandMesh
from handheld.hands.training.render.shade import Body, Light, paint, vertex_normals

TRIANGLE = np.array([(-1, -1, 2), (-1, 1, 2), (1, 1, 2)], np.float32)
DARK = (0.0, 0.0, 0.0)
WHITE = (1.0, 1.0, 1.0)
TO_CAMERA = (0.0, 0.0, -1.0)
WHOLE = np.full((1, 3), 1 / 3, np.float32)


def colour(box: HandMesh, light: Light, skin: np.ndarray | None = None) -> list[int]:
    faces = np.array([(0, 1, 2)])
    skin = np.full((4, 4, 3), (200, 100, 50), np.uint8) if skin is None else skin
    painted = paint(
        Body(replace(box, faces=faces, texture_faces=faces), TRIANGLE, skin),
        np.array([0]),
        WHOLE,
        light,
    )
    return [int(value) for value in painted[0]]


def test_a_face_that_is_counter_clockwise_to_the_eye_looks_at_the_camera() -> None:
    np.testing.assert_allclose(vertex_normals(TRIANGLE, np.array([(0, 1, 2)])), [(0, 0, -1)] * 3)


def test_a_shared_corner_leans_to_the_larger_triangle() -> None:
    vertices = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 3)], np.float32)
    normal = vertex_normals(vertices, np.array([(0, 1, 2), (0, 2, 3)]))[0]
    np.testing.assert_allclose(normal, np.array([3, 0, 1]) / np.sqrt(10), rtol=1e-6)


def test_full_light_gives_the_skin_back(box: HandMesh) -> None:
    light = Light(towards=TO_CAMERA, lamp=WHITE, sky=DARK, ground=DARK, gloss=0)
    np.testing.assert_allclose(colour(box, light), (200, 100, 50), atol=1)


def test_no_light_is_black(box: HandMesh) -> None:
    assert colour(box, Light(lamp=DARK, sky=DARK, ground=DARK, gloss=0)) == [0, 0, 0]


def test_a_quarter_of_the_light_is_about_half_the_value(box: HandMesh) -> None:
    light = Light(towards=TO_CAMERA, lamp=(0.25, 0.25, 0.25), sky=DARK, ground=DARK, gloss=0)
    assert colour(box, light)[0] == pytest.approx(200 * 0.25 ** (1 / 2.2), abs=1)


def test_past_the_shadows_edge_skin_is_red(box: HandMesh) -> None:
    grey = np.full((4, 4, 3), 128, np.uint8)
    red, green, blue = colour(
        box, Light(towards=(0.0, -1.0, 0.0), lamp=WHITE, sky=DARK, ground=DARK, gloss=0), grey
    )
    assert red > green > blue > 0


def test_the_skin_is_looked_up_with_v_upward(box: HandMesh) -> None:
    skin = np.zeros((4, 4, 3), np.uint8)
    skin[0, 3] = 255
    light = Light(towards=TO_CAMERA, lamp=WHITE, sky=DARK, ground=DARK, gloss=0)
    corner = replace(box, uv=np.full((11, 2), 0.875, np.float32))
    assert colour(corner, light, skin) == [255, 255, 255]
    assert colour(replace(box, uv=np.full((11, 2), 0.125, np.float32)), light, skin) == [0, 0, 0]
