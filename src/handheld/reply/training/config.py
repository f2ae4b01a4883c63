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

``base`` names a bundle whose ranker, intents and replies stay as they are: then the detector alone
is learned, and what hangs
on it is chosen anew. ``encoder`` names a sentence encoder that teaches the detector. ``safety`` is
a folder of messages by topic, ``words`` a file of words' vectors, ``judged`` messages with
the intents that people would answer.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handheld.config import find, from_table
from handheld.errors import InputError
from handheld.reply.training.message_network import NetworkShape
from handheld.reply.training.pairs import Division
from handheld.training import Schedule
from handheld.untrusted import require_file

ASSETS = Path(__file__).parent.parent / "assets"
_TEXTS = {
    "intents": "intents.txt",
    "situations": "situations.txt",
    "tones": "tones.txt",
    "safety": "safety",
}
_OPTIONAL = ("words", "judged", "base", "encoder")


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


def _detector() -> Schedule:
    return Schedule(40, batch=128, rate=0.005, rise=0.05, decay=0.02, optimiser="adam")


def _second() -> Schedule:
    return Schedule(4, batch=512, rate=0.002, rise=0.05, decay=0.0, optimiser="adam")


@dataclass(frozen=True)
class Settings:
    """How a bundle is made; the defaults make one of less than 1 MB.

    Attributes:
        rows, width: of the ranker's table.
        length: features of a text that are read.
        hidden, out: of the ranker's layers.
        dropout: share of features, and of what the first layers give, that is left out while
            learning.
        first, second: schedules of the ranker, before and after intents are known.
        detector: schedule of the network behind the detector.
        shape: its sizes.
        vocabulary: words whose vectors it knows.
        vector: numbers of a word's vector.
        sentences: of conversations, that the detector learns to be quiet on.
        trigger: calibrated probability from which on replies are suggested.
        silent, careful, mild, sorry, wary: thresholds of the detector, see ``safety.SafetyDetector``.
        expanded: messages that a line of the situations stands for, at most.
        asked: messages of each line that a teacher is asked about.
        composed: texts made of hand-written messages that it is asked about too.
        drawn: messages that a line of the safety files stands for, at most.
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
    detector: Schedule = field(default_factory=_detector)
    shape: NetworkShape = field(default_factory=NetworkShape)
    vocabulary: int = 9_000
    vector: int = 16
    sentences: int = 90_000
    trigger: float = 0.5
    silent: float = 0.55
    careful: float = 0.55
    mild: float = 0.5
    sorry: float = 0.2
    wary: float = 0.3
    expanded: int = 60
    drawn: int = 14
    asked: int = 5
    composed: int = 30_000
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
        intents, situations, tones: text files, in the form of those that are shipped.
        safety: folder of messages by topic, in the form of the one that is shipped.
        words: ``.npz`` file of words and their vectors; None: the encoder makes them, and without one words are near no
            others.
        judged: messages and the intents that people would answer, by which the trigger is
            calibrated; None: by the
            conversations' own answers.
        encoder: folder of a sentence encoder that teaches the detector; None: it learns from
            hand-written messages alone.
        base: bundle whose ranker and replies stay as they are; None: all is learned.
        settings: how it is made.
    """

    out: Path
    name: str
    card: Mapping[str, Any]
    sources: tuple[Source, ...]
    intents: Path
    situations: Path
    tones: Path
    safety: Path
    words: Path | None
    judged: Path | None
    base: Path | None
    encoder: Path | None
    settings: Settings

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders that the run reads."""
        texts = (self.intents, self.situations, self.tones, self.safety)
        named = (self.words, self.judged, self.base, self.encoder)
        conversations = (Path(source.path) for source in self.sources)
        return (*conversations, *texts, *(path for path in named if path is not None))


def read(path: str | os.PathLike[str]) -> Config:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    try:
        require_file(path)
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} cannot be read as a configuration: {error}") from error
    known = {"out", "name", "card", "conversations", "settings", *_TEXTS, *_OPTIONAL}
    if unknown := table.keys() - known:
        raise InputError(
            f"{os.fspath(path)}: no entry {sorted(unknown)[0]!r}; expected {', '.join(sorted(known))}"
        )
    if not isinstance(table.get("conversations"), list) or not table["conversations"]:
        raise InputError(f"{os.fspath(path)}: expected one [[conversations]] or more")
    folder = Path(path).resolve().parent
    sources = [
        from_table(Source, each, f"conversations.{number}")
        for number, each in enumerate(table["conversations"], 1)
    ]

    def text(name: str) -> Path:
        return find(str(table[name]), folder) if name in table else ASSETS / _TEXTS[name]

    def optional(name: str) -> Path | None:
        return find(str(table[name]), folder) if name in table else None

    return Config(
        out=Path(str(table.get("out", "bundle.replies"))),
        name=str(table.get("name", "replies")),
        card=dict(table.get("card", {})),
        sources=tuple(Source(str(find(source.path, folder)), source.repeats) for source in sources),
        settings=from_table(Settings, table.get("settings", {}), "settings"),
        intents=text("intents"),
        situations=text("situations"),
        tones=text("tones"),
        safety=text("safety"),
        words=optional("words"),
        judged=optional("judged"),
        base=optional("base"),
        encoder=optional("encoder"),
    )
