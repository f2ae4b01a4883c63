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
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_MOST = np.float32(255)
# Pixels: a blur of less is none.
_SHARP = 0.3
# Levels: noise of less is lost in rounding.
_CLEAN = 0.5


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
    unit = side / 256
    moving = random.random() < 0.3
    length = random.exponential(0.025 * side) if moving else 0.0
    direction = random.uniform(0, np.pi)
    motion = length * np.cos(direction), length * np.sin(direction)
    sharp = random.random() < 0.4
    coarse = random.random() < 0.2
    dark = random.random() < 0.15
    return CameraEffects(
        motion=(float(motion[0]), float(motion[1])),
        background_blur=float(random.choice((0.0, 1.0, 2.5)) * random.uniform(0.5, 1) * unit),
        blur=0.0 if sharp else float(random.uniform(0.3, 1.3) * unit),
        pixelation=float(random.uniform(1.5, 3.5)) if coarse else 1.0,
        gain=_gains(random),
        contrast=float(random.uniform(0.8, 1.2)),
        gamma=float(random.uniform(1.3, 1.9)) if dark else float(random.uniform(0.75, 1.3)),
        noise=float(random.exponential(8.0 if dark else 3.0)),
        chroma=float(random.uniform(0.2, 0.8)),
        grain=(int(random.integers(_GRAIN_SIDE)), int(random.integers(_GRAIN_SIDE))),
        quality=int(random.integers(35, 96)) if random.random() < 0.6 else 0,
    )


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
    if np.hypot(*effects.motion) > 1:
        kernel = _streak(effects.motion)
        colour = _smeared(colour, kernel)
        coverage = _smeared(coverage, kernel)
    picture = _blended(colour, coverage, background)
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


def _smeared(values: Floats, kernel: Floats) -> Floats:
    return cast(Floats, cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_REPLICATE))


def _blended(colour: Floats, coverage: Floats, background: Picture) -> Picture:
    blended = np.empty(background.shape, np.uint8)
    _blend(colour, coverage, background, blended)
    return blended


@kernel()
def _blend(colour: Floats, coverage: Floats, background: Picture, blended: Picture) -> None:
    rows, columns = coverage.shape
    for row in range(rows):
        for column in range(columns):
            rest = _ONE - coverage[row, column]
            for channel in range(3):
                level = colour[row, column, channel] + background[row, column, channel] * rest
                blended[row, column, channel] = int(min(level + _HALF, _MOST))


def _softened(picture: Picture, spread: float) -> Picture:
    return cast(Picture, cv2.GaussianBlur(picture, (0, 0), spread))


def _streak(motion: tuple[float, float]) -> Floats:
    """Return the path of a point while the shutter is open, as a kernel that sums to one."""
    half = int(np.ceil(max(abs(motion[0]), abs(motion[1])) / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    steps = np.linspace(-0.5, 0.5, 4 * half + 1)
    column = np.round(half + steps * motion[0]).astype(int)
    row = np.round(half + steps * motion[1]).astype(int)
    np.add.at(kernel, (row, column), 1.0)
    kernel /= kernel.sum()
    return kernel


def _pixelated(picture: Picture, times: float) -> Picture:
    height, width = picture.shape[:2]
    size = max(8, round(width / times)), max(8, round(height / times))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cast(Picture, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _curves(effects: CameraEffects) -> Picture:
    """Return what each level of each colour becomes, (1, 256, 3)."""
    level = np.arange(256)[:, None] / 255
    curve = (level * np.array(effects.gain)).clip(0, 1) ** effects.gamma
    curve = 0.5 + effects.contrast * (curve - 0.5)
    levels: Picture = np.clip(255 * curve + 0.5, 0, 255).astype(np.uint8)
    return levels[None]


def _noisy(picture: Picture, effects: CameraEffects) -> Picture:
    """Add a piece of a film whose grain is the same in every run.

    To draw grain anew takes longer than to render a hand.
    """
    height, width = picture.shape[:2]
    film = _film(height > _GRAIN_SIDE or width > _GRAIN_SIDE)
    top = effects.grain[0] % (len(film) - height + 1)
    left = effects.grain[1] % (len(film) - width + 1)
    piece = film[top : top + height, left : left + width]
    grain = cv2.transform(piece, _mixing(effects.noise, effects.chroma))
    return cast(Picture, cv2.add(picture, grain, dtype=cv2.CV_8U))


@lru_cache
def _film(large: bool) -> NDArray[np.int16]:
    """Return grain to cut pieces from: (1024, 1024, 3), or four times as many a side, repeated."""
    size = (_GRAIN_SIDE, _GRAIN_SIDE, 3)
    grain = np.random.default_rng(0).normal(0, _GRAIN_SPREAD, size)
    film: NDArray[np.int16] = np.clip(grain, -127, 127).astype(np.int16)
    return np.tile(film, (4, 4, 1)) if large else film


def _mixing(noise: float, chroma: float) -> Doubles:
    """Return the matrix that makes grain with a common part out of three independent channels."""
    common = np.sqrt(1 - chroma**2) / np.sqrt(3)
    mixing: Doubles = noise / _GRAIN_SPREAD * (np.full((3, 3), common) + chroma * np.eye(3))
    return mixing


def _compressed(picture: Picture, quality: int) -> Picture:
    # OpenCV takes red for blue; what comes back is turned about again, with blue as coarse as red.
    _, content = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cast(Picture, cv2.imdecode(content, cv2.IMREAD_COLOR))
