"""Folders of pictures by class."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from handheld.data._options import LoadOptions, RawSplits
from handheld.data._splits import by_split, in_folder, split_of
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError
from handheld.files import paths_below
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
    names = map(_name_of, folders)
    splits, unknown = by_split(zip(names, folders, strict=True), str(path))
    return splits, in_folder(path, unknown)


def _name_of(path: Path) -> str:
    return path.name


def _loose_pictures(folder: Path) -> list[Skipped]:
    reason = "lies beside the folders of the classes, so it has none"
    loose = sorted(filter(_is_picture, folder.iterdir()))
    return _all_skipped(loose, reason)


def _all_skipped(paths: Sequence[Path], reason: str) -> list[Skipped]:
    return [Skipped(str(path), reason) for path in paths]


def _classes_of(splits: Mapping[str, Path], path: Path) -> tuple[str, ...]:
    """Return the folders of the training split that hold pictures, or else all of its folders."""
    folders = _folders(splits.get("train", path))
    if not folders:
        listed = ", ".join(map(str, splits.values()))
        raise InputError(f"{path}: expected a folder for each class in {listed}")
    # An empty folder would be a class that nothing teaches, and an output that is never right.
    with_pictures = list(filter(_has_pictures_below, folders))
    return tuple(map(_name_of, with_pictures or folders))


def _strangers(folder: Path, classes: Sequence[str], *, is_train: bool) -> list[Skipped]:
    """Return the folders of a split that are of no class, and why."""
    reason = "is of a class that no picture to train on has"
    if is_train:
        reason = "holds no picture"
    strangers = [other for other in _folders(folder) if other.name not in classes]
    return _all_skipped(strangers, reason)


def _folders(path: Path) -> list[Path]:
    return sorted(filter(_is_shown_folder, path.iterdir()))


def _is_shown_folder(path: Path) -> bool:
    # Hidden ones are programs' own: .git, .ipynb_checkpoints.
    return path.is_dir() and not path.name.startswith(".")


def _are_splits(folders: Sequence[Path]) -> bool:
    """Whether folders are splits and no classes.

    They are where all have the name of one; or some have, one of them train's, and their pictures
    lie in folders of classes.
    """
    # A class may be called "test" too.
    named = [folder for folder in folders if split_of(folder.name) is not None]
    if len(named) == len(folders):
        return True
    splits = map(split_of, map(_name_of, named))
    return "train" in splits and not any(map(_has_pictures, named))


def _has_pictures(folder: Path) -> bool:
    return any(map(_is_picture, folder.iterdir()))


def _has_pictures_below(folder: Path) -> bool:
    return any(map(_is_picture, paths_below(folder)))


def _pictures(
    folder: Path, classes: tuple[str, ...], unread: list[Skipped]
) -> Iterator[tuple[str, bytes, int]]:
    """Yield (name, content, label).

    What has the name of a picture and cannot be read is added to ``unread``.
    """
    for label, name in enumerate(classes):
        # Sorted: the order of a folder differs between disks, and a seed must give one split.
        for path in paths_below(folder / name):
            if reason := _reason_against(path):
                unread.append(Skipped(str(path), reason))
            elif _is_picture(path):
                try:
                    content = _content_of(path)
                except OSError as error:
                    # One broken file is no reason to refuse all the others.
                    unread.append(Skipped(str(path), f"cannot be read: {error.strerror}"))
                    continue
                yield str(path), content, label


def _content_of(path: Path) -> bytes:
    # Once more, just before: a pipe in its place would be waited for.
    require_file(path)
    return path.read_bytes()


def _reason_against(path: Path) -> str:
    """Return why something is not looked into; an empty text where it is, or is no picture."""
    if path.is_symlink() and path.is_dir():
        # `paths_below` does not follow them either: a link to a folder above would have no end.
        return "is a link to a folder, and such are not followed"
    if not _has_picture_name(path) or path.is_file() or path.is_dir():
        return ""
    if path.is_symlink():
        return "is a link to nothing"
    return "is no file"


def _is_picture(path: Path) -> bool:
    return _has_picture_name(path) and path.is_file()


def _has_picture_name(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
