"""Everything that suggesting replies needs, in one file."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import HandheldError, ModelError
from handheld.files import atomic_path
from handheld.projection.cards import reader_of
from handheld.projection.inputs import Rows
from handheld.reply import style
from handheld.reply.ranker import Ranker
from handheld.reply.safety import SafetyDetector
from handheld.reply.tones import ALL_TONES
from handheld.reply.trigger import ReplyTrigger
from handheld.untrusted import read_json, require_file

FORMAT = 3
_MOST_BYTES = 16 << 20  # of what a part unpacks to
_PARTS = ("card.json", "ranker.npz", "detector.npz")


@dataclass(frozen=True)
class Reply:
    """A reply that can be suggested.

    Attributes:
        text: as it is shown.
        intent: number of what it means.
        share: how often it is said among all replies of its intent, 0 to 1.
    """

    text: str
    intent: int
    share: float


@dataclass(frozen=True)
class MixingWeights:
    """How much each judge counts when intents and replies are chosen.

    Attributes:
        network: of the network that reads messages, beside the ranker's own judgement of
            intents; 0 to 1.
        fit: of how well a reply fits the message, when one is chosen for its intent.
        share: of how often it is said.
    """

    network: float = 0.5
    fit: float = 0.3
    share: float = 0.5


@dataclass(frozen=True, eq=False)
class ReplyBundle:
    """What a file holds.

    Attributes:
        card: what there is to know about the model: name, data, licence, figures.
        ranker: scores replies and reads intents.
        detector: says where nothing may be suggested, and reads which intents answer a message
            as well.
        trigger: when to suggest anything.
        intents: their names.
        tones: of each intent: ``tones.SORRY``, ``GENTLE``, ``KIND``, ``NEUTRAL`` or
            ``CHEERFUL``.
        replies: that can be suggested.
        fallback: numbers of replies for when nothing is suggested, and the caller wants
            something all the same.
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
        card = {
            "format": FORMAT,
            "card": dict(self.card),
            "intents": self.intents,
            "tones": self.tones,
            "fallback": self.fallback,
            "replies": [
                [reply.text, reply.intent, round(reply.share, 3)] for reply in self.replies
            ],
            "ranker": self.ranker.learned.reader.card(),
            "detector": self.detector.card(),
            "trigger": asdict(self.trigger),
            "mixing": asdict(self.mixing),
        }
        parts = (
            json.dumps(card, ensure_ascii=False).encode(),
            _packed(self.ranker.arrays()),
            _packed({**self.detector.arrays(), "style": self.style}),
        )
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in zip(_PARTS, parts, strict=True):
                archive.writestr(
                    zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED
                )  # no time of writing: same in, same out
        return file.getvalue()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file: all of it, or nothing."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "ReplyBundle":
        """Read a file. Raises :class:`ModelError` for one that is damaged, or of another
        version.
        """
        try:
            require_file(path)
            with zipfile.ZipFile(path) as archive:
                parts = [_part(archive, name) for name in _PARTS]
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            KeyError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise ModelError(
                f"{os.fspath(path)} cannot be read as a bundle of replies: {error}"
            ) from error
        except ValueError as error:
            raise ModelError(f"{os.fspath(path)} is no bundle of replies: {error}") from error
        try:
            return _bundle(*parts)
        except (
            HandheldError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise ModelError(
                f"{os.fspath(path)} is no bundle of replies, or it is damaged: {error}"
            ) from error


def _bundle(text: bytes, ranker: bytes, detector: bytes) -> ReplyBundle:
    card, others = read_json(text), read_npz(detector, _MOST_BYTES)
    if card["format"] != FORMAT:
        raise ModelError(
            f"it has format {card['format']!r}; this version reads {FORMAT}: train it again, or take the one that is shipped"
        )
    bundle = ReplyBundle(
        card=card["card"],
        ranker=Ranker.of_arrays(_rows(card["ranker"]), read_npz(ranker, _MOST_BYTES)),
        detector=SafetyDetector.of_arrays(card["detector"], others),
        trigger=ReplyTrigger(
            tuple(map(float, card["trigger"]["weights"])), float(card["trigger"]["threshold"])
        ),
        intents=tuple(map(str, card["intents"])),
        tones=tuple(map(int, card["tones"])),
        replies=tuple(
            Reply(str(text), int(intent), float(share)) for text, intent, share in card["replies"]
        ),
        fallback=tuple(map(int, card["fallback"])),
        mixing=MixingWeights(**card["mixing"]),
        style=others["style"].astype(np.float32),
    )
    _check(bundle)
    return bundle


def _check(bundle: ReplyBundle) -> None:
    """Raise :class:`ModelError` for parts that do not fit together."""
    count = len(bundle.intents)
    known = all(0 <= reply.intent < count and 0 < reply.share <= 1 for reply in bundle.replies)
    if (
        not known
        or not bundle.replies
        or not all(0 <= number < len(bundle.replies) for number in bundle.fallback)
    ):
        raise ModelError("its replies and intents do not fit together")
    if len(bundle.tones) != count or not all(map(ALL_TONES.have, bundle.tones)):
        raise ModelError(f"it names {count} intents and the tones {bundle.tones}")
    if not all(
        isinstance(share, int | float) and 0 <= share <= 1 for share in astuple(bundle.mixing)
    ):
        raise ModelError(f"expected shares of 0 to 1 of the judges, got {bundle.mixing}")
    if (
        bundle.style.shape != (style.SIZE,)
        or not (np.isfinite(bundle.style) & (bundle.style >= 0)).all()
    ):
        raise ModelError("its counts of how people write are damaged")
    if (
        len(bundle.ranker.layers["intent"][1]) != count + 1
        or bundle.detector.network.intents != count + 1
    ):
        raise ModelError(f"it names {count} intents; its ranker and its detector know others")


def _rows(entry: Any) -> Rows:
    reader = reader_of(entry)
    if not isinstance(reader, Rows):
        raise ModelError("expected a reader of rows")
    return reader


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError(f"{name} unpacks to more than {_MOST_BYTES} bytes")
    return archive.read(name)


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # names of arrays are not those of its options
    return file.getvalue()
