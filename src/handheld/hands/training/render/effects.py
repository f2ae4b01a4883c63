"""What a camera does to a picture: motion blur, defocus, noise, colour, exposure, JPEG."""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld._kernels import kernel
from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.shade import Picture
from handheld.hands.training.render.skinning import Doubles

_GRAIN_SIDE = 1024
# Standard deviation of the film's grain, levels: enough steps for what is scaled down from it.
_GRAIN_SPREAD = 24
# For the kernel: a Python number would make its sums double, and slower.
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_MOST = np.float32(255)
# Pixels: a blur of less is none.
_SHARP = 0.3
# Levels: noise of less is lost in rounding.
_CLEAN = 0.5


# Pixels of the side that blurs are given for; they grow with the picture.
_UNIT_SIDE = 256

# Shares of the pictures: hands that move, a sharp lens, coarse pixels, a dark room, JPEG.
_MOVING = 0.3
_FOCUSED = 0.4
_COARSE = 0.2
_DARK = 0.15
_JPEG = 0.6

# Pixels of a side below which nothing is left of a hand.
_LEAST_SIDE = 8


@dataclass(frozen=True)
class CameraEffects:
    """How far the picture of a camera is from what stands before it.

    Attributes:
        motion: (x, y) pixels that the hands move while the shutter is open.
        background_blur: standard deviation of the background's defocus, pixels.
        blur: the same of the whole picture.
        pixelation: the whole picture is made so many times smaller and larger
            again, 1 for not at all.
        gain: (red, green, blue) factors.
        contrast: around the middle grey, 1 for none.
        gamma: exponent of the coded values, 1 for none.
        noise: standard deviation of the grain, levels of 255.
        chroma: share of it that differs between the colours.
        grain: where in the film's grain the picture lies, (row, column).
        quality: of the JPEG, 1 to 100; 0 for none.
    """

    motion: tuple[float, float] = (0.0, 0.0)
    background_blur: float = 0.0
    blur: float = 0.0
    pixelation: float = 1.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    gamma: float = 1.0
    noise: float = 0.0
    chroma: float = 0.5
    grain: tuple[int, int] = (0, 0)
    quality: int = 0


def draw_effects(random: np.random.Generator, side: int) -> CameraEffects:
    """Choose what a camera does to a picture whose shorter side is ``side`` pixels."""
    unit = side / _UNIT_SIDE
    # The fields are drawn in their order, after what they depend on: a seed's pictures depend on
    # it.
    motion = _draw_motion(random, side)
    is_sharp = random.random() < _FOCUSED
    is_coarse = random.random() < _COARSE
    is_dark = random.random() < _DARK
    return CameraEffects(
        motion=motion,
        background_blur=_draw_background_blur(random, unit),
        blur=0.0 if is_sharp else float(random.uniform(0.3, 1.3) * unit),
        pixelation=float(random.uniform(1.5, 3.5)) if is_coarse else 1.0,
        gain=_gains(random),
        contrast=float(random.uniform(0.8, 1.2)),
        gamma=_draw_gamma(random, is_dark),
        noise=_draw_noise(random, is_dark),
        chroma=float(random.uniform(0.2, 0.8)),
        grain=_draw_grain(random),
        quality=_draw_quality(random),
    )


def _draw_background_blur(random: np.random.Generator, unit: float) -> float:
    # Far away, near, and as a lens shows a room when it is focused on a hand.
    largest = random.choice((0.0, 1.0, 2.5))
    return float(largest * random.uniform(0.5, 1) * unit)


def _draw_motion(random: np.random.Generator, side: int) -> tuple[float, float]:
    length = 0.0
    if random.random() < _MOVING:
        # Mostly short: a hand that crosses a fortieth of the picture is already hard to see.
        length = random.exponential(0.025 * side)
    direction = random.uniform(0, np.pi)
    across = length * np.cos(direction)
    down = length * np.sin(direction)
    return float(across), float(down)


def _draw_gamma(random: np.random.Generator, is_dark: bool) -> float:
    # A dark room: darker tones.
    if is_dark:
        return float(random.uniform(1.3, 1.9))
    return float(random.uniform(0.75, 1.3))


def _draw_noise(random: np.random.Generator, is_dark: bool) -> float:
    # In a dark room a sensor amplifies its noise.
    mean = 8.0 if is_dark else 3.0
    return float(random.exponential(mean))


def _draw_grain(random: np.random.Generator) -> tuple[int, int]:
    row = int(random.integers(_GRAIN_SIDE))
    column = int(random.integers(_GRAIN_SIDE))
    return row, column


def _draw_quality(random: np.random.Generator) -> int:
    if random.random() >= _JPEG:
        return 0
    return int(random.integers(35, 96))


def _gains(random: np.random.Generator) -> tuple[float, float, float]:
    """Return white balance that is a little off, red against blue, and exposure."""
    warmth = random.normal(0, 0.06)
    green = random.normal(0, 0.02)
    exposure = random.normal(0, 0.12)
    red, blue = np.exp([exposure + warmth, exposure - warmth])
    return float(red), float(np.exp(exposure + green)), float(blue)


def expose(
    colour: Floats,
    coverage: Floats,
    background: Picture,
    effects: CameraEffects,
) -> Picture:
    """Lay the hands over a background and photograph both.

    Args:
        colour: (H, W, 3) RGB in 0..255, premultiplied by ``coverage`` (H, W) in 0..1.
        background: (H, W, 3).
        effects: what the camera does.
    """
    if effects.background_blur > _SHARP:
        background = _softened(background, effects.background_blur)
    # The hands move, the room does not; a smeared hand covers less, so both are smeared.
    if np.hypot(*effects.motion) > 1:
        streak = _streak(effects.motion)
        colour = _smeared(colour, streak)
        coverage = _smeared(coverage, streak)
    return _developed(_blended(colour, coverage, background), effects)


def _developed(picture: Picture, effects: CameraEffects) -> Picture:
    """Do what a camera does, in its order: lens, pixels, tones, grain, file."""
    if effects.blur > _SHARP:
        picture = _softened(picture, effects.blur)
    if effects.pixelation > 1:
        picture = _pixelated(picture, effects.pixelation)
    picture = cast(Picture, cv2.LUT(picture, _curves(effects)))
    if effects.noise > _CLEAN:
        picture = _noisy(picture, effects)
    if effects.quality:
        picture = _compressed(picture, effects.quality)
    return picture


def _smeared(values: Floats, streak: Floats) -> Floats:
    return cast(Floats, cv2.filter2D(values, -1, streak, borderType=cv2.BORDER_REPLICATE))


def _blended(colour: Floats, coverage: Floats, background: Picture) -> Picture:
    blended = np.empty(background.shape, np.uint8)
    _blend(colour, coverage, background, blended)
    return blended


@kernel()
def _blend(colour: Floats, coverage: Floats, background: Picture, blended: Picture) -> None:
    rows, columns = coverage.shape
    for row in range(rows):
        for column in range(columns):
            uncovered = _ONE - coverage[row, column]
            for channel in range(3):
                level = colour[row, column, channel] + background[row, column, channel] * uncovered
                blended[row, column, channel] = int(min(level + _HALF, _MOST))


def _softened(picture: Picture, spread: float) -> Picture:
    return cast(Picture, cv2.GaussianBlur(picture, (0, 0), spread))


def _streak(motion: tuple[float, float]) -> Floats:
    """Return the path of a point while the shutter is open, as a kernel that sums to one."""
    across, down = motion
    reach = max(abs(across), abs(down))
    half = int(np.ceil(reach / 2))
    side = 2 * half + 1
    streak = np.zeros((side, side), np.float32)
    # Two steps a pixel, so that the path has no holes.
    steps = np.linspace(-0.5, 0.5, 4 * half + 1)
    column = np.round(half + steps * across).astype(int)
    row = np.round(half + steps * down).astype(int)
    np.add.at(streak, (row, column), 1.0)
    streak /= streak.sum()
    return streak


def _pixelated(picture: Picture, times: float) -> Picture:
    height, width = picture.shape[:2]
    columns = max(_LEAST_SIDE, round(width / times))
    rows = max(_LEAST_SIDE, round(height / times))
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return cast(Picture, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _curves(effects: CameraEffects) -> Picture:
    """Return what each level of each colour becomes, (1, 256, 3)."""
    level = np.arange(256)[:, None] / 255
    gained = (level * np.array(effects.gain)).clip(0, 1)
    curve = gained**effects.gamma
    curve = 0.5 + effects.contrast * (curve - 0.5)
    # A half is added, as a cast cuts off.
    rounded = np.clip(255 * curve + 0.5, 0, 255)
    levels: Picture = rounded.astype(np.uint8)
    return levels[None]


def _noisy(picture: Picture, effects: CameraEffects) -> Picture:
    """Add a piece of a film whose grain is the same in every run.

    To draw grain anew takes longer than to render a hand.
    """
    height, width = picture.shape[:2]
    film = _film(max(height, width) > _GRAIN_SIDE)
    row, column = effects.grain
    y = row % (len(film) - height + 1)
    x = column % (len(film) - width + 1)
    piece = film[y : y + height, x : x + width]
    grain = cv2.transform(piece, _mixing(effects.noise, effects.chroma))
    return cast(Picture, cv2.add(picture, grain, dtype=cv2.CV_8U))


@lru_cache
def _film(large: bool) -> NDArray[np.int16]:
    """Return grain to cut pieces from: (1024, 1024, 3), or four times as many a side, repeated."""
    size = (_GRAIN_SIDE, _GRAIN_SIDE, 3)
    # The one seed that is no run's: the film is part of the renderer, as its meshes are.
    grain = np.random.default_rng(0).normal(0, _GRAIN_SPREAD, size)
    film: NDArray[np.int16] = np.clip(grain, -127, 127).astype(np.int16)
    if large:
        return np.tile(film, (4, 4, 1))
    return film


def _mixing(noise: float, chroma: float) -> Doubles:
    """Return the matrix that makes grain with a common part out of three independent channels."""
    # Of variance 1 - chroma^2 in all: the noise is as strong whatever its colour.
    common = np.sqrt(1 - chroma**2) / np.sqrt(3)
    matrix = np.full((3, 3), common) + chroma * np.eye(3)
    mixing: Doubles = noise / _GRAIN_SPREAD * matrix
    return mixing


def _compressed(picture: Picture, quality: int) -> Picture:
    # OpenCV takes red for blue; what comes back is turned about again, with blue as coarse as red.
    _, content = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cast(Picture, cv2.imdecode(content, cv2.IMREAD_COLOR))
