"""Everything that suggesting replies needs, in one file."""

import io
import json
import operator
import os
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import HandheldError, ModelError
from handheld.files import atomic_path
from handheld.projection.cards import reader_of
from handheld.projection.inputs import Rows
from handheld.ranges import in_range
from handheld.reply import style
from handheld.reply.ranker import Ranker, weights_of
from handheld.reply.safety import SafetyDetector
from handheld.reply.tones import ALL_TONES
from handheld.reply.trigger import ReplyTrigger
from handheld.untrusted import open_entry, read_json, require_file

FORMAT = 4
"""Of the file; another since the detector's tables are in four bits."""
# Of what an entry unpacks to, so that a small file fills no memory: twenty times what is shipped.
_MOST_BYTES = 16 << 20
# Of all texts of replies, of each, of a text that is read, and counts of how people write: over ten
# times what is shipped.
_MOST_REPLIES = 1 << 13
_MOST_LETTERS = 1 << 17
_LONGEST_REPLY = 500
_MOST_FEATURES = 1 << 11
_MOST_COUNT = 1e12
# Of a reply that nobody said: a share of 0 has no logarithm.
_SMALLEST_SHARE = 0.001
_ENTRIES = ("card.json", "ranker.npz", "detector.npz")
# What a file that is no ZIP archive, or a damaged one, can raise while it is opened ...
_UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
# ... and what entries can raise that are not those of a bundle.
_DAMAGE = (
    HandheldError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Reply:
    """A reply that can be suggested.

    Attributes:
        text: as it is shown.
        intent: number of what it means.
        share: how often it is said among all replies of its intent, in (0, 1].
    """

    text: str
    intent: int
    share: float


@dataclass(frozen=True)
class MixingWeights:
    """How much each judge counts when intents and replies are chosen.

    Attributes:
        network: of the network that reads messages, beside the ranker's own judgement of intents,
            in [0, 1].
        fit: of how well a reply fits the message, when one is chosen for its intent, in [0, 1].
        share: of how often it is said, in [0, 1].

    Raises:
        InputError: numbers outside of these.
    """

    # training chooses the first anew, see training.selection; the others have stood since the
    # first bundle, and only order the wordings of one intent

    network: float = 0.5
    fit: float = 0.3
    share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("network", "fit", "share"):
            in_range(name, getattr(self, name), low=0, high=1)


@dataclass(frozen=True, eq=False)
class ReplyBundle:
    """What a file holds.

    Attributes:
        card: what there is to know about the model: name, data, licence, figures.
        ranker: scores replies and reads intents.
        detector: says where nothing may be suggested, and reads which intents answer a message as
            well.
        trigger: when to suggest anything.
        intents: their names.
        tones: of each intent: ``tones.SORRY``, ``GENTLE``, ``KIND``, ``NEUTRAL`` or ``CHEERFUL``.
        replies: that can be suggested.
        fallback: numbers of replies for when nothing is suggested, and the caller wants something
            all the same.
        mixing: of the judges.
        style: (style.SIZE,) how people write in general, as counts.
    """

    card: Mapping[str, Any]
    ranker: Ranker
    detector: SafetyDetector
    trigger: ReplyTrigger
    intents: tuple[str, ...]
    tones: tuple[int, ...]
    replies: tuple[Reply, ...]
    fallback: tuple[int, ...]
    mixing: MixingWeights
    style: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Return the file: a ZIP archive of a JSON card, tables and weights."""
        contents = (
            json.dumps(self._card(), ensure_ascii=False).encode(),
            _packed(self.ranker.arrays()),
            _packed({**self.detector.arrays(), "style": self.style}),
        )
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in zip(_ENTRIES, contents, strict=True):
                # a ZipInfo has no time of writing: same in, same out
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return file.getvalue()

    def _card(self) -> dict[str, Any]:
        # three digits of a share: the order of replies needs no more
        replies = [
            [reply.text, reply.intent, max(round(reply.share, 3), _SMALLEST_SHARE)]
            for reply in self.replies
        ]
        return {
            "format": FORMAT,
            "card": dict(self.card),
            "intents": self.intents,
            "tones": self.tones,
            "fallback": self.fallback,
            "replies": replies,
            "ranker": self.ranker.learned.reader.card(),
            "detector": self.detector.card(),
            "trigger": asdict(self.trigger),
            "mixing": asdict(self.mixing),
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file: all of it, or nothing."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "ReplyBundle":
        """Read a file.

        Raises:
            ModelError: it is damaged, or of another version.
        """
        location = os.fspath(path)
        try:
            require_file(path)
            with zipfile.ZipFile(path) as archive:
                contents = [_content(archive, name) for name in _ENTRIES]
        except _UNREADABLE as error:
            raise ModelError(
                f"{location} cannot be read as a bundle of replies: {error}"
            ) from error
        except ValueError as error:
            raise ModelError(f"{location} is no bundle of replies: {error}") from error
        try:
            return _bundle(*contents)
        except KeyError as error:
            raise ModelError(
                f"{location} is no bundle of replies, or it is damaged: no entry {error}"
            ) from error
        except _DAMAGE as error:
            raise ModelError(
                f"{location} is no bundle of replies, or it is damaged: {error}"
            ) from error


def _bundle(card_text: bytes, ranker_file: bytes, detector_file: bytes) -> ReplyBundle:
    card = read_json(card_text)
    # before anything else is read: another version may have other entries
    if card["format"] != FORMAT:
        raise ModelError(
            f"it has format {card['format']!r}; this version reads {FORMAT}:"
            " train it again, or take the one that is shipped"
        )
    ranker = read_npz(ranker_file, _MOST_BYTES)
    detector = read_npz(detector_file, _MOST_BYTES)
    bundle = ReplyBundle(
        card=_mapping(card["card"]),
        ranker=Ranker.of_arrays(_rows(card["ranker"]), ranker),
        detector=SafetyDetector.of_arrays(card["detector"], detector),
        trigger=_trigger(card["trigger"]),
        intents=tuple(map(_text, _entries(card["intents"]))),
        tones=tuple(map(operator.index, _entries(card["tones"]))),
        replies=_replies(_entries(card["replies"])),
        fallback=tuple(map(operator.index, _entries(card["fallback"]))),
        mixing=MixingWeights(**card["mixing"]),
        style=weights_of(detector, "style"),
    )
    _check_replies(bundle)
    _check_weights(bundle)
    return bundle


def _trigger(entry: Any) -> ReplyTrigger:
    return ReplyTrigger(
        weights=tuple(map(_number, _entries(entry["weights"]))),
        threshold=_number(entry["threshold"]),
        caution=_number(entry["caution"]),
    )


def _number(entry: Any) -> float:
    """Return a number of a card: ``float`` alone would take texts too."""
    in_range("a number of the trigger", entry)
    return float(entry)


def _mapping(entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise ModelError(f"expected an entry with names, got {type(entry).__name__}")
    return entry


def _entries(entry: Any) -> list[Any]:
    """Return a list of a card: a text would be a list of its letters to a loop."""
    if not isinstance(entry, list):
        raise ModelError(f"expected a list, got {type(entry).__name__}")
    return entry


def _text(entry: Any) -> str:
    """Return a text of a card, which a screen may show."""
    if not isinstance(entry, str):
        raise ModelError(f"expected a text, got {type(entry).__name__}")
    # a terminal would obey them
    if any(unicodedata.category(letter) == "Cc" for letter in entry):
        raise ModelError(f"{entry[:_LONGEST_REPLY]!r} has characters that steer a terminal")
    return entry


def _replies(entries: list[Any]) -> tuple[Reply, ...]:
    """Return the replies of a card: so few and so short that all can be read at once."""
    if len(entries) > _MOST_REPLIES:
        raise ModelError(f"it has {len(entries)} replies, more than {_MOST_REPLIES}")
    replies = tuple(_reply(*entry) for entry in entries)
    if sum(len(reply.text) for reply in replies) > _MOST_LETTERS:
        raise ModelError(f"its replies have more than {_MOST_LETTERS} letters together")
    return replies


def _reply(text: Any, intent: Any, share: Any) -> Reply:
    text = _text(text)
    if not text.strip() or len(text) > _LONGEST_REPLY:
        raise ModelError(f"a reply has {len(text)} letters, expected 1 to {_LONGEST_REPLY}")
    in_range(f"share of {text!r}", share, low=0, high=1)
    return Reply(text, operator.index(intent), float(share))


def _check_replies(bundle: ReplyBundle) -> None:
    """Raise :class:`ModelError` for replies, intents and tones that do not fit together."""
    intents = len(bundle.intents)
    replies = len(bundle.replies)
    for reply in bundle.replies:
        # as the ranker takes its logarithm: less would be 0 in float32
        share = np.float32(reply.share)
        if not (0 <= reply.intent < intents and 0 < share <= 1):
            raise ModelError(f"its reply {reply.text!r} and its intents do not fit together")
    if not replies or not all(0 <= number < replies for number in bundle.fallback):
        raise ModelError("its replies and its fallback do not fit together")
    if len(bundle.tones) != intents or not all(map(ALL_TONES.have, bundle.tones)):
        raise ModelError(f"it names {intents} intents and the tones {bundle.tones}")


def _check_weights(bundle: ReplyBundle) -> None:
    """Raise :class:`ModelError` for numbers that are damaged, or of other intents."""
    counts = bundle.style
    are_counts = ((counts >= 0) & (counts <= _MOST_COUNT)).all()
    if counts.shape != (style.SIZE,) or not are_counts:
        raise ModelError("its counts of how people write are damaged")
    # both know one intent more, which is none
    known = len(bundle.ranker.layers["intent"][1]) - 1
    also_known = bundle.detector.network.intents - 1
    intents = len(bundle.intents)
    if known != intents or also_known != intents:
        raise ModelError(f"it names {intents} intents; its ranker and its detector know others")


def _rows(entry: Any) -> Rows:
    reader = reader_of(entry)
    if not isinstance(reader, Rows):
        raise ModelError("expected a reader of rows")
    letters = reader.features.letters
    # each length is counted as often as it is named
    if reader.length > _MOST_FEATURES or len(set(letters)) != len(letters):
        raise ModelError(f"its ranker reads {reader.length} features, letters by {letters[:9]}")
    return reader


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    if entry.file_size > _MOST_BYTES:
        raise ValueError(f"{name} unpacks to more than {_MOST_BYTES} bytes")
    with open_entry(archive, entry) as stream:
        # One byte more, so that the end is seen, and its checksum compared.
        return stream.read(entry.file_size + 1)


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    # not compressed twice: the archive around it is
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # no array has the name of an option
    return file.getvalue()
