from pathlib import Path

import cv2
import numpy as np

from handheld.hands.training.render.backdrops import Billboard, cover, draw_backdrop
from handheld.hands.training.render.sources import open_sources

HAND = np.full((2, 3, 3), 60, np.float32)
"""Two rows of a hand of colour 60 that covers all, half and none of its columns."""
COVERAGE = np.array([[1, 0.5, 0]] * 2, np.float32)
DEPTH = np.array([[0.5, 0.5, np.inf]] * 2, np.float32)


def board(depth: float) -> Billboard:
    """Hides the upper row wholly, in colour 200."""
    coverage = np.array([[1, 1, 1], [0, 0, 0]], np.float32)
    return Billboard(200 * coverage[..., None] * np.ones(3, np.float32), coverage, depth)


def test_what_is_before_the_hand_hides_it() -> None:
    colour, coverage, hidden = cover(HAND * COVERAGE[..., None], COVERAGE, DEPTH, board(0.4))
    assert colour[..., 0].tolist() == [[200, 200, 200], [60, 30, 0]]
    assert coverage.tolist() == [[1, 1, 1], [1, 0.5, 0]]
    assert hidden.tolist() == [[True, True, True], [False, False, False]]


def test_what_is_behind_the_hand_shows_beside_it() -> None:
    colour, coverage, hidden = cover(HAND * COVERAGE[..., None], COVERAGE, DEPTH, board(0.6))
    # Half a hand and half of what is behind it; beside the hand all of it.
    assert colour[..., 0].tolist() == [[60, 30 + 100, 200], [60, 30, 0]]
    assert coverage.tolist() == [[1, 1, 1], [1, 0.5, 0]]
    assert hidden.tolist() == [[False, False, True], [False, False, False]]


def test_backdrops_are_pieces_of_the_pictures_there(data_folder: Path) -> None:
    (data_folder / "backgrounds").mkdir()
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[..., 1] = 200
    cv2.imwrite(str(data_folder / "backgrounds" / "green.png"), picture)
    sources = open_sources(data_folder)
    drawn = [draw_backdrop(sources, np.random.default_rng(seed), 48, 32) for seed in range(30)]
    assert {backdrop.shape for backdrop in drawn} == {(32, 48, 3)}
    green = [backdrop for backdrop in drawn if backdrop[..., 0].max() == 0]
    # Most of them; the others are plain, for want of textures.
    assert 20 <= len(green) < 30


def test_without_pictures_backdrops_are_plain(data_folder: Path) -> None:
    sources = open_sources(data_folder)
    backdrop = draw_backdrop(sources, np.random.default_rng(0), 48, 32).astype(int)
    assert np.abs(np.diff(backdrop, axis=1)).max() < 12
