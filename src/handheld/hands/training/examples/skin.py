"""Other skin tones: the colours of a hand in a photo moved to those of another person's.

The photos show few people. Within the hand's mask lightness and colour are shifted and scaled in
the L*a*b* space so that their means and spreads are those of a drawn tone (Reinhard et al., "Color
Transfer between Images", 2001). Nothing else of the picture changes, and nothing moves.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.result import palm_size
from handheld.hands.skeleton import FINGERS, PALM_POINTS

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# L*, a* and b*, drawn through the medians of the nine skin textures in the shared data's mesh/
# (L* 77 to 29). Their individual typology angles, atan((L* - 50) / b*), go from 54 to -57 degrees:
# from "light" to beyond "dark" of Chardon et al. (1991).
TONES: Floats = np.array(
    [
        (78, 9, 20),
        (70, 11, 21),
        (60, 14, 24),
        (50, 16, 25),
        (40, 17, 23),
        (31, 16, 20),
        (25, 12, 16),
    ],
    np.float32,
)
"""(7, 3): L*, a*, b* of skin under even light, from the lightest to the darkest."""

# By how much L* is moved at most: a hand that is lighter than anything in its room is a cut-out.
_FARTHEST = 25.0
# Share of the light's own colour that stays: a hand under a yellow lamp is yellow, whoever's it is.
_CAST = 0.7
# In palm widths (index to little finger's knuckle): what is surely skin around a finger's bone.
_BONE = 0.15
# A palm seen from its side is no narrower than this share of its length.
_SIDE = 0.5
# In palm widths: how far flesh is from the hull of the keypoints at most, with the softened border.
_GROWN = 0.45
# In palm widths: standard deviation by which that border is softened.
_SOFT = 0.15
# By how much shading may be weakened and strengthened: it gets weaker as skin gets darker.
_CONTRAST = (0.6, 1.25)
# The same of how much the colour varies.
_COLOURFUL = (0.6, 1.5)
# Standard deviation of a* and b* around a tone: no two people have the same.
_PERSONAL = 1.5
# Fewer pixels of a hand than this tell nothing of its colour.
_LEAST_PIXELS = 64
# Of the distances from the skin's median colour, lightness at a third of its weight as shading
# changes it: so many times the skin's own one within which a pixel is skin, and beyond which it is
# none, but a background between fingers, or a held thing.
_SAME = 1.8
_OTHER = 3.2
_LIGHTNESS = 0.33
# Skin is never so even that its distance is less; nor does it vary by more, but for blown lights.
_DISTANCES = (3.0, 7.0)


@dataclass(frozen=True, eq=False)
class HandMask:
    """Where a hand is, as far as its keypoints say.

    Attributes:
        inner: (H, W) whether a pixel is on the palm or on a finger's bone: there is skin.
        outer: (H, W) in [0, 1], the keypoints' hull and some more, soft: beyond it there is none.
    """

    inner: NDArray[np.bool_]
    outer: Floats


def hand_mask(points: NDArray[np.floating[Any]], shape: tuple[int, int]) -> HandMask:
    """Return where a hand is.

    The border of the outer mask is far from the keypoints and soft, so that a network cannot read
    them off it; what is skin within it, colour says.

    Args:
        points: (21, 2 or more) pixels; unknown ones are NaN and left out.
        shape: height and width of the picture.

    Returns:
        Masks that are empty where the palm is not known.
    """
    inner = np.zeros(shape, np.uint8)
    outer = np.zeros(shape, np.uint8)
    palm = points[list(PALM_POINTS), :2]
    if np.isfinite(palm).all():
        across, down = points[5, :2] - points[17, :2]
        width = max(float(np.hypot(across, down)), _SIDE * palm_size(points))
        # A label may be far from any hand; OpenCV draws no lines of 32,768 pixels and more.
        width = min(width, 2.0 * max(shape))
        _draw_inner(inner, points, max(1, round(_BONE * width)))
        known = points[np.isfinite(points[:, 0]), :2]
        hull = cv2.convexHull(_whole(known))
        cv2.fillConvexPoly(outer, hull, 255)
        cv2.polylines(outer, [hull], True, 255, max(1, round(2 * _GROWN * width)))
        blurred = cv2.GaussianBlur(outer, (0, 0), max(0.5, _SOFT * width))
        # Inwards only: what is beside the hand stays as it is.
        outer = np.asarray(np.minimum(blurred, outer), np.uint8)
    return HandMask(inner > 0, (outer / 255).astype(np.float32))


def _draw_inner(mask: Pixels, points: NDArray[np.floating[Any]], thickness: int) -> None:
    cv2.fillConvexPoly(mask, cv2.convexHull(_whole(points[list(PALM_POINTS), :2])), 255)
    for joints in FINGERS.values():
        finger = points[list(joints), :2]
        line = _whole(finger[np.isfinite(finger).all(axis=1)])
        if len(line):
            cv2.polylines(mask, [line], False, 255, thickness)


def _whole(points: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    return points.round().astype(np.int32)


def draw_tone(rng: np.random.Generator) -> Floats:
    """Return a tone as L*, a*, b* (3,): any place of the scale as often."""
    position = rng.uniform(0, len(TONES) - 1)
    tone = _on_scale(position, np.arange(len(TONES)))
    tone[1:] += rng.normal(0, _PERSONAL, 2)
    return tone


def _on_scale(position: float, steps: NDArray[Any]) -> Floats:
    """Return a tone between those of the scale; ``steps`` (7,) says where these are."""
    return np.array([np.interp(position, steps, column) for column in TONES.T], np.float32)


def with_tone(pixels: Pixels, mask: HandMask, tone: Floats) -> Pixels:
    """Return a picture (H, W, 3) whose hand has another skin tone, as far as its light allows.

    Args:
        pixels: RGB.
        mask: of the hand; where ``outer`` is 0 no pixel changes.
        tone: L*, a*, b* that the hand would have on average under even light.
    """
    if mask.inner.sum() < _LEAST_PIXELS:
        return pixels
    unit = pixels.astype(np.float32) / 255
    colours = np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2LAB), np.float32)
    # The median, which a sleeve or a gap between fingers does not move.
    middle = np.median(colours[mask.inner], axis=0)
    weight = (mask.outer * _likeness(colours, middle, mask.inner))[..., None]
    mean = (colours * weight).sum(axis=(0, 1)) / max(float(weight.sum()), 1.0)
    target = _under_light_of(mean, tone)
    moved = (colours - mean) * _spreads(mean, target) + target
    changed = 255 * cv2.cvtColor(moved.astype(np.float32), cv2.COLOR_LAB2RGB)
    blended = np.asarray(pixels + weight * (changed - pixels), np.float32)
    return np.rint(blended).clip(0, 255).astype(np.uint8)


def _under_light_of(mean: Floats, tone: Floats) -> Floats:
    """Return what a tone looks like where skin looks like ``mean``."""
    # Of skin as light as this one, seen under even light: what differs is the light's.
    expected = _on_scale(-float(mean[0]), -TONES[:, 0])
    target = tone + _CAST * (mean - expected)
    target[0] = np.clip(tone[0], mean[0] - _FARTHEST, mean[0] + _FARTHEST)
    return np.asarray(target, np.float32)


def _spreads(mean: Floats, target: Floats) -> Floats:
    """Return by what lightness and colour are scaled around their means."""
    shading = np.clip(target[0] / max(float(mean[0]), 1.0), *_CONTRAST)
    colourful = np.hypot(*target[1:]) / max(float(np.hypot(*mean[1:])), 1.0)
    colour = np.clip(colourful, *_COLOURFUL)
    return np.array([shading, colour, colour], np.float32)


def _likeness(colours: Floats, middle: Floats, inner: NDArray[np.bool_]) -> Floats:
    """Return how much pixels are of the hand's colour, (H, W) in [0, 1]."""
    differences = (colours - middle) * np.array([_LIGHTNESS, 1, 1], np.float32)
    distances = np.linalg.norm(differences, axis=-1)
    usual = np.clip(np.median(distances[inner]), *_DISTANCES)
    likeness = (_OTHER - distances / usual) / (_OTHER - _SAME)
    return np.asarray(likeness.clip(0, 1), np.float32)
