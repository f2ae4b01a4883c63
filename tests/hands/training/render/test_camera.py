from dataclasses import replace

import numpy as np
import pytest

from handheld.hands.training.render.camera import Camera, Rendering, render
from handheld.hands.training.render.mesh import HandMesh
from handheld.hands.training.render.shade import Body, Light

CAMERA = Camera(focal=10, width=20, height=16)
SKIN = np.full((4, 4, 3), (200, 100, 50), np.uint8)
TRIANGLE = np.array([(-1, -1, 2), (-1, 1, 2), (1, 1, 2)], np.float32)
"""Projects to (5, 3), (5, 13), (15, 13)."""


def body(box: HandMesh, vertices: np.ndarray = TRIANGLE) -> Body:
    faces = np.array([(0, 1, 2)])
    return Body(replace(box, faces=faces, texture_faces=faces), vertices.astype(np.float32), SKIN)


@pytest.mark.parametrize(
    ("point", "pixel"),
    [
        ((0, 0, 1), (10, 8)),
        ((0.5, 0, 1), (15, 8)),
        ((0.5, 0, 2), (12.5, 8)),
        ((-0.3, 0.6, 3), (9, 10)),
    ],
)
def test_a_point_is_projected_from_the_middle(
    point: tuple[float, ...], pixel: tuple[float, ...]
) -> None:
    np.testing.assert_allclose(CAMERA.project(np.array(point)), pixel)


def test_a_triangle_is_drawn_with_its_depth(box: HandMesh) -> None:
    seen = render([body(box)], CAMERA, Light())
    assert seen.coverage[10, 6] == pytest.approx(1)
    assert seen.depth[10, 6] == pytest.approx(2)
    assert seen.coverage[10, 14] == 0
    assert np.isinf(seen.depth[10, 14])
    # Below the slanted edge 9 + 8 + ... + 1 whole pixels, and on it ten of which one sample in four
    # is inside.
    covered = np.round(seen.coverage * 4).astype(int)
    assert np.bincount(covered.ravel()).tolist() == [20 * 16 - 55, 10, 0, 0, 45]


def test_the_nearer_arm_hides_the_farther(box: HandMesh) -> None:
    near, far = body(box, TRIANGLE / 2), replace(body(box), skin=np.zeros_like(SKIN))
    for bodies in ([near, far], [far, near]):
        seen = render(bodies, CAMERA, Light())
        assert seen.depth[10, 6] == pytest.approx(1)
        assert seen.colour[10, 6].max() > 0


def test_an_empty_scene_is_the_background() -> None:
    background = np.arange(16 * 20 * 3, dtype=np.uint8).reshape(16, 20, 3)
    np.testing.assert_array_equal(render([], CAMERA, Light()).over(background), background)


def test_half_covered_pixels_are_half_background() -> None:
    half = Rendering(
        np.full((1, 1, 3), 50, np.float32),
        np.full((1, 1), 0.5, np.float32),
        np.ones((1, 1), np.float32),
        np.ones((1, 1), np.uint8),
    )
    np.testing.assert_array_equal(half.over(np.full((1, 1, 3), 100, np.uint8)), [[[100, 100, 100]]])


@pytest.mark.parametrize(
    ("name", "pixel", "depth", "expected"),
    [
        ("before the triangle", (6, 10), 1.9, True),
        ("within its flesh", (6, 10), 2.02, True),
        ("behind the triangle", (6, 10), 2.1, False),
        ("as deep, beside it", (14, 5), 2.1, True),
        ("right of the picture", (20, 10), 1.0, False),
        ("above the picture", (6, -0.1), 1.0, False),
    ],
)
def test_a_keypoint_is_hidden_by_more_than_its_flesh(
    box: HandMesh, name: str, pixel: tuple[float, float], depth: float, expected: bool
) -> None:
    seen = render([body(box)], CAMERA, Light())
    visible = seen.visible(
        np.array([pixel], np.float32), np.array([depth], np.float32), np.array([0.03])
    )
    assert visible.tolist() == [expected], name


def test_a_view_turns_scales_and_moves_what_is_seen() -> None:
    # A quarter turn clockwise, twice as large, around (30, 40).
    camera = Camera(10.0, 60, 80, np.array([(0.0, -2.0, 30.0), (2.0, 0.0, 40.0)]))
    np.testing.assert_allclose(camera.project(np.array((0.0, 0.0, 1.0))), (30, 40))
    np.testing.assert_allclose(camera.project(np.array((1.0, 0.0, 2.0))), (30, 50))
    assert camera.scale == pytest.approx(20)
    np.testing.assert_allclose(camera.turn, [(0, -1), (1, 0)])
    assert Camera(10.0).scale == 10


def test_merged_painting_looks_as_painting_every_sample_does(box: HandMesh) -> None:
    bodies = [
        body(box),
        replace(body(box, TRIANGLE / 2), tint=np.array((1, 0.5, 0.25), np.float32)),
    ]
    every = render(bodies, CAMERA, Light())
    merged = render(bodies, CAMERA, Light(), merged=True)
    np.testing.assert_allclose(merged.coverage, every.coverage, atol=1 / 255)
    # Where a triangle covers a part of a pixel, its middle is not that of the pixel.
    np.testing.assert_allclose(merged.depth, every.depth, rtol=0.05)
    assert np.abs(merged.colour - every.colour).max() < 12


def test_each_pixel_knows_its_body(box: HandMesh) -> None:
    beside = TRIANGLE * (-1, 1, 1)
    bodies = [body(box), body(box, beside[[0, 2, 1]])]
    for merged in (False, True):
        seen = render(bodies, CAMERA, Light(), merged=merged)
        assert seen.owner[10, 6] == 1
        assert seen.owner[6, 13] == 2
        assert ((seen.owner > 0) == np.isfinite(seen.depth)).all()
