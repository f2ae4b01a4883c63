"""What lies behind the hands, and what comes between them and the camera."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.sampling import pick
from handheld.hands.training.render.shade import Picture
from handheld.hands.training.render.sources import (
    RenderSources,
    read_cutout,
    read_picture,
    read_tile,
)

# Backgrounds: shares up to which one is a photo, and up to which one is a surface; the rest is
# plain. What is missing in the folder makes more of the next.
_PHOTOS = 0.88
_SURFACES = 0.94

# Least coverage by which a colour is divided that was multiplied by it.
_LEAST_COVERAGE = 1e-3


def draw_backdrop(
    sources: RenderSources,
    random: np.random.Generator,
    width: int,
    height: int,
) -> Picture:
    """Choose a background (height, width, 3): a piece of a photo, a surface, or plain."""
    picture = _draw_picture(sources, random)
    if picture is None:
        return _plain(random, width, height)
    piece = _piece(picture, random, width / height)
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    resized = cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR)
    return _recoloured(cast(Picture, resized), random)


def _recoloured(picture: Picture, random: np.random.Generator) -> Picture:
    # Photos are few beside the crops that a training takes: none shall be known by its colours.
    brightness = random.normal(0, 0.15)
    gain = np.exp(brightness + random.normal(0, 0.05, 3))
    levels = np.arange(256)[:, None] * gain
    # A half is added, as a cast cuts off.
    rounded = np.clip(levels + 0.5, 0, 255).astype(np.uint8)
    return cast(Picture, cv2.LUT(picture, rounded[None]))


def _draw_picture(sources: RenderSources, random: np.random.Generator) -> Picture | None:
    choice = random.random()
    if sources.backdrops and choice < _PHOTOS:
        return read_picture(pick(random, sources.backdrops))
    if sources.textures and choice < _SURFACES:
        return read_tile(pick(random, sources.textures))
    return None


def _piece(picture: Picture, random: np.random.Generator, aspect: float) -> Picture:
    """Cut a piece of a given width to height out of a picture."""
    height, width = picture.shape[:2]
    largest = min(height, width / aspect)
    # At least half of what fits: of less, a photo is a blur when it is enlarged.
    height_cut = largest * random.uniform(0.5, 1)
    columns = max(1, int(height_cut * aspect))
    rows = max(1, int(height_cut))
    y = random.integers(height - rows + 1)
    x = random.integers(width - columns + 1)
    return picture[y : y + rows, x : x + columns]


def _plain(random: np.random.Generator, width: int, height: int) -> Picture:
    """Return one colour that goes over into another."""
    # Four pixels, enlarged: that is a gradient in both directions.
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
    cutout = read_cutout(pick(random, sources.occluders))
    degrees = random.uniform(0, 360)
    turn = _placing(cutout, degrees, centre, side)
    # All four channels at once: a turned and scaled object has a soft edge only if its alpha is
    # sampled too.
    warped = cv2.warpAffine(cutout, turn, size, flags=cv2.INTER_LINEAR)
    placed = cast(Floats, warped.astype(np.float32))
    coverage = placed[..., 3] / np.float32(255)
    # Mostly darker: what is before a hand is in its own shadow.
    gain = np.float32(random.uniform(0.5, 1.1))
    colour = placed[..., :3] * (gain * coverage[..., None])
    return Billboard(colour, coverage, depth)


def _placing(
    cutout: Picture, degrees: float, centre: tuple[float, float], side: float
) -> NDArray[np.float64]:
    """Return the matrix (2, 3) that turns a cut-out object and brings it to a place and a size."""
    height, width = cutout.shape[:2]
    middle = (width / 2, height / 2)
    scale = side / max(height, width)
    turn = cv2.getRotationMatrix2D(middle, degrees, scale)
    turn[:, 2] += np.array(centre) - middle
    return cast(NDArray[np.float64], turn)


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
    # In front it lies over the hand; behind it shows only where the hand does not cover.
    behind = billboard.coverage * (1 - coverage)
    shown = np.where(front, billboard.coverage, behind)
    kept = np.where(front, 1 - billboard.coverage, np.float32(1))
    divisor = billboard.coverage.clip(_LEAST_COVERAGE)
    tint = billboard.colour / divisor[..., None]
    # A keypoint behind the object's soft edge can still be seen.
    hidden = front & (billboard.coverage > 0.5)
    blended = colour * kept[..., None] + tint * shown[..., None]
    return blended, coverage * kept + shown, hidden
