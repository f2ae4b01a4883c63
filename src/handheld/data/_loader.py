"""Labelled data from disk, whatever its form."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from handheld.data._arrays import read_npz
from handheld.data._checks import path_of, require_names
from handheld.data._folder import read_folder
from handheld.data._huggingface import is_saved_dataset, read_saved_dataset
from handheld.data._options import LoadOptions, RawSplits
from handheld.data._rows import SUFFIXES, suffix_of
from handheld.data._splits import SPLIT_NAMES, by_split, in_folder, split_of
from handheld.data._tables import read_table
from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

_SHARE = 0.1  # of each class that is set apart for a split that the data lacks

_ALWAYS_TABLES = frozenset(SUFFIXES) - {".txt", ".json"}
"""Endings of files that are tables whatever they are called; the others may be anybody's notes."""


def load(  # noqa: PLR0913  # options by keyword, each by itself
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    valid: float = _SHARE,
    test: float = _SHARE,
    seed: int = 0,
    grey: bool = False,
    channels: str | None = None,
    white: float | None = None,
    label_column: str | None = None,
    text_columns: Sequence[str] = (),
) -> Splits:
    """Read labelled data.

    ==================  ===========================================================================
    a folder            of pictures by class, ``cat/1.jpg``; or ``train``, ``valid`` and ``test``
                        folders of such
    ``.npz``            arrays ``x_train``, ``y_train``, and of ``valid`` and ``test`` where there
                        are; or ``x``, ``y``
    a table of texts    ``.csv``, ``.tsv``, ``.jsonl``, fastText's ``.txt``, each also ``.gz``: see
                        :func:`read_table`; also a folder with ``train.tsv``, ``valid.tsv`` ...
    a saved data set    a folder that Hugging Face's ``save_to_disk`` wrote, with a column of
                        pictures or texts
    ==================  ===========================================================================

    A split may be called train or training; valid, val, validation, dev, development, eval or
    evaluation; test or testing. What has the name of no split is told in ``Splits.skipped``.

    Pictures become (height, width, channels) uint8. Those of files have three channels, are turned
    upright, and laid on white where they are see-through. Arrays of three or four axes have 1 or 3
    channels, last or first; numbers of 0 to 1, 0 to 255, or 0 to 65535 are brought to 0 to 255,
    where no other reading is possible. An array of two axes, or of three with fractions, is kept as
    it is.

    Args:
        path: what to read.
        size: (height, width) to bring pictures from files to; needed where they differ.
        valid, test: fraction of each class to set apart where the data has no such split itself.
        seed: of that division.
        grey: whether pictures of files become grey, (height, width, 1).
        channels: "first" or "last", where the channels of an array's pictures are; needed where
            both could be.
        white: the number that is white in an array's pictures; needed where that cannot be known.
        label_column, text_columns: names of the columns of a table or a saved data set, where their
            usual names do not say it; see :func:`read_table`.

    Raises:
        InputError: nothing there, of no known form, labels that do not match, one class only, an
            empty split, pictures or columns that could be read in several ways, an option that says
            nothing of this form of data; it says what was left out and why.
    """
    path = path_of(path)
    require_names("text_columns", text_columns)
    options = LoadOptions(size, grey, channels, white, label_column, tuple(text_columns))
    in_range("valid", valid, low=0, high=1, high_open=True)
    in_range("test", test, low=0, high=1, high_open=True)
    whole_in_range("seed", seed, low=0)
    return _divided(path, _read(path, options), valid=valid, test=test, seed=seed)


def _divided(path: Path, raw: RawSplits, *, valid: float, test: float, seed: int) -> Splits:
    """Set apart the splits that data lacks; see :func:`load`."""
    data, raw_skipped, notes = raw
    # Here, for all forms: names come from disks, reasons quote them.
    skipped = tuple(map(_as_texts, raw_skipped))
    _require_examples(path, data, skipped)
    try:
        return Splits.of(data, skipped, notes, valid=valid, test=test, seed=seed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_split(path: str | os.PathLike[str], split: str) -> Dataset:
    """Read the examples of one split, to report on: there need be nothing to train on.

    Args:
        path: what :func:`load` reads.
        split: "train", "valid" or "test"; "all" for all examples, however they are divided.

    Returns:
        The split as the data has it; set apart as :func:`load` does it where it has none.

    Raises:
        InputError: there is no such split, it is empty, or what :func:`load` raises.
    """
    path = path_of(path)
    if split not in (*SPLIT_NAMES, "all"):
        raise InputError(f"split: expected one of {', '.join(SPLIT_NAMES)} or all, got {split!r}")
    raw = _read(path, LoadOptions())
    chosen = None
    if split == "all" and raw.data:
        chosen = _joined(path, list(raw.data.values()))
    elif split in raw.data:
        chosen = raw.data[split]
    if chosen is None:
        # Of nothing at all it says what was left out.
        divided = _divided(path, raw, valid=_SHARE, test=_SHARE, seed=0)
        chosen = getattr(divided, split, divided.train)
    if not len(chosen):
        problem = f"{path}: its split {split!r} holds no examples"
        if raw.skipped:
            first = _as_texts(raw.skipped[0])
            problem += f"; left out: {first.name}, {first.reason}"
        raise InputError(problem)
    return chosen


def _joined(path: Path, splits: Sequence[Dataset]) -> Dataset:
    """Return all examples of some splits, in their order."""
    labels = np.concatenate([split.labels for split in splits])
    classes = splits[0].classes
    if splits[0].is_text:
        texts: list[str] = []
        for split in splits:
            texts += split.inputs
        return Dataset(tuple(texts), labels, classes)
    arrays = [np.asarray(split.inputs) for split in splits]
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        listed = " and ".join(sorted(map(str, shapes)))
        raise InputError(f"{path}: its splits have examples of shapes {listed}, expected one")
    return Dataset(np.concatenate(arrays), labels, classes)


def _as_texts(skipped: Skipped) -> Skipped:
    return Skipped(_as_text(skipped.name), _as_text(skipped.reason))


def _as_text(words: str) -> str:
    """Return words that can be written anywhere.

    A file's name may be no UTF-8, and a run that names it would fail at its end.
    """
    return words.encode("utf-8", "backslashreplace").decode("utf-8")


def _require_examples(path: Path, data: Mapping[str, Dataset], skipped: Sequence[Skipped]) -> None:
    """Raise :class:`InputError` where there is nothing to train on."""
    if "train" not in data:
        splits = ", ".join(data) or "no split"
        problem = f"{path}: holds {splits}, but nothing to train on"
        if skipped:
            # What was left out is often the training data, under a name that is no split's.
            problem += f"; {skipped[0].name} {skipped[0].reason}"
        raise InputError(problem)
    if len(data["train"]):
        return
    if skipped:
        first = f"{skipped[0].name}: {skipped[0].reason}"
        raise InputError(f"{path}: nothing could be read; the first of {len(skipped)}, {first}")
    raise InputError(f"{path}: holds no examples")


def _read(path: Path, options: LoadOptions) -> RawSplits:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return _read_any_folder(path, options)
    if path.suffix.lower() == ".npz":
        return read_npz(path, options)
    if suffix_of(path) in SUFFIXES:
        return _tables({"train": path}, options)
    expected = ", ".join(SUFFIXES)
    got = path.suffix or "a file without suffix"
    raise InputError(f"{path}: expected a folder, .npz or {expected}, got {got}")


def _read_any_folder(path: Path, options: LoadOptions) -> RawSplits:
    """Read a saved data set, tables named after splits, or pictures by class."""
    if is_saved_dataset(path):
        return read_saved_dataset(path, options)
    tables = list(filter(_is_table, sorted(path.iterdir())))
    # Notes and lists of labels lie beside pictures too: a table counts where a split's name has it.
    if any(map(_is_named_after_split, tables)):
        return _named_tables(path, tables, options)
    return read_folder(path, options)


def _is_table(path: Path) -> bool:
    return path.is_file() and suffix_of(path) in SUFFIXES


def _is_named_after_split(path: Path) -> bool:
    stem, _, _ = path.name.partition(".")
    return split_of(stem) is not None


def _named_tables(folder: Path, tables: Sequence[Path], options: LoadOptions) -> RawSplits:
    """Read the tables of a folder by their split.

    Raises :class:`InputError` for two of one split.
    """
    named = [(table.name, table) for table in tables]
    paths, unknown = by_split(named, str(folder), are_files=True)
    data, skipped, notes = _tables(paths, options)
    strangers = in_folder(folder, filter(_is_always_table, unknown))
    return RawSplits(data, (*strangers, *skipped), notes)


def _is_always_table(skipped: Skipped) -> bool:
    # A readme.txt beside the tables is nobody's data, and says nothing.
    return suffix_of(Path(skipped.name)) in _ALWAYS_TABLES


def _tables(paths: Mapping[str, Path], options: LoadOptions) -> RawSplits:
    """Read a table of each split; the first one, train's, says what the classes are."""
    classes: tuple[str, ...] | None = None
    data: dict[str, Dataset] = {}
    skipped: list[Skipped] = []
    for name, path in paths.items():
        options.require(str(path), "a table of texts", "label_column", "text_columns")
        data[name], left_out = read_table(
            path, classes, label_column=options.label_column, text_columns=options.text_columns
        )
        # By position a class would mean another in each split.
        classes = classes or data[name].classes
        skipped += left_out
    return RawSplits(data, tuple(skipped))
