"""What a camera does to a picture: motion blur, defocus, noise, colour, exposure, JPEG."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.shade import Picture
from handheld.hands.training.render.skinning import Doubles

_GRAIN_SIDE = 1024
_GRAIN_SPREAD = 24
_FILM = np.clip(
    np.random.default_rng(0).normal(0, _GRAIN_SPREAD, (_GRAIN_SIDE, _GRAIN_SIDE, 3)), -127, 127
).astype(np.int16)
"""Grain to cut pieces from, of a standard deviation of 24 levels."""


@dataclass(frozen=True)
class CameraEffects:
    """How far the picture of a camera is from what stands before it.

    Attributes:
        motion: (x, y) pixels that the hands move while the shutter is open.
        background_blur: standard deviation of the background's defocus, pixels.
        blur: the same of the whole picture.
        pixelation: the whole picture is made so many times smaller and larger again, 1 for not at all.
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
    colour: Floats, coverage: Floats, background: Picture, effects: CameraEffects
) -> Picture:
    """Lay the hands over a background and photograph both.

    Args:
        colour: (H, W, 3) RGB in 0..255, premultiplied by ``coverage`` (H, W) in 0..1.
        background: (H, W, 3).
        effects: what the camera does.
    """
    if effects.background_blur > 0.3:
        background = _softened(background, effects.background_blur)
    if np.hypot(*effects.motion) > 1:
        kernel = _streak(effects.motion)
        colour = cv2.filter2D(colour, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        coverage = cv2.filter2D(coverage, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    picture = _blended(colour, coverage, background)
    if effects.blur > 0.3:
        picture = _softened(picture, effects.blur)
    if effects.pixelation > 1:
        picture = _pixelated(picture, effects.pixelation)
    picture = cv2.LUT(picture, _curves(effects))
    if effects.noise > 0.5:
        picture = _noisy(picture, effects)
    if effects.quality:
        picture = _compressed(picture, effects.quality)
    return cast(Picture, picture)


def _blended(colour: Floats, coverage: Floats, background: Picture) -> Picture:
    behind = background * (np.float32(1) - coverage)[..., None]
    cv2.add(behind, colour, dst=behind)
    return cast(Picture, cv2.convertScaleAbs(behind))


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
    return kernel / kernel.sum()


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
    return np.clip(255 * curve + 0.5, 0, 255).astype(np.uint8)[None]


def _noisy(picture: Picture, effects: CameraEffects) -> Picture:
    """Add grain from a film that is the same in every run: to draw it anew takes longer than to render."""
    height, width = picture.shape[:2]
    top = effects.grain[0] % (_GRAIN_SIDE - height + 1) if height <= _GRAIN_SIDE else 0
    left = effects.grain[1] % (_GRAIN_SIDE - width + 1) if width <= _GRAIN_SIDE else 0
    film = _FILM if max(height, width) <= _GRAIN_SIDE else np.tile(_FILM, (3, 3, 1))
    piece = film[top : top + height, left : left + width]
    grain = cv2.transform(piece, _mixing(effects.noise, effects.chroma))
    return cast(Picture, cv2.add(picture, grain, dtype=cv2.CV_8U))


def _mixing(noise: float, chroma: float) -> Doubles:
    """Return the matrix that makes grain with a common part out of three independent channels."""
    common = np.sqrt(1 - chroma**2) / np.sqrt(3)
    return noise / _GRAIN_SPREAD * (np.full((3, 3), common) + chroma * np.eye(3))


def _compressed(picture: Picture, quality: int) -> Picture:
    _, content = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cast(Picture, cv2.imdecode(content, cv2.IMREAD_COLOR))
