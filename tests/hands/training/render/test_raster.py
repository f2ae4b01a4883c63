import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.raster import Fragments, rasterise, rasterise_merged

LOWER_LEFT = np.array([(0, 0), (0, 4), (4, 4)], np.float32)
"""Counter-clockwise to the eye, y being downward; its slanted edge runs through the centres of the
diagonal's pixels.
"""
SQUARE = [(0, 0), (0, 8), (8, 8)], [(0, 0), (8, 8), (8, 0)]


def draw(triangles: object, depths: object, size: int = 4) -> Fragments:
    return rasterise(np.array(triangles, np.float32), np.array(depths, np.float32), size, size)


def picture(found: Fragments, values: Floats | np.ndarray, size: int = 4) -> np.ndarray:
    drawn = np.full(size * size, -1.0)
    drawn[found.pixel] = values
    return drawn.reshape(size, size)


def test_a_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    covered = picture(draw([LOWER_LEFT], [[1, 1, 1]]), 1.0) > 0
    np.testing.assert_array_equal(covered, np.tri(4, k=-1, dtype=bool))


def test_two_triangles_that_share_an_edge_cover_each_pixel_once() -> None:
    found = draw(SQUARE, np.ones((2, 3)), 8)
    np.testing.assert_array_equal(np.sort(found.pixel), np.arange(64))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_triangle_wins_whichever_comes_first(order: tuple[int, int]) -> None:
    depths = np.array([[2.0] * 3, [1.0] * 3])[list(order)]
    found = draw([LOWER_LEFT, LOWER_LEFT], depths)
    assert len(found.pixel) == 6
    assert (found.triangle == order.index(1)).all()
    np.testing.assert_allclose(found.depth, 1)


def test_triangles_that_cut_through_each_other_are_sorted_by_pixel() -> None:
    quads = [*SQUARE, *SQUARE]
    # The first pair slopes away from the left to the right, the second pair stands still between.
    inverse = [[2, 2, 1], [2, 1, 1], [1.5] * 3, [1.5] * 3]
    found = draw(quads, 1 / np.array(inverse), 8)
    first = picture(found, found.triangle, 8) < 2
    np.testing.assert_array_equal(first, np.tile(np.arange(8) < 4, (8, 1)))


@pytest.mark.parametrize(
    ("name", "triangle", "depths"),
    [
        ("seen from behind", LOWER_LEFT[::-1], [1, 1, 1]),
        ("without area", LOWER_LEFT[[0, 1, 1]], [1, 1, 1]),
        ("at the camera", LOWER_LEFT, [1, 1, 0.01]),
        ("behind the camera", LOWER_LEFT, [-1, -1, -1]),
        ("left of the picture", LOWER_LEFT - np.array((9, 0)), [1, 1, 1]),
        ("below the picture", LOWER_LEFT + np.array((0, 9)), [1, 1, 1]),
    ],
)
def test_what_cannot_be_seen_is_not_drawn(name: str, triangle: Floats, depths: list[float]) -> None:
    assert len(draw([triangle], [depths]).pixel) == 0, name


def test_no_triangles_make_no_fragments() -> None:
    assert (
        len(rasterise(np.empty((0, 3, 2), np.float32), np.empty((0, 3), np.float32), 4, 4).pixel)
        == 0
    )


def test_weights_are_those_of_the_space_and_not_of_the_picture() -> None:
    # From depth 1 at x = -1 to depth 3 at x = 5: halfway 1/z is 2/3, so z is 1.5, which is a
    # quarter of the way.
    found = draw([[(-1, -4), (-1, 8), (5, 2)]], [[1, 1, 3]])
    far = picture(found, found.weights[:, 2])
    depth = picture(found, found.depth)
    across = (np.array([0.5, 1.5, 2.5, 3.5]) + 1) / 6
    inverse = 1 - across * 2 / 3
    np.testing.assert_allclose(far[1], across / 3 / inverse, rtol=1e-5)
    np.testing.assert_allclose(depth[1], 1 / inverse, rtol=1e-5)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-6)


def doubled_area(corners: np.ndarray) -> float:
    a, b, c = corners
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def looped(corners: np.ndarray, depths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth (size, size), by a loop over triangles, and which pixels lie too near an edge
    to compare.
    """
    nearest, edges = np.zeros((size, size)), np.zeros((size, size), bool)
    y, x = np.mgrid[:size, :size] + 0.5
    for (a, b, c), depth in zip(corners, depths, strict=True):
        area = doubled_area(np.stack([a, b, c]))
        if area > 0:
            continue
        second = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        weights = np.stack([1 - second - third, second, third])
        inverse = np.tensordot(1 / depth, weights, 1)
        nearest = np.where((weights > 0).all(axis=0), np.maximum(nearest, inverse), nearest)
        edges |= (np.abs(weights) < 1e-3).any(axis=0)
    return nearest, edges


coordinate = st.integers(-40, 200).map(lambda tenths: tenths / 10)
triangle = st.lists(coordinate, min_size=6, max_size=6).map(lambda row: np.array(row).reshape(3, 2))
solid = triangle.filter(lambda corners: abs(doubled_area(corners)) > 1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(solid, st.tuples(*[st.floats(0.5, 2)] * 3)), min_size=1, max_size=6))
def test_it_agrees_with_a_loop_over_triangles(
    scene: list[tuple[np.ndarray, tuple[float, ...]]],
) -> None:
    corners, depths = (
        np.stack([corner for corner, _ in scene]),
        np.array([depth for _, depth in scene]),
    )
    found = draw(corners, depths, 16)
    expected, edges = looped(corners, depths, 16)
    ours = picture(found, 1 / found.depth, 16).clip(0)
    np.testing.assert_allclose(ours[~edges], expected[~edges], rtol=1e-3)


def test_merged_fragments_cover_what_their_samples_cover() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(-4, 44, (60, 3, 2)).astype(np.float32)
    depths = random.uniform(1, 3, (60, 3)).astype(np.float32)
    fine = rasterise(corners, depths, 40, 40)
    merged = rasterise_merged(corners, depths, 20, 20)
    covered = np.zeros(1600)
    covered[fine.pixel] = 1
    samples = covered.reshape(20, 2, 20, 2).sum(axis=(1, 3))
    shares = np.bincount(merged.pixel, merged.share, minlength=400).reshape(20, 20)
    np.testing.assert_allclose(shares * 4, samples)
    # Each triangle of a pixel once, with as many samples as it has there.
    pairs = merged.pixel * 60 + merged.triangle
    assert len(np.unique(pairs)) == len(pairs) < len(fine.pixel)
    row, column = np.divmod(fine.pixel, 40)
    expected = np.bincount((row // 2 * 20 + column // 2) * 60 + fine.triangle, minlength=400 * 60)
    np.testing.assert_allclose(merged.share * 4, expected[pairs])


def test_a_merged_fragment_is_taken_at_the_middle_of_its_samples() -> None:
    # One triangle over all, 1 deep at the left and 3 at the right; four samples by four.
    corners = np.array([[(-8, -8), (-8, 16), (16, -8)]], np.float32)
    depths = np.array([[1.0, 1.0, 3.0]], np.float32)
    fine = rasterise(corners, depths, 4, 4)
    merged = rasterise_merged(corners, depths, 2, 2)
    assert merged.share.tolist() == [1, 1, 1, 1]
    inverse = (1 / fine.depth).reshape(2, 2, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(1 / merged.depth, inverse.ravel(), rtol=1e-5)
    np.testing.assert_allclose(merged.weights.sum(axis=1), 1, rtol=1e-5)
