"""What a line of labels, or of a set's index, must be before anything is made of it: both come from
others too.
"""

import json
import os
from math import isnan
from pathlib import Path
from typing import Any, TypeAlias

from handheld.errors import InputError
from handheld.ranges import flag, in_range, whole_in_range

Record: TypeAlias = dict[str, Any]

KEYPOINTS = 21
"""Of a hand."""

TIPS = ("thumb_tip", "index_tip")
"""What an index calls the tips that were set by hand."""

INDEX_ENTRIES = frozenset({"file", "person", "path", "boxes", *TIPS})
"""What a line of an index may say of a photo."""

FARTHEST = 1e6
"""Pixels from a photo's corner: far beyond any photo that is read."""

_FARTHEST_SHARE = 2
"""Of a picture's side, from its corner: hands may reach out of it. What is farther is in pixels."""


def parsed(line: str | bytes) -> Any:
    """Return what a line of JSON says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    # Not ``read_json``: a file's name that is no text has halves of letters in it.
    try:
        return json.loads(line)
    except RecursionError as error:
        raise ValueError("brackets in brackets, too many to read") from error


def is_photo(path: Path) -> bool:
    """Whether there is a file, also where the name is too long for any file."""
    try:
        return path.is_file()
    except OSError:
        return False


def require_record(record: object) -> None:
    """Refuse what is no photo's labels. Raises :class:`InputError`, which says where and what."""
    if not isinstance(record, dict) or not isinstance(record.get("photo"), str):
        raise InputError(f"expected an object with a photo's name, got {record!r:.80}")
    _require_name(record["photo"])
    whole_in_range("version", record.get("version", 0), low=0)
    if record.get("size") is not None:
        for side in _listed("size", record["size"], 2):
            whole_in_range("size", side, low=1)
    hands = record.get("hands")
    if not isinstance(hands, list):
        raise InputError(f"hands: expected a list, got {hands!r:.80}")
    for number, hand in enumerate(hands):
        _require_hand(f"hands[{number}]", hand)


def require_index_entry(entry: Record) -> None:
    """Refuse what says nothing of a set's photo. Raises :class:`InputError`, which says where and
    what.
    """
    _require_text("file", entry.get("file"))
    for name in ("person", "path"):
        if entry.get(name) is not None:
            _require_text(name, entry[name])
    if entry.get("boxes") is not None:
        require_boxes("boxes", entry["boxes"])
    # Both or neither: one tip alone would be of a hand whose other one is anywhere.
    if any(entry.get(name) is not None for name in TIPS):
        for name in TIPS:
            _require_fractions(name, entry.get(name), 2)


def require_boxes(location: str, boxes: object) -> None:
    """Refuse what is no list of boxes: centre x, centre y, width, height, as fractions of the
    picture. Raises :class:`InputError`.
    """
    if not isinstance(boxes, list):
        raise InputError(f"{location}: expected a list, got {boxes!r:.80}")
    for number, box in enumerate(boxes):
        _require_fractions(f"{location}[{number}]", box, 4)
        for side in box[2:]:
            in_range(f"{location}[{number}]", side, low=0, low_open=True)


def _require_text(location: str, text: object) -> None:
    if not isinstance(text, str):
        raise InputError(f"{location}: expected a text, got {text!r:.80}")
    try:
        # Not `encode`: of a file whose name is no text, halves of letters stand for its bytes.
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError(f"{location}: has halves of letters in it: {text!r:.80}") from error


def _require_name(name: str) -> None:
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise InputError(f"photo: no file can have the name {name!r:.80}") from error


def _require_hand(location: str, hand: object) -> None:
    if not isinstance(hand, dict):
        raise InputError(f"{location}: expected an object, got {hand!r:.80}")
    _require_points(f"{location}.keypoints", hand.get("keypoints"))
    if hand.get("world") not in (None, []):
        _require_points(f"{location}.world", hand["world"])
    for name in ("right", "presence"):
        if hand.get(name) is not None:
            in_range(f"{location}.{name}", hand[name], low=0, high=1)
    if hand.get("dropped") is not None:
        flag(f"{location}.dropped", hand["dropped"])
    source = hand.get("source")
    if not isinstance(source, str | None):
        raise InputError(f"{location}.source: expected a text, got {source!r:.80}")
    for name, count in (("spread", KEYPOINTS), ("visible", KEYPOINTS), ("box", 4)):
        # Nobody says, as [] does too.
        if hand.get(name) not in (None, []):
            _require_numbers(f"{location}.{name}", hand[name], count)


def _require_points(location: str, points: object) -> None:
    for number, point in enumerate(_listed(location, points, KEYPOINTS, "keypoints")):
        _require_point(f"{location}[{number}]", point)


def _require_point(location: str, point: object) -> None:
    if not isinstance(point, list) or len(point) not in (2, 3):
        raise InputError(f"{location}: expected x, y and z, got {point!r:.80}")
    for number in point:
        # None and NaN are places that nobody knows.
        is_unknown = number is None or (isinstance(number, float) and isnan(number))
        if not is_unknown:
            in_range(location, number, low=-FARTHEST, high=FARTHEST)


def _require_fractions(location: str, values: object, count: int) -> None:
    for value in _listed(location, values, count):
        try:
            in_range(location, value, low=-_FARTHEST_SHARE, high=_FARTHEST_SHARE)
        except InputError as error:
            raise InputError(f"{error}; places are fractions of the picture") from error


def _require_numbers(location: str, values: object, count: int) -> None:
    for value in _listed(location, values, count):
        # True and False are how a keypoint is seen or not.
        if not isinstance(value, bool):
            in_range(location, value, low=-FARTHEST, high=FARTHEST)


def _listed(location: str, values: object, count: int, content: str = "numbers") -> list[Any]:
    if not isinstance(values, list):
        raise InputError(f"{location}: expected {count} {content}, got {values!r:.80}")
    if len(values) != count:
        raise InputError(f"{location}: expected {count} {content}, got {len(values)}")
    return values
