"""A model card as a picture: bars of its scores, and each keypoint's error around it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.engine import Model
from handheld.hands.skeleton import BONES, FINGERS
from handheld.media import PALETTE, Image, draw_label, draw_polygon, draw_skeleton

_WIDTH = 960
_MARGIN = 20
_ROW = 24  # pixels from a line of text to the next
_TITLE_SCALE = 0.8
_TEXT_SCALE = 0.45

# Columns, in pixels: names, bars, and the hand.
_BARS_LEFT = 200
_BAR_PIXELS = 320  # of a score of 1
_BAR_HEIGHT = 10
_HAND_LEFT = 640

_PAPER = (255, 255, 255)
_TRACK = (230, 230, 230)
_BONE = (150, 150, 150)
_SHARES = PALETTE[1]
_ERRORS = PALETTE[0]

# An upright open hand in palm lengths: where each finger begins, and how far it goes aside at each
# joint. Only a place for the errors: it is nobody's hand.
_FINGER_BASES = ((-0.45, 0.35), (-0.25, 0.95), (0.0, 1.0), (0.2, 0.95), (0.4, 0.85))
_LEANS = (-0.2, -0.05, 0.0, 0.05, 0.12)
_SEGMENT = 0.3
_PALM_PIXELS = 130
_WRIST = (_HAND_LEFT + 150, 330)  # pixels from the card's left and top
_HAND_BOTTOM = _WRIST[1] + 3 * _ROW
_CORNERS = 32  # of a circle

# Scores that count how far off something is: less is better, and their bars have another colour.
_LESS_IS_BETTER = frozenset({"mean", "median", "p90", "calibration", "false_alarms"})


class ScoreBar(NamedTuple):
    """A score to be drawn.

    Attributes:
        name: what it is.
        value: of the score; a bar ends at 1.
        is_error: whether less is better.
    """

    name: str
    value: float
    is_error: bool


def draw_card(card: Mapping[str, Any]) -> Image:
    """Draw the card of one network, (height, 960, 3).

    Args:
        card: as :func:`handheld.hands.training.pack.card_of` makes it and as it is stored in the
            network's files.
    """
    scores = card["test_scores"]
    bars = score_bars(scores)
    points = scores.get("points") or ()
    lines = _words(card)
    bars_top = _MARGIN + _ROW * (len(lines) + 2)
    height = bars_top + _ROW * len(bars) + _MARGIN
    if points:
        height = max(height, _HAND_BOTTOM)
    picture = np.full((height, _WIDTH, 3), _PAPER[0], np.uint8)
    _write(picture, str(card["title"]), _MARGIN, _MARGIN + _ROW, scale=_TITLE_SCALE)
    for row, line in enumerate(lines, start=2):
        _write(picture, line, _MARGIN, _MARGIN + _ROW * row)
    for row, bar in enumerate(bars):
        _draw_bar(picture, bar, bars_top + _ROW * row)
    if points:
        _draw_errors(picture, points)
    return picture


def draw_cards(files: Sequence[Path]) -> Image:
    """Draw the cards that are stored in files of networks, one below the other.

    Args:
        files: ``.tflite`` files that hold their cards.

    Raises:
        ModelError: one of them cannot be opened.
    """
    pictures = []
    for file in files:
        with Model.open(file) as model:
            pictures.append(draw_card(model.card))
    return np.concatenate(pictures)


def score_bars(scores: Mapping[str, Any]) -> list[ScoreBar]:
    """Return what of a card's scores has a bar: shares, errors, and the errors of groups."""
    bars: list[ScoreBar] = []
    for name, value in scores.items():
        # Counts have no bar, and neither has what could not be measured.
        if isinstance(value, float):
            bars.append(ScoreBar(name, value, name in _LESS_IS_BETTER))
    for name, value in (scores.get("groups") or {}).items():
        if value is not None:
            bars.append(ScoreBar(f"mean, {name}", float(value), is_error=True))
    return bars


def learned(plan: Mapping[str, Any]) -> str:
    """Return how long a network learned, and from what."""
    learn = plan.get("learn", {})
    start = learn.get("start") or {}
    shares = {start: 1.0} if isinstance(start, str) else start
    named = [name if len(shares) == 1 else f"{share:g} {name}" for name, share in shares.items()]
    origin = f", from {' + '.join(named)}" if named else ""
    return f"{plan.get('steps')} steps, seed {learn.get('seed')}{origin}"


def _words(card: Mapping[str, Any]) -> list[str]:
    return [
        f"{card['parameters']:,} parameters, {card['licence']}",
        learned(card["plan"]),
        str(card["labels"]),
        "on the test split; blue: more is better, orange: less is",
    ]


def _write(picture: Image, text: str, x: float, y: float, *, scale: float = _TEXT_SCALE) -> None:
    draw_label(picture, text, (x, y), colour=_PAPER, scale=scale)


def _draw_bar(picture: Image, bar: ScoreBar, y: int) -> None:
    """Draw a line of a name, a bar and a number, whose text ends at ``y``."""
    colour = _SHARES
    if bar.is_error:
        colour = _ERRORS
    top = y - _BAR_HEIGHT - 4
    right = _BARS_LEFT + round(_BAR_PIXELS * min(max(bar.value, 0.0), 1.0))
    picture[top : top + _BAR_HEIGHT, _BARS_LEFT : _BARS_LEFT + _BAR_PIXELS] = _TRACK
    picture[top : top + _BAR_HEIGHT, _BARS_LEFT:right] = colour
    _write(picture, bar.name, _MARGIN, y)
    _write(picture, f"{bar.value:.3f}", _BARS_LEFT + _BAR_PIXELS + 10, y)


def _open_hand() -> NDArray[np.float64]:
    """Return where the keypoints (21, 2) are drawn, pixels."""
    points = np.zeros((21, 2))
    for joints, (across, up), lean in zip(FINGERS.values(), _FINGER_BASES, _LEANS, strict=True):
        for step, joint in enumerate(joints):
            points[joint] = across + lean * step, -(up + _SEGMENT * step)
    return points * _PALM_PIXELS + _WRIST


def _draw_errors(picture: Image, errors: Sequence[float | None]) -> None:
    """Draw a hand, and around each keypoint a circle with its mean error for a radius."""
    points = _open_hand()
    draw_skeleton(picture, points, BONES, colour=_BONE, thickness=2)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for point, error in zip(points, errors, strict=True):
        # Nowhere measured: of this keypoint there is no label in the split.
        if error is None:
            continue
        draw_polygon(picture, point + circle * error * _PALM_PIXELS, colour=_ERRORS, thickness=2)
    _write(picture, "mean error of each keypoint, to scale", _HAND_LEFT, _WRIST[1] + 2 * _ROW)
