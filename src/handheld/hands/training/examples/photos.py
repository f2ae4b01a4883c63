"""The photo sets: which pictures there are, what is known of them, and which are kept apart.

Photos are split by person, or by session where nobody says who it is, never by picture: two photos
of one hand a second apart are nearly the same picture.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from handheld.config import read_config
from handheld.errors import InputError, MediaError
from handheld.files import paths_below
from handheld.hands.training.examples.records import (
    INDEX_ENTRIES,
    TIPS,
    parsed,
    require_boxes,
    require_index_entry,
)
from handheld.pictures import SUFFIXES

Split: TypeAlias = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class PhotoSetWarning(UserWarning):
    """Photos are read, but not as their owner may have meant."""


@dataclass(frozen=True)
class PhotoSet:
    """A folder of photos.

    Attributes:
        name: of the folder.
        credit: what a model card says of it.
        complete: whether every hand that can be seen has a box.
        single: whether no photo shows more than one hand.
    """

    name: str
    credit: str
    complete: bool = False
    single: bool = False


@dataclass(frozen=True)
class SetConfig:
    """What a ``set.toml`` says of the photos beside it.

    Attributes:
        credit: where they are from, and by which licence; a model card says so.
        complete: whether every hand that can be seen has a box in ``index.jsonl``.
    """

    credit: str
    complete: bool = False


SHIPPED = (
    PhotoSet("subhih", "SubhiH/HandsDataset, Apache-2.0", complete=True),
    PhotoSet("asl_letters", "Roboflow ASL Letters by D. Lee, public domain", single=True),
    PhotoSet("lebanese", "Lebanese University, Roboflow, CC BY 4.0", complete=True),
    PhotoSet("digits", "ardamavi/Sign-Language-Digits-Dataset, Apache-2.0", single=True),
    PhotoSet("emrecandir_hand", "emrecandir9/custom-gesture-dataset, MIT"),
    PhotoSet("ti1k", "MahmudulAlam/TI1K-Dataset, MIT", complete=True, single=True),
    PhotoSet("bisindo_binus", "Zappie733/Research-Binus-BISINDO-DATASET, MIT"),
    PhotoSet("islate", "HACKERSTARK/ISLATE, MIT"),
    PhotoSet("asl_opencv", "HarshalCreates/american-sign-language-opencv, MIT"),
    PhotoSet("coco_ccby", "COCO, single pictures CC BY 2.0, attributions in index.jsonl"),
    PhotoSet("grocery_held", "marcusklasson/GroceryStoreDataset, MIT"),
    PhotoSet("stark_isl", "StarK-0/RSLC-using-CNN, MIT"),
    PhotoSet("condzi", "Condzi/ece-ai-project, MIT"),
    PhotoSet("rps_harikrishnan", "Harikrishnan6336/Rock_Paper_Scissors, MIT", single=True),
    PhotoSet("rps_parikshit", "parikshitkumar1/Best_Of_One, MIT", single=True),
    PhotoSet("dex_hand", "dexsuite/dex-retargeting, MIT"),
    PhotoSet("hackmit_asl", "helloparthshah/HackMIT, MIT", single=True),
)
"""Sets whose licence lets a model trained on them ship. Others are read only where their folder
holds a ``set.toml``.
"""

SET_FILE = "set.toml"
"""By this file somebody says that the photos beside it are theirs to learn from."""

SINGLE = frozenset(photo_set.name for photo_set in SHIPPED if photo_set.single)
"""Sets in which whatever is beside a hand is no hand."""

# Chosen among forty so that validation and test have photos of four and six sets; see
# docs/train-hand-models.md.
_SALT = "1"
# Upper ends of the splits' ranges of the hash, in percent.
_PERCENT = {"test": 10, "validation": 20}


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo and what its set says of it.

    Attributes:
        name: "set/file", by which labels refer to it.
        path: of the file.
        person: whom or which session it shows; photos of one person are in one split.
        boxes: (n, 4) whole hands, centre x, centre y, width, height as fractions of the picture; or
            ``None`` where the set has none for this photo.
        complete: whether those boxes are all hands.
        tips: (2, 2) thumb and index tip as fractions, set by hand; or ``None``.
    """

    name: str
    path: Path
    person: str
    boxes: NDArray[np.float64] | None = None
    complete: bool = False
    tips: NDArray[np.float64] | None = None

    @property
    def group(self) -> str:
        """The set that this photo is of."""
        return self.name.partition("/")[0]

    @property
    def split(self) -> Split:
        """The split that this photo's person is in."""
        return split_of(self.person)


def split_of(person: str) -> Split:
    """Return the split of a person or session: a tenth is for tests, a tenth for validation, by a
    hash of the name.
    """
    # Names of files that are no text have halves of letters in them.
    salted = f"{_SALT}/{person}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(salted).digest()
    # The first four bytes as a share of what four bytes can be: evenly spread over [0, 100).
    percent = int.from_bytes(digest[:4], "big") * 100 / 2**32
    if percent < _PERCENT["test"]:
        return "test"
    if percent < _PERCENT["validation"]:
        return "validation"
    return "train"


def empty_pictures(data: Path) -> list[Path]:
    """Return the pictures without hands in a folder's ``negatives`` and ``backgrounds``, sorted."""
    paths: list[Path] = []
    for folder in filter(Path.is_dir, (data / "negatives", data / "backgrounds")):
        # Not `glob`: it leaves out a folder that it may not read without a word.
        paths += folder.iterdir()
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES)


def read_photos(folder: Path, sets: tuple[PhotoSet, ...] = SHIPPED) -> list[Photo]:
    """List the photos of the sets that a folder holds, in the order of their names.

    Args:
        folder: holds a folder for each set, and ``boxes.json`` for sets without an index.
        sets: those to read, beside folders with a ``set.toml``; one that is not there is left out.

    Raises:
        InputError: none of the sets is there, or an index cannot be read or
            names a file that is missing.
    """
    boxes = _read_boxes(folder / "boxes.json")
    photos: list[Photo] = []
    for photo_set in sets:
        if (folder / photo_set.name).is_dir():
            photos += _photos_of(folder, photo_set, boxes)
    for photo_set in own_sets(folder):
        mine = list(_photos_of(folder, photo_set, boxes, known=INDEX_ENTRIES))
        _warn_if_apart(folder / photo_set.name, mine)
        photos += mine
    if not photos:
        names = ", ".join(photo_set.name for photo_set in sets)
        raise InputError(
            f"{folder}: no photos: expected a folder for each set ({names}), or one with {SET_FILE}"
        )
    return photos


def _warn_if_apart(folder: Path, photos: Sequence[Photo]) -> None:
    """Say of a set that nothing is learned from it where that may be by chance."""
    # A person who is named may be meant to be there.
    unnamed = [photo for photo in photos if photo.person == photo.group]
    if unnamed and unnamed[0].split != "train":
        warnings.warn(
            f"{folder}: of {len(unnamed)} of {len(photos)} photos no index names the person: they "
            f"are of one, who is in the {unnamed[0].split} split: nothing is learned from them",
            PhotoSetWarning,
            stacklevel=3,
        )


def own_sets(folder: Path) -> list[PhotoSet]:
    """Return the sets of a folder of photos that are declared by their ``set.toml``, by name.

    Raises:
        InputError: such a file is not as :class:`SetConfig` says, or is of a set of ``SHIPPED``.
    """
    shipped = {photo_set.name for photo_set in SHIPPED}
    sets = []
    for path in sorted(folder.glob(f"*/{SET_FILE}")):
        name = path.parent.name
        # One name is one set: persons and splits go by it.
        if name in shipped:
            raise InputError(f"{path}: {name} is known already: give the folder another name")
        config = read_config(SetConfig, path)
        # It becomes a line of the card.
        if len(config.credit.strip().splitlines()) != 1:
            raise InputError(
                f"{path}: credit: expected whose photos these are, and a licence, in a line"
            )
        sets.append(PhotoSet(name, config.credit, complete=config.complete))
    return sets


def _photos_of(
    folder: Path, photo_set: PhotoSet, boxes: dict[str, Any], known: Set[str] = frozenset()
) -> Iterator[Photo]:
    paths = {}
    for path in paths_below(folder / photo_set.name):
        if path.suffix.lower() in SUFFIXES:
            paths[path.relative_to(folder / photo_set.name).as_posix()] = path
    records = _read_index(folder / photo_set.name / "index.jsonl", paths.keys(), known)
    for file, path in paths.items():
        name = f"{photo_set.name}/{file}"
        # A set's own index knows better than the boxes that were collected for sets without one.
        record = {"boxes": boxes.get(name)} | records.get(file, {})
        yield _photo(name, path, photo_set, record)


def _photo(name: str, path: Path, photo_set: PhotoSet, record: dict[str, Any]) -> Photo:
    listed = record["boxes"]
    return Photo(
        name=name,
        path=path,
        person=_person(photo_set.name, record, path),
        boxes=None if listed is None else np.array(listed, np.float64).reshape(-1, 4),
        complete=photo_set.complete and listed is not None,
        tips=_tips(record),
    )


def _read_index(
    path: Path, files: Set[str], known: Set[str] = frozenset()
) -> dict[str, dict[str, Any]]:
    """Return a set's records by the photo's path in the set, none where it has no index.

    Args:
        path: of the index.
        files: paths of all photos of the set, in it.
        known: what a line may say; none: anything.
    """
    # Not `is_file`: a link that leads nowhere would be no index without a word.
    if not os.path.lexists(path):
        return {}
    records: dict[str, dict[str, Any]] = {}
    for number, record in enumerate(read_lines(path), 1):
        try:
            require_index_entry(record)
            if known and not record.keys() <= known:
                unknown = ", ".join(sorted(record.keys() - known))
                raise InputError(f"no entry {unknown}; expected {', '.join(sorted(known))}")
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from error
        name = record["file"]
        # A photo that went missing would change who is in which split without a word.
        if name not in files:
            raise InputError(
                f"{path}: line {number}: names {name}, which is no photo in {path.parent}: "
                "restore it or take its line out"
            )
        if name in records:
            raise InputError(f"{path}: line {number}: {name} is listed twice")
        records[name] = record
    return records


def _tips(record: dict[str, Any]) -> NDArray[np.float64] | None:
    if record.get(TIPS[0]) is None:
        return None
    return np.array([record[name] for name in TIPS], np.float64)


def _person(name: str, record: dict[str, Any], path: Path) -> str:
    if record.get("person"):
        return f"{name}/{record['person']}"
    session = _SESSIONS.get(name)
    # Where nobody says who or when, the whole set is one session: it is in one split.
    return f"{name}/{session(record, path)}" if session else name


def _hundred(record: dict[str, Any], path: Path) -> str:
    """Number of the photo without its last two digits: cameras count on, so
    neighbours were taken together.
    """
    digits = re.findall(r"\d+", record.get("path") or path.name)
    # A photo that somebody put there is a session of its own.
    return str(int(digits[-1]) // 100) if digits else path.name


def _prefix(record: dict[str, Any], path: Path) -> str:
    return path.name.partition("pic")[0].strip("_")


# How a photo's session follows from its name, in sets that do not say who it shows.
_SESSIONS: dict[str, Callable[[dict[str, Any], Path], str]] = {
    "digits": _hundred,  # some ten of the 218 students
    "ti1k": _hundred,  # one of about ten scenes
    "lebanese": _hundred,
    "subhih": _prefix,  # a room
}


def read_lines(path: Path, *, whole_only: bool = False) -> Iterator[dict[str, Any]]:
    """Read JSON lines.

    Args:
        path: of the file.
        whole_only: whether the beginning of a last line, which a killed process leaves, is left
            out.

    Raises:
        InputError: with the number of the line that is none.
    """
    text = _read_text(path)
    if whole_only:
        text = _without_half_line(text)
    # Not `splitlines`: names may hold letters that it takes for ends of lines.
    for number, line in enumerate(text.rstrip("\n").split("\n") if text else (), 1):
        try:
            record = parsed(line)
        except ValueError as error:
            raise InputError(f"{path}: line {number}: expected a JSON object: {error}") from error
        if not isinstance(record, dict):
            raise InputError(
                f"{path}: line {number}: expected a JSON object, got {type(record).__name__}"
            )
        yield record


def _without_half_line(text: str) -> str:
    end = text.rfind("\n") + 1
    # Any other rest is no line of ours: what it is must be told, not thrown away.
    if not text[end:].startswith("{"):
        return text
    try:
        parsed(text[end:])
    except ValueError:
        return text[:end]
    return text


def _read_text(path: Path) -> str:
    try:
        # With or without a byte order mark: editors of Windows write one.
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _read_boxes(path: Path) -> dict[str, Any]:
    """Return the boxes of sets without an index by the photo's name; none without a file."""
    if not path.is_file():
        return {}
    text = _read_text(path)
    try:
        table = parsed(text)
    except ValueError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: expected a table of files and boxes, got {type(table).__name__}")
    for name, boxes in table.items():
        require_boxes(f"{path}: {name}", boxes)
    return table


def load_pixels(photo: Photo) -> NDArray[np.uint8]:
    """Decode a photo: (H, W, 3) uint8 RGB.

    Raises:
        InputError: it is gone or broken; by name.
    """
    # Here, as photos are listed where nothing that decodes pictures is installed.
    from handheld.media import read_image

    try:
        return read_image(photo.path)
    except MediaError as error:
        raise InputError(
            f"photo {photo.name}: {error}; restore it or take it out of the set"
        ) from error
