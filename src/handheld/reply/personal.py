"""What a device learns of its user: a few KB that stay on it, and are forgotten on request.

Nothing is trained by gradients. The last choices are remembered with the signatures of the messages
that they answered, and
speak up where a message is alike; how the user writes is counted, and tips the scales between
replies as far as the user writes
that way in the conversation at hand. Both are bounded: no number of picks, made by anybody, moves
an intent or a reply by more
than a little.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from handheld.errors import FileError, InputError, ModelError
from handheld.files import atomic_path
from handheld.projection import Features, Signs
from handheld.projection.words import Texts
from handheld.reply import style
from handheld.reply.conversation import canonical
from handheld.untrusted import read_json, require_file

FORMAT = 1
_FEATURES, _SIGNS = Features(words=2, skips=1), Signs(functions=12, bits=14)
BITS = _SIGNS.size
"""Of a message's signatures together."""
_PRIVATE = 0o600  # what somebody typed is nobody else's to read
_REMEMBERED = 48  # choices
_LONGEST = 120  # characters of a reply that is remembered
_BOOST = 2.0  # logits of an intent, at most
_STYLE = 0.5  # logits for each unit of likeness
_UNSEEN = 0.5  # how far a user is taken to write as always, in a conversation where nothing of theirs is seen
_FADES = 4000.0  # counts from which on older ones are halved
_FAR, _NEAR = 0.4, 0.8  # cosines of two messages that are not alike at all, and quite
_SAME = 0.9  # likeness from which on a remembered reply is offered as it is


def signatures_of(texts: Texts) -> NDArray[np.uint64]:
    """Return (12,) numbers of 14 bits that stand for the first of some texts: the more alike two
    are, the fewer bits differ.
    """
    bits = _SIGNS.of(_FEATURES.of(texts))[:1].reshape(_SIGNS.functions, _SIGNS.bits)
    weights = np.uint64(1) << np.arange(_SIGNS.bits, dtype=np.uint64)
    return np.asarray((bits * weights).sum(axis=1, dtype=np.uint64))


@dataclass(frozen=True)
class RememberedChoice:
    """A reply that the user picked or typed.

    Attributes:
        signatures: of the message that it answered.
        intent: its number, -1 for none that is known.
        reply: what was said.
    """

    signatures: tuple[int, ...]
    intent: int
    reply: str


@dataclass(frozen=True, eq=False)
class PersonalState:
    """What was learned; a value: :meth:`learned` returns a new one.

    Attributes:
        choices: the last ones, the newest last; one for each message and intent.
        counts: (style.SIZE,) of how the user writes.
    """

    choices: tuple[RememberedChoice, ...] = ()
    counts: NDArray[np.float32] = None  # type: ignore[assignment]  # zeros, set below

    def __post_init__(self) -> None:
        if self.counts is None:
            object.__setattr__(self, "counts", np.zeros(style.SIZE, np.float32))

    def learned(self, signatures: Sequence[int], intent: int, reply: str) -> "PersonalState":
        """Return what is known after one more choice."""
        choice = RememberedChoice(tuple(map(int, signatures)), intent, reply.strip()[:_LONGEST])
        others = tuple(
            each
            for each in self.choices
            if (each.signatures, each.intent) != (choice.signatures, intent)
        )
        counts = self.counts + style.counts_of([choice.reply])
        if counts.sum() > _FADES:
            counts = counts / np.float32(2)
        return PersonalState((*others, choice)[-_REMEMBERED:], counts)

    def without(self, reply: str) -> "PersonalState":
        """Return what is known without a reply, its part in the user's style included.

        Replies that differ in case, spaces and marks alone are the same; a long one is known by its
        beginning, as it was kept.

        Raises:
            InputError: an empty reply.
        """
        if not reply.strip():
            raise InputError(
                "expected a reply to forget, got an empty one; forget() forgets everything"
            )
        wanted = _known_by(reply)
        gone = [each.reply for each in self.choices if _known_by(each.reply) == wanted]
        kept = tuple(each for each in self.choices if _known_by(each.reply) != wanted)
        return replace(
            self, choices=kept, counts=np.maximum(self.counts - style.counts_of(gone), 0)
        )

    def boosts(
        self, signatures: NDArray[np.uint64], bits: int, intents: int
    ) -> NDArray[np.float32]:
        """Return (intents,) logits that speak for what the user answered to messages like this one:
        0 to 2.

        Args:
            signatures: (T,) of the message.
            bits: of all of them together.
            intents: how many there are.
        """
        found = np.zeros(intents, np.float32)
        for choice, alike in zip(self.choices, self._alike(signatures, bits), strict=True):
            if 0 <= choice.intent < intents:
                found[choice.intent] += alike * alike
        return np.float32(_BOOST) * np.minimum(found, np.float32(1))

    def own_reply(self, signatures: NDArray[np.uint64], bits: int) -> str | None:
        """Return what the user last said to a message almost like this one, if it has no known
        intent; see :meth:`boosts`.
        """
        if not self.choices:
            return None
        same = self._alike(signatures, bits) >= _SAME
        found = [
            choice.reply
            for choice, fits in zip(self.choices, same, strict=True)
            if fits and choice.intent < 0
        ]
        return found[-1] if found else None

    def preference(
        self, general: NDArray[np.float32], own_texts: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return (replies,) logits: which texts are written as the user writes.

        Args:
            general: (style.SIZE,) how people write.
            own_texts: of the user, in the conversation at hand; the less they are like the
                user, the less style counts.
            replies: to judge.
        """
        if not self.counts.any():
            return np.zeros(len(replies), np.float32)
        odds = style.log_odds(self.counts, general)
        trust = (
            float(np.clip(style.likeness(odds, own_texts).mean(), 0, 1)) if own_texts else _UNSEEN
        )
        return np.asarray(_STYLE * trust * style.likeness(odds, replies), np.float32)

    def _alike(self, signatures: NDArray[np.uint64], bits: int) -> NDArray[np.float64]:
        """Return how far each choice's message is like one, 0 to 1: by the angle that the bits in
        which they differ tell.
        """
        known = [
            each.signatures if len(each.signatures) == len(signatures) else (0,) * len(signatures)
            for each in self.choices
        ]
        differ = np.bitwise_count(
            np.array(known, np.uint64).reshape(len(known), len(signatures)) ^ signatures
        ).sum(axis=1)
        return np.asarray(
            np.clip((np.cos(np.pi * differ / bits) - _FAR) / (_NEAR - _FAR), 0, 1), np.float64
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a file of a few KB that its owner alone can read: all of it, or nothing."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "choices": [[list(each.signatures), each.intent, each.reply] for each in self.choices],
            "counts": {
                str(place): float(self.counts[place]) for place in np.flatnonzero(self.counts)
            },
        }
        with atomic_path(path, mode=_PRIVATE) as temporary:
            temporary.write_text(
                json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8"
            )

    @classmethod
    def update(
        cls, path: str | os.PathLike[str], change: "Callable[[PersonalState], PersonalState]"
    ) -> "PersonalState":
        """Change what a file keeps, and return it: what another process has written meanwhile is not lost.

        Raises:
            ModelError: the file is damaged.
            FileError: it cannot be written.
        """
        target = Path(os.path.realpath(path))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_name(f".{target.name}.lock"), mode=_PRIVATE):
                known = change(cls.read(path))
                known.write(path)
        except OSError as error:
            raise FileError(f"{os.fspath(path)}: cannot be written: {error}") from error
        return known

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "PersonalState":
        """Read what :meth:`write` wrote; nothing is known if there is no file. Raises
        :class:`ModelError` if it is damaged.
        """
        if not os.path.exists(path):
            return cls()
        try:
            require_file(path)
            content = read_json(Path(path).read_bytes())
            if content["format"] != FORMAT:
                raise ModelError(
                    f"{os.fspath(path)} has format {content['format']!r}; this version reads {FORMAT}"
                )
            choices = tuple(
                RememberedChoice(tuple(map(int, s)), int(i), str(r)[:_LONGEST])
                for s, i, r in content["choices"]
            )
            counts = np.zeros(style.SIZE, np.float32)
            for place, count in content["counts"].items():
                counts[int(place)] = float(count)
        except (
            OSError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise ModelError(
                f"{os.fspath(path)} is no file of a user's choices, or it is damaged: {error}"
            ) from error
        if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() <= 2 * _FADES):
            raise ModelError(f"{os.fspath(path)} is damaged: its counts are no counts")
        return cls(choices[-_REMEMBERED:], counts)


def _known_by(reply: str) -> str:
    """Return what makes two replies the same to forget."""
    kept = reply.strip()[:_LONGEST]
    return canonical(kept) or kept
