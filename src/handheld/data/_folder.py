"""Folders of pictures by class."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from handheld.data._reading import RawSplits, Reading
from handheld.data._splits import SPLITS, by_split, split_of
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError
from handheld.pictures import SUFFIXES
from handheld.untrusted import require_file


def read_folder(path: Path, reading: Reading) -> RawSplits:
    """Read ``class/picture``, or ``split/class/picture``; classes in the order of their names."""
    from handheld.data._pictures import decode, notes_of

    reading.require(str(path), "a folder of pictures by class", "size", "grey")
    folders = _folders(path)
    if not folders:
        raise InputError(f"{path}: expected a folder for each class, with pictures in it")
    splits = {"train": path}
    skipped: tuple[Skipped, ...] = ()
    if _are_splits(folders):
        splits, unknown = by_split([(folder.name, folder) for folder in folders], str(path))
        skipped = tuple(Skipped(str(path / name), reason) for name, reason in unknown)
    for folder in splits.values():
        loose = sorted(path for path in folder.iterdir() if _is_picture(path))
        skipped += tuple(
            Skipped(str(path), "lies beside the folders of the classes, so it has none")
            for path in loose
        )
    labelled = _folders(splits.get("train", path))
    if not labelled:
        raise InputError(
            f"{path}: expected a folder for each class in {', '.join(map(str, splits.values()))}"
        )
    taught = [folder for folder in labelled if any(map(_is_picture, folder.rglob("*")))]
    classes = tuple(folder.name for folder in taught or labelled)
    parts: dict[str, Dataset] = {}
    for name, folder in splits.items():
        strangers = [other for other in _folders(folder) if other.name not in classes]
        reason = (
            "holds no picture"
            if name == "train"
            else "is of a class that no picture to train on has"
        )
        skipped += tuple(Skipped(str(other), reason) for other in strangers)
        unread: list[Skipped] = []
        parts[name], left_out = decode(_pictures(folder, classes, unread), classes, reading)
        skipped += (*unread, *left_out)
    return RawSplits(parts, skipped, notes_of(parts.values(), reading))


def _folders(path: Path) -> list[Path]:
    return [
        folder
        for folder in sorted(path.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def _are_splits(folders: Sequence[Path]) -> bool:
    """Whether folders are splits: all have the name of one, or some, whose pictures lie in folders
    of classes.
    """
    named = [folder for folder in folders if split_of(folder.name) is not None]
    if len(named) == len(folders):
        return True
    is_train = any(SPLITS[folder.name.lower()] == "train" for folder in named)
    return is_train and not any(_is_picture(path) for folder in named for path in folder.iterdir())


def _pictures(
    folder: Path, classes: tuple[str, ...], unread: list[Skipped]
) -> Iterator[tuple[str, bytes, int]]:
    """Yield (name, content, label); what has the name of a picture and cannot be read is added to
    ``unread``.
    """
    for label, name in enumerate(classes):
        for path in sorted((folder / name).rglob("*")):
            reason = _reason_against(path)
            if reason:
                unread.append(Skipped(str(path), reason))
            elif _is_picture(path):
                try:
                    require_file(path)
                    content = path.read_bytes()
                except OSError as error:
                    unread.append(Skipped(str(path), f"cannot be read: {error.strerror}"))
                    continue
                yield str(path), content, label


def _reason_against(path: Path) -> str:
    """Return why something is not looked into; an empty text for a file, a folder, or what nobody
    takes for a picture.
    """
    if path.is_symlink() and path.is_dir():
        return "is a link to a folder, and such are not followed"
    if not _has_name(path) or path.is_file() or path.is_dir():
        return ""
    return "is a link to nothing" if path.is_symlink() else "is no file"


def _is_picture(path: Path) -> bool:
    return _has_name(path) and path.is_file()


def _has_name(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
