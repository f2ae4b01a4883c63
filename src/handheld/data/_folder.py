"""Folders of pictures by class."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from handheld.data._options import LoadOptions, RawSplits
from handheld.data._splits import SPLITS, by_split, split_of
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError
from handheld.pictures import SUFFIXES
from handheld.untrusted import require_file


def read_folder(path: Path, options: LoadOptions) -> RawSplits:
    """Read ``class/picture``, or ``split/class/picture``; classes in the order of their names."""
    # Late: it needs Pillow, which tables and arrays are read without.
    from handheld.data._pictures import decode, notes_of

    options.require(str(path), "a folder of pictures by class", "size", "grey")
    splits, skipped = _splits_of(path)
    # Told before anything is read: who laid pictures beside the folders meant them to count.
    for folder in splits.values():
        skipped += _loose_pictures(folder)
    classes = _classes_of(splits, path)
    data: dict[str, Dataset] = {}
    for name, folder in splits.items():
        skipped += _strangers(folder, classes, is_train=name == "train")
        unread: list[Skipped] = []
        pictures = _pictures(folder, classes, unread)
        data[name], left_out = decode(pictures, classes, options)
        skipped += [*unread, *left_out]
    return RawSplits(data, tuple(skipped), notes_of(data.values(), options))


def _splits_of(path: Path) -> tuple[Mapping[str, Path], list[Skipped]]:
    """Return the folder of each split, the whole as train where there are none."""
    folders = _folders(path)
    if not folders:
        raise InputError(f"{path}: expected a folder for each class, with pictures in it")
    if not _are_splits(folders):
        return {"train": path}, []
    splits, unknown = by_split([(folder.name, folder) for folder in folders], str(path))
    return splits, [Skipped(str(path / name), reason) for name, reason in unknown]


def _loose_pictures(folder: Path) -> list[Skipped]:
    reason = "lies beside the folders of the classes, so it has none"
    loose = sorted(filter(_is_picture, folder.iterdir()))
    return [Skipped(str(picture), reason) for picture in loose]


def _classes_of(splits: Mapping[str, Path], path: Path) -> tuple[str, ...]:
    """Return the folders of the training split that hold pictures, or else all of its folders."""
    folders = _folders(splits.get("train", path))
    if not folders:
        raise InputError(
            f"{path}: expected a folder for each class in {', '.join(map(str, splits.values()))}"
        )
    # An empty folder would be a class that nothing teaches, and an output that is never right.
    with_pictures = [folder for folder in folders if any(map(_is_picture, folder.rglob("*")))]
    return tuple(folder.name for folder in with_pictures or folders)


def _strangers(folder: Path, classes: Sequence[str], *, is_train: bool) -> list[Skipped]:
    """Return the folders of a split that are of no class, and why."""
    reason = "is of a class that no picture to train on has"
    if is_train:
        reason = "holds no picture"
    strangers = [other for other in _folders(folder) if other.name not in classes]
    return [Skipped(str(other), reason) for other in strangers]


def _folders(path: Path) -> list[Path]:
    folders = [folder for folder in path.iterdir() if folder.is_dir()]
    # Hidden ones are programs' own: .git, .ipynb_checkpoints.
    return sorted(folder for folder in folders if not folder.name.startswith("."))


def _are_splits(folders: Sequence[Path]) -> bool:
    """Whether folders are splits and no classes.

    They are where all have the name of one; or some have, one of them train's, and their pictures
    lie in folders of classes.
    """
    # A class may be called "test" too.
    named = [folder for folder in folders if split_of(folder.name) is not None]
    if len(named) == len(folders):
        return True
    has_train = any(SPLITS[folder.name.lower()] == "train" for folder in named)
    return has_train and not any(map(_has_pictures, named))


def _has_pictures(folder: Path) -> bool:
    return any(map(_is_picture, folder.iterdir()))


def _pictures(
    folder: Path, classes: tuple[str, ...], unread: list[Skipped]
) -> Iterator[tuple[str, bytes, int]]:
    """Yield (name, content, label).

    What has the name of a picture and cannot be read is added to ``unread``.
    """
    for label, name in enumerate(classes):
        # Sorted: the order of a folder differs between disks, and a seed must give one split.
        for path in sorted((folder / name).rglob("*")):
            if reason := _reason_against(path):
                unread.append(Skipped(str(path), reason))
            elif _is_picture(path):
                try:
                    # Once more, just before: a pipe in its place would be waited for.
                    require_file(path)
                    content = path.read_bytes()
                except OSError as error:
                    unread.append(Skipped(str(path), f"cannot be read: {error.strerror}"))
                    continue
                yield str(path), content, label


def _reason_against(path: Path) -> str:
    """Return why something is not looked into; an empty text where it is, or is no picture."""
    if path.is_symlink() and path.is_dir():
        # rglob does not follow them either: a link to a folder above would have no end.
        return "is a link to a folder, and such are not followed"
    if not _has_picture_name(path) or path.is_file() or path.is_dir():
        return ""
    return "is a link to nothing" if path.is_symlink() else "is no file"


def _is_picture(path: Path) -> bool:
    return _has_picture_name(path) and path.is_file()


def _has_picture_name(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
