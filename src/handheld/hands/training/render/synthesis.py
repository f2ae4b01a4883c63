"""Rendered pictures in a folder: pictures, masks, labels as JSON lines and in
COCO's form, a contact sheet.

::

    settings.json            what they were made with; a folder takes no others
    pictures/000000.png      one a number
    masks/000000.png         number of the hand in each pixel, from 1
    labels.jsonl             one line a picture, in order
    coco.json                the same for tools that know COCO's keypoints
    sheet.png                the first pictures with their labels

A line of labels is written after its picture, so the lines that are there say how far a run came.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.errors import FileError, InputError
from handheld.files import LineWriter, append_lines, atomic_path
from handheld.hands.training.coco import coco_of
from handheld.hands.training.examples.photos import read_lines
from handheld.hands.training.examples.records import parsed, require_record
from handheld.hands.training.labels import LabelledHand, LabelledPicture, palm_box
from handheld.hands.training.render.recipe import RenderRecipe
from handheld.hands.training.render.sheet import contact_sheet
from handheld.hands.training.render.sources import open_sources
from handheld.hands.training.render.studio import CropOptions
from handheld.hands.training.stream import stream
from handheld.media import read_image, write_image
from handheld.ranges import flag, one_of
from handheld.training.runs import locked
from handheld.untrusted import require_file

SHEET_PICTURES = 64
"""Pictures on the contact sheet at most."""

_LABELS = "labels.jsonl"
_SETTINGS = "settings.json"
_LOCK = ".lock"
# Of the renderer and its folders: another one gives other pixels.
_VERSION = 1


@dataclass(frozen=True)
class SynthesisCounts:
    """How far a run came: pictures of this run and of those before it."""

    made: int
    resumed: int


def synthesise(
    out: Path,
    recipe: RenderRecipe,
    count: int,
    *,
    workers: int = 0,
    on_picture: Callable[[int], None] = lambda done: None,
) -> SynthesisCounts:
    """Fill a folder with pictures 0 to ``count`` - 1; go on where an earlier run ended.

    Args:
        out: the folder.
        recipe: of the pictures.
        count: of pictures in the folder in the end.
        workers: processes that make them; 0 makes them here.
        on_picture: is told how many there are, after each.

    Raises:
        InputError: the folder holds pictures of other settings, or settings or labels
            that no run wrote; another run uses it, or there are no meshes.
        FileError: the disk is full, or the folder cannot be written.
    """
    # A folder is made, and workers are started, only where there is something to draw.
    open_sources(recipe.folder)
    with locked(out, _LOCK):
        # Before anything is written: the folder may be another one than was meant.
        done = _whole_lines(out / _LABELS)
        _keep_settings(out, recipe)
        on_picture(done)
        if done < count:
            _make(out, recipe, done, count, workers, on_picture)
        _write_coco(out)
        sheet = contact_sheet(list(_first_pictures(out)))
        write_image(out / "sheet.png", sheet)
    return SynthesisCounts(made=max(0, count - done), resumed=done)


def _make(
    out: Path,
    recipe: RenderRecipe,
    start: int,
    count: int,
    workers: int,
    on_picture: Callable[[int], None],
) -> None:
    pictures = stream(recipe, start=start, stop=count, workers=workers)
    try:
        with append_lines(out / _LABELS) as lines:
            for index, picture in enumerate(pictures, start):
                _write_picture(out, index, picture, lines)
                on_picture(index + 1)
    except OSError as error:
        raise FileError(
            f"{out} cannot be written: {error}; the pictures of whole lines in {_LABELS} are kept",
        ) from error


def _write_picture(out: Path, index: int, picture: LabelledPicture, lines: LineWriter) -> None:
    name = _name_of(index)
    write_image(out / "pictures" / name, picture.pixels)
    if picture.mask is not None:
        _write_mask(out / "masks" / name, picture.mask)
    # Last: a line that is there says that its pictures are.
    line = {"file": f"pictures/{name}", **picture_to_json(picture)}
    lines.write(json.dumps(line, separators=(",", ":")) + "\n")


def _name_of(index: int) -> str:
    return f"{index:06d}.png"


def _write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    # Small numbers in one channel: ``write_image`` would make three of it.
    _, content = cv2.imencode(".png", mask)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.tobytes())


def picture_to_json(picture: LabelledPicture) -> dict[str, Any]:
    """Return what is known of a picture, but for its pixels, mask and depth;
    ``None`` for what is not.
    """
    height, width = picture.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "complete": picture.complete,
        "hands": [hand_to_json(hand) for hand in picture.hands],
    }


def hand_to_json(hand: LabelledHand) -> dict[str, Any]:
    """Return what is known of a hand: names as in ``LabelledHand``, and the
    palm's box and keypoints.
    """
    box, points = palm_box(hand.keypoints)
    return {
        "handedness": hand.handedness,
        "keypoints": _rounded(hand.keypoints, 2),
        "visible": _as_bits(hand.visible),
        "world": _rounded(hand.world, 5),
        "box": _rounded(hand.box, 2),
        "palm_box": _rounded(box, 2),
        "palm_keypoints": _rounded(points, 2),
        "source": hand.source,
        "person": hand.person,
    }


def _as_bits(visible: NDArray[np.bool_] | None) -> list[int] | None:
    if visible is None:
        return None
    bits: list[int] = visible.astype(int).tolist()
    return bits


def _rounded(values: np.ndarray[Any, Any] | None, digits: int) -> Any:
    """Return numbers as lists; JSON has no NaN, which becomes ``None``."""
    if values is None:
        return None
    if values.ndim > 1:
        return [_rounded(row, digits) for row in values]
    return [_rounded_number(float(value), digits) for value in values]


def _rounded_number(value: float, digits: int) -> float | None:
    if not isfinite(value):
        return None
    return round(value, digits)


def _keep_settings(out: Path, recipe: RenderRecipe) -> None:
    """Write the settings, or compare them with those of the run that is to be continued."""
    path = out / _SETTINGS
    settings = _settings_of(recipe)
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=1) + "\n", "utf-8")
        return
    before = _read_settings(path)
    for name, value in settings.items():
        if before.get(name) != value:
            raise InputError(
                f"{out} holds pictures made with {name} {before.get(name)!r}, not {value!r}: "
                "name another folder, or the same settings"
            )


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        require_file(path)
        settings = parsed(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}; name another folder") from error
    if not isinstance(settings, dict):
        raise InputError(
            f"{path}: expected the settings of a run, got {settings!r:.80}; name another folder"
        )
    return settings


def _settings_of(recipe: RenderRecipe) -> dict[str, Any]:
    """Return all that a picture depends on; not the folder of meshes, which may be moved."""
    form = "crop" if isinstance(recipe.options, CropOptions) else "scene"
    return {
        "version": _VERSION,
        "form": form,
        "seed": recipe.seed,
        "people": recipe.people,
        **asdict(recipe.options),
    }


def _whole_lines(labels: Path) -> int:
    """Return the number of labels that are whole. Raises :class:`InputError` for what is none."""
    if not labels.exists():
        return 0
    try:
        require_file(labels)
        return _checked_lines(labels)
    except (OSError, InputError) as error:
        raise InputError(f"{error}; name another folder") from error


def _checked_lines(labels: Path) -> int:
    """Return the number of lines. Raises :class:`InputError` for one that no run wrote."""
    count = 0
    for line in read_lines(labels, whole_only=True):
        try:
            _require_line(count, line)
        except InputError as error:
            raise InputError(f"{labels}: line {count + 1}: {error}") from error
        count += 1
    return count


def _require_line(index: int, line: dict[str, Any]) -> None:
    """Refuse what no run wrote of picture ``index``. Raises :class:`InputError`."""
    one_of("file", line.get("file"), [f"pictures/{_name_of(index)}"])
    flag("complete", line.get("complete"))
    size = [line.get("height"), line.get("width")]
    require_record({"photo": line["file"], "size": size, "hands": line.get("hands")})
    for hand in line["hands"]:
        _require_rendered(hand)


def _require_rendered(hand: dict[str, Any]) -> None:
    """Refuse a hand of which less is known than of a rendered one."""
    one_of("handedness", hand.get("handedness"), ("Left", "Right"))
    for name in ("visible", "box", "source", "person"):
        if not hand.get(name):
            raise InputError(f"hands: {name} is missing")
    if any(len(point) != 3 for point in hand["keypoints"]):
        raise InputError("hands: expected keypoints of x, y and z")


def _read_lines(out: Path) -> Iterator[dict[str, Any]]:
    with (out / _LABELS).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _write_coco(out: Path) -> None:
    """Write the labels as COCO's keypoint annotations."""
    content = coco_of(map(_record_of, _read_lines(out)), out / _LABELS)
    text = json.dumps(content, separators=(",", ":"))
    with atomic_path(out / "coco.json") as temporary:
        temporary.write_text(text + "\n", "utf-8")


def _record_of(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line as labels of photos are kept."""
    return {
        "photo": line["file"],
        "size": [line["height"], line["width"]],
        "hands": [_record_hand(hand) for hand in line["hands"]],
    }


def _record_hand(hand: dict[str, Any]) -> dict[str, Any]:
    keypoints = [[_from_middle(x), _from_middle(y)] for x, y, _ in hand["keypoints"]]
    is_right = float(hand["handedness"] == "Right")
    return {**hand, "keypoints": keypoints, "right": is_right}


def _from_middle(pixel: float | None) -> float | None:
    """Return a place counted from the middle of the first pixel, as COCO's keypoints are."""
    return None if pixel is None else round(pixel - 0.5, 2)


def _first_pictures(out: Path) -> Iterator[LabelledPicture]:
    """Read back what the contact sheet shows."""
    for number, line in enumerate(_read_lines(out)):
        if number == SHEET_PICTURES:
            return
        hands = tuple(_hand_from_json(hand) for hand in line["hands"])
        yield LabelledPicture(read_image(out / line["file"]), hands, line["complete"])


def _hand_from_json(hand: dict[str, Any]) -> LabelledHand:
    return LabelledHand(
        keypoints=np.array(hand["keypoints"], np.float32),
        source=hand["source"],
        visible=np.array(hand["visible"], bool),
        handedness=hand["handedness"],
        box=np.array(hand["box"], np.float32),
        person=hand["person"],
    )
