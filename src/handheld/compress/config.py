"""A run from a TOML file.

Example::

    out = "family"                       # relative to where the command runs
    targets = ["20x smaller", "94x smaller, 27x faster", "70KB, plain", "5ms on pixel"]

    [data]
    path = "images/fashion_mnist.npz"    # relative to this file, or else to HANDHELD_DATA
    valid = 0.05

    [teacher]
    network = "residual"                 # or "package.module:factory"
    width = 32

    [settings.training]
    epochs = 20

    [devices]
    pixel = 3.5                          # its latency over that of this machine
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from handheld.compress.settings import FamilySettings
from handheld.compress.targets import Target
from handheld.compress.teacher import TeacherSource
from handheld.config import factory, find, read_config
from handheld.data import Splits, load
from handheld.errors import InputError
from handheld.ranges import in_range

_OF_PATHS = ("size", "grey", "channels", "white", "label_column", "text_columns")
"""Entries that a factory does not see."""


@dataclass(frozen=True)
class DataSource:
    """Where the data is, and how it is read; see ``data.load``.

    Attributes:
        path: file or folder, relative to the configuration's folder or else to ``HANDHELD_DATA``.
        factory: instead of it, ``package.module:function`` that returns
            :class:`handheld.data.Splits`.
        size: height and width that pictures of files are brought to.
        grey: whether pictures of files become grey, one channel.
        channels: "first" or "last", where the channels of an array's pictures are; empty: seen by
            their numbers.
        white: the number that is white in an array's pictures; 0: seen by their type and largest
            number.
        label_column: name of the labels' column in a table or a saved data set, or its number from
            1 where a table has no header; empty: found by its name.
        text_columns: likewise of the texts.
        valid: share of the training examples that validate.
        test: share of them that test, where the data has no test split.
        classes: names, where the data has numbers only.
    """

    path: str = ""
    factory: str = ""
    size: tuple[int, ...] = ()
    grey: bool = False
    channels: str = ""
    white: float = 0.0
    label_column: str = ""
    text_columns: tuple[str, ...] = ()
    valid: float = 0.1
    test: float = 0.1
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.factory):
            raise InputError("expected either a path or a factory")
        in_range("white", self.white, low=0)
        for name in ("valid", "test"):
            in_range(name, getattr(self, name), low=0, high=1, high_open=True)
        # a tuple of any length, since TOML's lists have no fixed one
        if self.size and len(self.size) != 2:
            raise InputError(f"size: expected height and width, got {list(self.size)}")
        # nothing is ignored silently: who sets such an entry expects that it counts
        for name in _OF_PATHS:
            if self.factory and getattr(self, name):
                raise InputError(
                    f"{name}: says how a path is read, and here is a factory: let the factory do it"
                )

    def load(self, folder: Path, seed: int) -> Splits:
        """Read the data, with the names of classes that are given.

        Args:
            folder: that paths start from.
            seed: of the splits.

        Raises:
            InputError: it cannot be read.
        """
        splits = self._unnamed(folder, seed)
        if not self.classes:
            return splits
        return named(splits, self.classes)

    def _unnamed(self, folder: Path, seed: int) -> Splits:
        if self.factory:
            return self._made(folder)
        return self._read(folder, seed)

    def _made(self, folder: Path) -> Splits:
        splits = factory(self.factory, folder)()
        if not isinstance(splits, Splits):
            raise InputError(
                f"data.factory: {self.factory} gives a {type(splits).__name__}, expected Splits"
            )
        return splits

    def _read(self, folder: Path, seed: int) -> Splits:
        size = None
        # TOML has no null: what is empty or 0 was not said
        if self.size:
            size = (self.size[0], self.size[1])
        return load(
            find(self.path, folder),
            size=size,
            valid=self.valid,
            test=self.test,
            seed=seed,
            grey=self.grey,
            channels=self.channels or None,
            white=self.white or None,
            label_column=self.label_column or None,
            text_columns=self.text_columns,
        )


@dataclass(frozen=True)
class _FamilyFile:
    """What a file says, before its targets are understood."""

    data: DataSource
    out: str = "family"
    targets: int | tuple[str, ...] = 6
    teacher: TeacherSource = field(default_factory=TeacherSource)
    settings: FamilySettings = field(default_factory=FamilySettings)
    devices: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FamilyConfig:
    """A run to be made; the arguments of ``compress``."""

    out: Path
    data: DataSource
    teacher: TeacherSource
    targets: int | tuple[Target, ...]
    settings: FamilySettings
    folder: Path

    @property
    def found_teacher(self) -> TeacherSource:
        """The teacher with paths to files that exist.

        Raises:
            InputError: one does not.
        """
        return replace(
            self.teacher,
            checkpoint=self._found(self.teacher.checkpoint),
            file=self._found(self.teacher.file),
        )

    def _found(self, path: str | None) -> str | None:
        if path is None:
            return None
        return str(find(path, self.folder).resolve())

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders that the run reads, those that are there."""
        names = (self.data.path, self.teacher.checkpoint, self.teacher.file)
        return tuple(find(name, self.folder) for name in names if name)

    def load(self) -> Splits:
        """Read the data. Raises :class:`InputError`."""
        return self.data.load(self.folder, self.settings.seed)


def named(data: Splits, classes: tuple[str, ...]) -> Splits:
    """Return data whose classes have other names.

    Raises :class:`InputError` for too few or too many names.
    """
    if len(classes) != len(data.classes):
        raise InputError(f"data.classes: {len(classes)} names for {len(data.classes)} classes")
    return replace(
        data,
        train=replace(data.train, classes=classes),
        valid=replace(data.valid, classes=classes),
        test=replace(data.test, classes=classes),
    )


def read(path: str | os.PathLike[str]) -> FamilyConfig:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    said = read_config(_FamilyFile, path)
    return FamilyConfig(
        # of the command's folder, as an argument would be; what is read is of the file's
        Path(said.out),
        said.data,
        said.teacher,
        targets(said.targets, said.devices),
        said.settings,
        Path(path).resolve().parent,
    )


def targets(entry: int | Sequence[str], devices: Mapping[str, float]) -> int | tuple[Target, ...]:
    """Read targets such as "70KB" or "5ms on pixel", or their number.

    Args:
        entry: of a configuration.
        devices: by name, latencies there over those on this machine.

    Raises:
        InputError: a text is no target, or names another device.
    """
    if isinstance(entry, int):
        return entry
    return tuple(_target(text, devices) for text in entry)


def _target(text: str, devices: Mapping[str, float]) -> Target:
    limits, _, device = text.partition(" on ")
    device = device.strip()
    if not device:
        return Target.of(limits)
    if device not in devices:
        raise InputError(
            f"target {text!r}: no device {device!r}; [devices] has {', '.join(devices) or 'none'}"
        )
    return Target.of(limits, slowdown=devices[device])
