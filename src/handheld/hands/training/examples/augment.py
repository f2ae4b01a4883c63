"""What cameras and codecs do to a crop: colour, blur, noise, compression, things
that stand before the hand.

Changes pixels only, never where things are.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]


def colour(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change exposure, contrast, gamma and the white balance by a table for each channel."""
    levels = np.linspace(0, 1, 256)
    gamma = np.exp(rng.normal(0, 0.25))
    contrast = np.exp(rng.normal(0, 0.2))
    # Exposure, and the white balance beside it: one factor for all channels, then one for each.
    exposure = np.exp(rng.normal(0, 0.15))
    gain = exposure * np.exp(rng.normal(0, 0.06, 3))
    offset = rng.normal(0, 0.05)
    curve = (levels**gamma - 0.5) * contrast + 0.5 + offset
    gained = (curve[:, None] * gain).clip(0, 1)
    table = (gained * 255).astype(np.uint8)
    # A table of 256 entries costs less than the same sums for each pixel.
    return np.asarray(cv2.LUT(pixels, table.reshape(1, 256, 3)), np.uint8)


def saturation(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blend with the picture's own grey, beyond it too: 0 is grey, above 1 more colourful."""
    amount = rng.uniform(0.0, 1.6)
    brightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grey = cv2.cvtColor(brightness, cv2.COLOR_GRAY2RGB)
    blended = cv2.addWeighted(pixels, amount, grey, 1 - amount, 0)
    return np.asarray(blended, np.uint8)


def defocus(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur evenly."""
    spread = rng.uniform(0.4, 1.8)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), spread), np.uint8)


def motion(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur along a line, as a hand that moves while the shutter is open."""
    length = int(rng.integers(3, 12))
    streak = _line(length, rng.uniform(0, np.pi))
    # Divided, or a longer path would make a brighter picture.
    weights = streak / streak.sum()
    return np.asarray(cv2.filter2D(pixels, -1, weights), np.uint8)


def _line(length: int, angle: float) -> NDArray[np.float32]:
    """Return a square (length, length) with a line through its middle, of ones among zeros."""
    middle = (length - 1) / 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    start = np.round(middle - reach).astype(int)
    end = np.round(middle + reach).astype(int)
    square = np.zeros((length, length), np.float32)
    cv2.line(square, start.tolist(), end.tolist(), 1.0)
    return square


def coarse(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Show the picture as if the hand were far away: fewer pixels, enlarged again."""
    side = pixels.shape[0]
    # With fewer than 16 pixels a side there are no fingers to be seen.
    small = max(16, int(side * rng.uniform(0.2, 0.9)))
    shrunk = cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.uint8)


def noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Add a sensor's noise."""
    return _with_grains(pixels, rng.uniform(0.02, 0.16), rng)


def _with_grains(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    # Eight bits at a time: a normal deviate for each value would cost more than all else here.
    draws = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    grains = draws.astype(np.int16) - 128
    changed = pixels + (grains * strength).astype(np.int16)
    return changed.clip(0, 255).astype(np.uint8)


def compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Encode as JPEG and decode."""
    return _as_jpeg(pixels, int(rng.integers(15, 80)))


def _as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    # OpenCV takes red for blue; what comes back is turned about again, with blue as coarse as red.
    _, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def patch(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Hide a part behind a flat or noisy rectangle, a ninth of the picture at most."""
    side = pixels.shape[0]
    height, width = rng.integers(side // 10, side // 3, 2)
    y = int(rng.integers(0, side - height))
    x = int(rng.integers(0, side - width))
    hidden = pixels.copy()
    shade = rng.integers(0, 256, 3)
    grain = rng.integers(-20, 21, (height, width, 1))
    hidden[y : y + height, x : x + width] = (shade + grain).clip(0, 255)
    return hidden


CHANGES: tuple[tuple[float, Change], ...] = (
    (0.15, patch),
    (0.25, coarse),
    (0.12, defocus),
    (0.12, motion),
    (0.85, colour),
    (0.35, saturation),
    (0.35, noise),
    (0.25, compressed),
)
"""Changes in the order in which they happen to light, and how often each does."""

RENDERED_CHANGES: tuple[tuple[float, Change], ...] = (
    (0.15, coarse),
    (0.7, colour),
    (0.35, saturation),
)
"""For rendered pictures, whose camera has its own blur, noise and compression."""

SCENE_CHANGES: tuple[tuple[float, Change], ...] = (
    (0.12, coarse),
    (0.08, defocus),
    (0.06, motion),
    (0.85, colour),
    (0.35, saturation),
    (0.25, noise),
    (0.20, compressed),
)
"""For whole pictures, whose small hands a strong blur would take away."""


def augment(
    pixels: Pixels, rng: np.random.Generator, *, changes: tuple[tuple[float, Change], ...] = CHANGES
) -> Pixels:
    """Return a square picture (side, side, 3) as another camera would have taken it."""
    for share, change in changes:
        # Each on its own: a picture may have all of them, as those of bad cameras have.
        if rng.random() < share:
            pixels = change(pixels, rng)
    return pixels


def flicker(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a picture as one frame of a film shows it: the same camera, but grains and compression
    of this frame alone.
    """
    grained = _with_grains(pixels, rng.uniform(0.01, 0.06), rng)
    # Some cameras hand over frames that nobody has compressed.
    if rng.random() < 0.5:
        return grained
    return _as_jpeg(grained, int(rng.integers(40, 95)))
