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
is learned, and what hangs on it is chosen anew. ``encoder`` names a sentence encoder that teaches
the detector. ``safety`` is a folder of messages by topic, ``words`` a file of words' vectors,
``judged`` messages with the intents that people would answer.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from handheld.config import find, read_config
from handheld.errors import InputError
from handheld.projection.learned import LEVELS
from handheld.ranges import MOST_SEED, in_range, whole_in_range
from handheld.reply.training.message_network import NetworkShape
from handheld.reply.training.pairs import SplitRule
from handheld.training import Schedule

ASSETS = Path(__file__).parent.parent / "assets"

# Of the settings, those of which there must be one or more ...
_COUNTS = (
    "rows",
    "width",
    "length",
    "hidden",
    "out",
    "vocabulary_size",
    "vector_size",
    "per_situation",
    "per_message",
    "asked_per_message",
)
# ... and those that are compared with a probability.
_PROBABILITIES = ("trigger", "silent", "careful", "mild", "sorry", "doubtful", "wary")


@dataclass(frozen=True)
class ConversationSource:
    """A file of conversations.

    Attributes:
        path: of the file.
        repeats: times that an epoch goes through its pairs, 1 or more.
    """

    path: str
    repeats: int = 1

    def __post_init__(self) -> None:
        whole_in_range("repeats", self.repeats, low=1)


# Adam for all three: rows that few texts have learn little by plain gradients.
def _first() -> Schedule:
    return Schedule(2, batch=512, rate=0.002, warmup=0.1, decay=0.0, optimiser="adam")


def _second() -> Schedule:
    return Schedule(4, batch=512, rate=0.002, warmup=0.05, decay=0.0, optimiser="adam")


def _detector() -> Schedule:
    return Schedule(40, batch=128, rate=0.005, warmup=0.05, decay=0.02, optimiser="adam")


@dataclass(frozen=True)
class ReplySettings:
    """How a bundle is made; the defaults make one of less than 1 MB.

    Attributes:
        rows, width: of the ranker's table.
        length: features of a text that are read.
        hidden, out: of the ranker's layers.
        dropout_rate: share of features, and of what the first layers give, that is left out while
            learning, in [0, 1).
        coarseness: how much further apart the levels of the ranker's table are in the bundle than
            while it learned, in [1, 7]: of more, hardly a level but 0 would be left; see
            ``projection.learned.coarsened``.
        first, second: schedules of the ranker, before and after intents are known.
        detector: schedule of the network behind the detector.
        shape: its sizes.
        vocabulary_size: words whose vectors it knows.
        vector_size: numbers of a word's vector.
        sentences: of conversations, that the detector learns to be quiet on.
        trigger: calibrated probability from which on replies are suggested, in [0, 1].
        caution: how many good replies a wrong one to a grave message weighs as much as, 0 or more;
            see ``trigger.ReplyTrigger``.
        silent, careful, mild, sorry, doubtful, wary: thresholds of the detector, see
            ``safety.SafetyDetector``.
        per_situation: messages that a line of the situations stands for, at most.
        per_message: messages that a line of the safety files stands for, at most.
        asked_per_message: messages of each such line that a teacher is asked about; and it is asked
            about one in as many messages of the situations.
        composed: texts made of hand-written messages that it is asked about too.
        seed: of everything.
        split: who is learned from.
    """

    # The ranker's sizes: less than 1 MB in 8 bits; rows and width are most of that.
    rows: int = 14336
    width: int = 96
    length: int = 192
    hidden: int = 256
    out: int = 128
    dropout_rate: float = 0.25
    coarseness: float = 1.6
    first: Schedule = field(default_factory=_first)
    second: Schedule = field(default_factory=_second)
    detector: Schedule = field(default_factory=_detector)
    shape: NetworkShape = field(default_factory=NetworkShape)
    vocabulary_size: int = 9_000
    vector_size: int = 16
    sentences: int = 90_000
    trigger: float = 0.5
    # Caution and the detector's thresholds: chosen by the first six sets of benchmarks/reply_harm.
    # What they let through is in docs/reply-model-card.md.
    caution: float = 5.0
    silent: float = 0.35
    careful: float = 0.35
    mild: float = 0.5
    sorry: float = 0.2
    doubtful: float = 0.35
    wary: float = 0.2
    per_situation: int = 60
    per_message: int = 14
    asked_per_message: int = 5
    composed: int = 30_000
    seed: int = 0
    split: SplitRule = field(default_factory=SplitRule)

    def __post_init__(self) -> None:
        for name in _COUNTS:
            whole_in_range(name, getattr(self, name), low=1)
        for name in ("sentences", "composed"):
            whole_in_range(name, getattr(self, name), low=0)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        in_range("dropout_rate", self.dropout_rate, low=0, high=1, high_open=True)
        in_range("coarseness", self.coarseness, low=1, high=LEVELS[4])
        in_range("caution", self.caution, low=0)
        for name in _PROBABILITIES:
            in_range(name, getattr(self, name), low=0, high=1)


@dataclass(frozen=True)
class _BundleFile:
    """What a file says, before its paths are found; texts that are left out are those shipped."""

    conversations: tuple[ConversationSource, ...]
    out: str = "bundle.replies"
    name: str = "replies"
    card: Mapping[str, Any] = field(default_factory=dict)
    settings: ReplySettings = field(default_factory=ReplySettings)
    intents: str = str(ASSETS / "intents.txt")
    situations: str = str(ASSETS / "situations.txt")
    tones: str = str(ASSETS / "tones.txt")
    safety: str = str(ASSETS / "safety")
    words: str | None = None
    judged: str | None = None
    base: str | None = None
    encoder: str | None = None

    def __post_init__(self) -> None:
        if not self.conversations:
            raise InputError("conversations: expected one [[conversations]] or more")


@dataclass(frozen=True)
class ReplyConfig:
    """A run to be made.

    Attributes:
        out: the bundle; its report and state stand beside it.
        name: of the bundle.
        card: further entries of its card.
        sources: conversations.
        intents, situations, tones: text files, in the form of those that are shipped.
        safety: folder of messages by topic, in the form of the one that is shipped.
        words: ``.npz`` file of words and their vectors; None: the encoder makes them, and without
            one words are near no others.
        judged: messages and the intents that people would answer, by which the trigger is
            calibrated; None: by the conversations' own answers.
        encoder: folder of a sentence encoder that teaches the detector; None: it learns from
            hand-written messages alone.
        base: bundle whose ranker and replies stay as they are; None: all is learned.
        settings: how it is made.
    """

    out: Path
    name: str
    card: Mapping[str, Any]
    sources: tuple[ConversationSource, ...]
    intents: Path
    situations: Path
    tones: Path
    safety: Path
    words: Path | None
    judged: Path | None
    base: Path | None
    encoder: Path | None
    settings: ReplySettings

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders that the run reads."""
        texts = (self.intents, self.situations, self.tones, self.safety)
        named = (self.words, self.judged, self.base, self.encoder)
        conversations = (Path(source.path) for source in self.sources)
        return (*conversations, *texts, *(path for path in named if path is not None))


def read(path: str | os.PathLike[str]) -> ReplyConfig:
    """Read a configuration. Raises :class:`InputError` that names the entry that is wrong."""
    said = read_config(_BundleFile, path)
    folder = Path(path).resolve().parent
    return ReplyConfig(
        out=Path(said.out),
        name=said.name,
        card=said.card,
        # Found here, so that one that is missing is named before anything is read.
        sources=tuple(
            replace(source, path=str(find(source.path, folder))) for source in said.conversations
        ),
        settings=said.settings,
        intents=find(said.intents, folder),
        situations=find(said.situations, folder),
        tones=find(said.tones, folder),
        safety=find(said.safety, folder),
        words=_optional(said.words, folder),
        judged=_optional(said.judged, folder),
        base=_optional(said.base, folder),
        encoder=_optional(said.encoder, folder),
    )


def _optional(path: str | None, folder: Path) -> Path | None:
    """Return where an entry leads; None if there is none."""
    return None if path is None else find(path, folder)
