"""What lies behind the hands, and what comes between them and the camera."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.shade import Picture
from handheld.hands.training.render.sources import (
    RenderSources,
    read_cutout,
    read_picture,
    read_tile,
)


def draw_backdrop(
    sources: RenderSources,
    random: np.random.Generator,
    width: int,
    height: int,
) -> Picture:
    """Choose a background (height, width, 3): a piece of a photo, a surface, or plain."""
    choice = random.random()
    if sources.backdrops and choice < 0.88:
        picture = read_picture(sources.backdrops[random.integers(len(sources.backdrops))])
    elif sources.textures and choice < 0.94:
        picture = read_tile(sources.textures[random.integers(len(sources.textures))])
    else:
        return _plain(random, width, height)
    piece = _piece(picture, random, width / height)
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    resized = cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR)
    # Photos are few beside the crops that a training takes: none shall be known by its colours.
    gain = np.exp(random.normal(0, 0.15) + random.normal(0, 0.05, 3))
    levels = np.clip(np.arange(256)[:, None] * gain + 0.5, 0, 255)
    return cast(Picture, cv2.LUT(resized, levels.astype(np.uint8)[None]))


def _piece(picture: Picture, random: np.random.Generator, aspect: float) -> Picture:
    """Cut a piece of a given width to height out of a picture."""
    height, width = picture.shape[:2]
    rows = min(height, width / aspect) * random.uniform(0.5, 1)
    columns = max(1, int(rows * aspect))
    rows = max(1, int(rows))
    top = random.integers(height - rows + 1)
    left = random.integers(width - columns + 1)
    return picture[top : top + rows, left : left + columns]


def _plain(random: np.random.Generator, width: int, height: int) -> Picture:
    """Return one colour that goes over into another."""
    corners = random.uniform(10, 245, 3) + random.normal(0, 20, (2, 2, 3))
    blend = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    return blend.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Billboard:
    """A flat thing that faces the camera.

    Attributes:
        colour: (H, W, 3) RGB in 0..255, premultiplied by ``coverage`` (H, W) in 0..1.
        depth: metres from the camera; of the hands it hides what is farther.
    """

    colour: Floats
    coverage: Floats
    depth: float


def draw_billboard(
    sources: RenderSources,
    random: np.random.Generator,
    size: tuple[int, int],
    centre: tuple[float, float],
    side: float,
    depth: float,
) -> Billboard:
    """Choose an object and put it somewhere.

    Args:
        sources: with at least one occluder.
        random: decides.
        size: (width, height) of the picture.
        centre: of the object, pixels.
        side: its longer side, pixels.
        depth: metres.
    """
    cutout = read_cutout(sources.occluders[random.integers(len(sources.occluders))])
    height, width = cutout.shape[:2]
    scale = side / max(height, width)
    angle = random.uniform(0, 360)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    turn[:, 2] += np.array(centre) - (width / 2, height / 2)
    # All of it at once: a turned and scaled object has a soft edge only if its alpha is sampled too.
    placed = cast(
        Floats,
        cv2.warpAffine(cutout, turn, size, flags=cv2.INTER_LINEAR).astype(np.float32),
    )
    coverage = placed[..., 3] / np.float32(255)
    gain = np.float32(random.uniform(0.5, 1.1))
    return Billboard(placed[..., :3] * (gain * coverage[..., None]), coverage, depth)


def cover(
    colour: Floats,
    coverage: Floats,
    depth: Floats,
    billboard: Billboard,
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Put a billboard among the hands.

    Args:
        colour: (H, W, 3) premultiplied.
        coverage: (H, W).
        depth: (H, W) of the hands, metres.
        billboard: of the same size.

    Returns:
        New colour and coverage, and (H, W) where the billboard is what one sees.
    """
    front = depth > billboard.depth
    share = np.where(front, billboard.coverage, billboard.coverage * (1 - coverage))
    seen = share[..., None]
    # In front it lies over the hand; behind it shows only where the hand does not cover.
    kept = np.where(front, 1 - billboard.coverage, np.float32(1))
    tint = billboard.colour / billboard.coverage.clip(1e-3)[..., None]
    hidden = front & (billboard.coverage > 0.5)
    return colour * kept[..., None] + tint * seen, coverage * kept + share, hidden
