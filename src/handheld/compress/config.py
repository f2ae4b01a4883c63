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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handheld.compress.settings import Settings
from handheld.compress.targets import Target
from handheld.compress.teachers import Teacher
from handheld.config import factory, find, from_table
from handheld.data import Splits, load
from handheld.errors import InputError
from handheld.untrusted import require_file

_OF_PATHS = ("size", "grey", "channels", "white", "label_column", "text_columns")
"""Entries that a factory does not see."""


@dataclass(frozen=True)
class Source:
    """Where the data is, and how it is read; see ``data.load``.

    Attributes:
        path: file or folder, relative to the configuration's folder or else to ``HANDHELD_DATA``.
        factory: instead of it, ``package.module:function`` that returns :class:`handheld.data.Splits`.
        size: height and width that pictures of files are brought to.
        grey: whether pictures of files become grey, one channel.
        channels: "first" or "last", where the channels of an array's pictures are; empty: seen by their numbers.
        white: the number that is white in an array's pictures; 0: seen by their type and largest number.
        label_column: name of the labels' column in a table or a saved data set, or its number from 1 where a table has no
            header; empty: found by its name.
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
            raise InputError("data: expected either a path or a factory")
        if self.factory and (given := [name for name in _OF_PATHS if getattr(self, name)]):
            raise InputError(
                f"data.{given[0]}: says how a path is read, and here is a factory: let the factory do it"
            )


@dataclass(frozen=True)
class Config:
    """A run to be made; the arguments of ``compress``."""

    out: Path
    data: Source
    teacher: Teacher
    targets: int | tuple[Target, ...]
    settings: Settings
    folder: Path

    @property
    def found_teacher(self) -> Teacher:
        """Return the teacher with paths to files that exist. Raises :class:`InputError` for one that does not."""
        paths = (self.teacher.checkpoint, self.teacher.file)
        checkpoint, file = (
            None if path is None else str(find(path, self.folder).resolve()) for path in paths
        )
        return replace(self.teacher, checkpoint=checkpoint, file=file)

    def load(self) -> Splits:
        """Read the data. Raises :class:`InputError`."""
        size = self.data.size
        if size and len(size) != 2:
            raise InputError(f"data.size: expected height and width, got {list(size)}")
        if self.data.factory:
            data = factory(self.data.factory, self.folder)()
            if not isinstance(data, Splits):
                raise InputError(
                    f"data.factory: {self.data.factory} gives a {type(data).__name__}, expected Splits"
                )
        else:
            data = load(
                find(self.data.path, self.folder),
                size=(size[0], size[1]) if size else None,
                valid=self.data.valid,
                test=self.data.test,
                seed=self.settings.seed,
                grey=self.data.grey,
                channels=self.data.channels or None,
                white=self.data.white or None,
                label_column=self.data.label_column or None,
                text_columns=self.data.text_columns,
            )
        return named(data, self.data.classes) if self.data.classes else data


def named(data: Splits, classes: tuple[str, ...]) -> Splits:
    """Return data whose classes have other names. Raises :class:`InputError` for too few or too many names."""
    if len(classes) != len(data.classes):
        raise InputError(f"data.classes: {len(classes)} names for {len(data.classes)} classes")
    train, valid, test = (
        replace(part, classes=classes) for part in (data.train, data.valid, data.test)
    )
    return replace(data, train=train, valid=valid, test=test)


def read(path: str | os.PathLike[str]) -> Config:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    try:
        require_file(path)
        table = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as a configuration: {error}") from error
    known = {"out", "targets", "data", "teacher", "settings", "devices"}
    if unknown := table.keys() - known:
        raise InputError(
            f"{os.fspath(path)}: no entry {sorted(unknown)[0]!r}; expected {', '.join(sorted(known))}"
        )
    return Config(
        Path(str(table.get("out", "family"))),
        from_table(Source, table.get("data", {}), "data"),
        from_table(Teacher, table.get("teacher", {}), "teacher"),
        targets(table.get("targets", 6), table.get("devices", {})),
        from_table(Settings, table.get("settings", {}), "settings"),
        Path(path).resolve().parent,
    )


def targets(wanted: Any, devices: Mapping[str, Any]) -> int | tuple[Target, ...]:
    """Read targets such as "70KB" or "5ms on pixel", or their number."""
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return wanted
    if not isinstance(wanted, list) or not all(isinstance(text, str) for text in wanted):
        raise InputError(
            f"targets: expected a number, or a list of texts such as '70KB', got {wanted!r}"
        )
    found = []
    for text in wanted:
        limits, _, device = text.partition(" on ")
        if device and not (
            device.strip() in devices and isinstance(devices[device.strip()], int | float)
        ):
            raise InputError(
                f"target {text!r}: no device {device.strip()!r}; [devices] has {', '.join(devices) or 'none'}"
            )
        found.append(Target.of(limits, slowdown=float(devices[device.strip()]) if device else 1.0))
    return tuple(found)
