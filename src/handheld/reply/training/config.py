"""What a bundle is made of, from a TOML file.

Example::

    out = "english.replies"              # relative to where the command runs
    name = "English"

    [card]                               # free entries of the bundle's card
    licence = "Apache-2.0"

    [[conversations]]
    path = "text/chitchat.jsonl.gz"      # relative to this file, or else to HANDHELD_DATA
    repeats = 3                          # times an epoch goes through it

    [settings.first]                     # training before intents are known
    epochs = 4
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handheld.config import find, from_table
from handheld.errors import InputError
from handheld.reply.training.pairs import Division
from handheld.training import Schedule

ASSETS = Path(__file__).parent.parent / "assets"


@dataclass(frozen=True)
class Source:
    """A file of conversations.

    Attributes:
        path: of the file.
        repeats: times that an epoch goes through its pairs.
    """

    path: str
    repeats: int = 1


def _first() -> Schedule:
    return Schedule(2, batch=512, rate=0.002, rise=0.1, decay=0.0, optimiser="adam")


def _second() -> Schedule:
    return Schedule(4, batch=512, rate=0.002, rise=0.05, decay=0.0, optimiser="adam")


@dataclass(frozen=True)
class Settings:
    """How a bundle is made; the defaults make one of less than 1 MB.

    Attributes:
        rows, width: of the ranker's table.
        length: features of a text that are read.
        hidden, out: of the ranker's layers.
        dropout: share of features, and of what the first layers give, that is left out while learning.
        first, second: schedules of the ranker, before and after intents are known.
        triggers: share of the messages in conversations for which something is suggested.
        expanded: messages that a line of the situations stands for, at most.
        seed: of everything.
        division: who is learned from.
    """

    rows: int = 14336
    width: int = 96
    length: int = 192
    hidden: int = 256
    out: int = 128
    dropout: float = 0.25
    first: Schedule = field(default_factory=_first)
    second: Schedule = field(default_factory=_second)
    triggers: float = 0.35
    expanded: int = 60
    seed: int = 0
    division: Division = field(default_factory=Division)


@dataclass(frozen=True)
class Config:
    """A run to be made.

    Attributes:
        out: the bundle; its report and state stand beside it.
        name: of the bundle.
        card: further entries of its card.
        sources: conversations.
        intents, situations, sensitive: text files, in the form of those that are shipped.
        settings: how it is made.
    """

    out: Path
    name: str
    card: Mapping[str, Any]
    sources: tuple[Source, ...]
    intents: Path
    situations: Path
    sensitive: Path
    settings: Settings


def read(path: str | os.PathLike[str]) -> Config:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as a configuration: {error}") from error
    known = {"out", "name", "card", "conversations", "intents", "situations", "sensitive", "settings"}
    if unknown := table.keys() - known:
        raise InputError(f"{os.fspath(path)}: no entry {sorted(unknown)[0]!r}; expected {', '.join(sorted(known))}")
    if not isinstance(table.get("conversations"), list) or not table["conversations"]:
        raise InputError(f"{os.fspath(path)}: expected one [[conversations]] or more")
    folder = Path(path).resolve().parent
    sources = [from_table(Source, each, f"conversations.{number}") for number, each in enumerate(table["conversations"], 1)]
    texts = {
        name: find(str(table[name]), folder) if name in table else ASSETS / f"{name}.txt"
        for name in ("intents", "situations", "sensitive")
    }
    return Config(
        Path(str(table.get("out", "bundle.replies"))),
        str(table.get("name", "replies")),
        dict(table.get("card", {})),
        tuple(Source(str(find(source.path, folder)), source.repeats) for source in sources),
        texts["intents"],
        texts["situations"],
        texts["sensitive"],
        from_table(Settings, table.get("settings", {}), "settings"),
    )
